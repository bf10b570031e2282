"""Answers as Kubeflow Pipelines' API server does (REST, v2beta1), and keeps what it is asked."""

import contextlib
import dataclasses
import http.server
import json
import threading
import urllib.parse
from typing import Any


@dataclasses.dataclass(frozen=True)
class Request:
    """What was asked.

    Attributes:
        method: GET or POST.
        path: Without what every path begins with.
        query: Its parameters.
        headers: By name.
        body: As it came.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


class KfpServer:
    """The server; a context manager.

    Attributes:
        requests: All so far.
        refusals: Path → status and body of the answer, where it is not to be what is asked for; of
            a redirection the body is where to.
        silent: Method and path of what is taken and never answered.
        experiments: The names of those that are there.
        pipelines: Likewise.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.refusals: dict[str, tuple[int, str]] = {}
        self.silent: tuple[str, str] | None = None
        self._end = threading.Event()
        self.experiments: list[str] = []
        self.pipelines: list[str] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def _do(self) -> None:
                url = urllib.parse.urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                query = dict(urllib.parse.parse_qsl(url.query))
                path = url.path.removeprefix("/apis/v2beta1/")
                request = Request(self.command, path, query, dict(self.headers), body)
                outer.requests.append(request)
                if (self.command, path) == outer.silent:
                    outer._end.wait()
                    return
                status, answer = outer.refusals.get(path) or (200, outer._answer(request))
                text = answer if isinstance(answer, str) else json.dumps(answer)
                # On a busy machine a client may have gone meanwhile.
                with contextlib.suppress(ConnectionError):
                    self._send(status, text)

            def _send(self, status: int, text: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text.encode())))
                if 300 <= status < 400:
                    self.send_header("Location", text)
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST = _do  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> "KfpServer":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Its host."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def asked(self, path: str, method: str = "POST") -> Request:
        """The one request of a path."""
        [found] = [r for r in self.requests if (r.method, r.path) == (method, path)]
        return found

    def _answer(self, request: Request) -> dict[str, Any]:
        name = json.loads(request.query.get("filter", "null") or "null")
        wanted = name and name["predicates"][0]["stringValue"]
        match request.method, request.path:
            case "GET", "healthz":
                return {"commit_sha": "0" * 40, "multi_user": False}
            case "GET", "experiments":
                found = [name for name in self.experiments if name == wanted]
                return {"experiments": [_experiment(name) for name in found]}
            case "POST", "experiments":
                return _experiment(request.json["display_name"])
            case "POST", "runs":
                return {**request.json, "run_id": "run-1"}
            case "GET", "pipelines":
                found = [name for name in self.pipelines if name == wanted]
                return {"pipelines": [{"pipeline_id": f"pipeline-{name}"} for name in found]}
            case "POST", "pipelines/upload":
                return {"pipeline_id": f"pipeline-{request.query['name']}"}
            case "POST", "pipelines/upload_version":
                return {"pipeline_version_id": "version-1"}
        raise NotImplementedError(request.path)


def _experiment(name: str) -> dict[str, str]:
    return {"experiment_id": f"experiment-{name}", "display_name": name}
