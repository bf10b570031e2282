"""The page of `serving.demo`, made and served by Gradio, which asks nothing of any other host."""

import contextlib
import html
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import gradio as gr
import uvicorn
from fastapi import FastAPI

from serving.answer import Answer, Refusal
from serving.transport import ServingError

BEST = 5  # classes that are shown
KEPT = 600  # seconds, after which an image's copy is deleted, and between the looks for such

INTRODUCTION = """# Try the model

Drop a JPEG or PNG file. It is sent to the model as it is.
"""


def page(answer: Callable[[Path], Answer], name: Callable[[], str]) -> gr.Blocks:
    """The page; images are answered one at a time.

    Args:
        answer: Image file → its answer; raises ServingError.
        name: () → which model answers now; raises ServingError.
    """
    one_at_a_time = threading.Lock()

    def named() -> tuple[str, dict]:
        try:
            with one_at_a_time:
                return name(), _if_any(None)
        except ServingError as error:
            return "", _if_any(str(error))

    def answered(path: str) -> tuple[str, dict, str, dict]:
        file = Path(path)
        try:
            with one_at_a_time:
                told, source = answer(file), name()
        except ServingError as error:
            return "", _if_any(None), "", _if_any(str(error))
        if isinstance(told, Refusal):
            return "", _if_any(None), source, _if_any(f"{file.name}: {told.error}")
        best = dict(zip(told.classes, told.scores, strict=True))
        return _picture(file), _if_any(best), source, _if_any(None)

    with gr.Blocks(title="FishNet", analytics_enabled=False, delete_cache=(KEPT, KEPT)) as page:
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            with gr.Column():
                image = gr.File(label="Image file")
                preview = gr.HTML()
            with gr.Column():
                best = gr.Label(label="Best classes", num_top_classes=BEST, visible=False)
                error = gr.Textbox(label="Error", visible=False)
                model = gr.Textbox(label="Answers come from", interactive=False)
        # Gradio's queue makes statistics of its events, for which it needs pandas 2.
        page.load(named, outputs=[model, error], queue=False)
        shown = [preview, best, model, error]
        image.upload(answered, inputs=image, outputs=shown, queue=False)
        cleared = [preview, best, error]
        image.clear(lambda: ("", _if_any(None), _if_any(None)), outputs=cleared, queue=False)
    return page


def _picture(file: Path) -> str:
    """The image as HTML; Gradio's own component has a button without a name."""
    source, name = quote(f"gradio_api/file={file}"), html.escape(file.name)
    return f'<img src="{source}" alt="{name}" style="max-height: 60vh; margin: auto">'


def _if_any(value: dict[str, float] | str | None) -> dict:
    """Shows a component if there is anything to show."""
    return gr.update(value=value, visible=bool(value))


def show(answer: Callable[[Path], Answer], name: Callable[[], str], host: str, port: int) -> None:
    """Serves the page until Ctrl-C.

    Args:
        answer: See `page`.
        name: See `page`.
        host: Address that is listened at.
        port: Its port; any that is free if 0.

    Raises:
        OSError: Host or port cannot be had.
    """
    app = gr.mount_gradio_app(
        FastAPI(),
        page(answer, name),
        path="/",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
    )
    # A page that is open in a browser keeps a connection, for which the end does not wait.
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    with socket.create_server((host, port)) as listening:
        port = listening.getsockname()[1]
        sys.stdout.write(f"http://{host}:{port} has the page; Ctrl-C ends it\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])
