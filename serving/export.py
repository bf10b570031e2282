"""A pushed model as one file of another format: python -m serving.export --format tflite DIR.

ONNX runs in ONNX Runtime, in browsers and in most other tools; TFLite on phones and small devices.
Both take decoded images, as the signature `serve_tensors` does, and give the probabilities. They
have built-in operations alone; their answers are compared with the model's before they are written.
"""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro

from cli.ending import fail
from cli.quiet import quiet_tensorflow
from cli.streams import prepare_streams
from cli.whole_file import write_whole
from served_model import interface
from served_model.files import CLASSES_FILE, why_no_version

MAX_DIFFERENCE = 1e-4  # of a probability; what the order of sums makes in float32 is below 1e-5
COMPARED = 8  # images
OPSET = 17  # version of ONNX's operations, of 2022

Answer = Callable[[np.ndarray], np.ndarray]  # images float32 [b, h, w, 3] → probabilities [b, c]


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Write a pushed model as ONNX or TFLite.

    Exit code: 0 written, 1 not, 2 wrong usage.
    """

    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """The version's folder, e.g. output/digits/serving/fishnet/1795393596."""
    format: Literal["onnx", "tflite"]
    """"onnx" needs the package tf2onnx: EXTRAS=onnx make setup."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Default: fishnet.onnx or fishnet.tflite. The names of the classes, in the order of the
    probabilities, are written beside it, to FILE.classes.json."""


class ExportError(Exception):
    """The model cannot be written in this format, or answers otherwise there."""


def export(folder: Path, file_format: str, output: Path) -> float:
    """Writes the model in `folder` to `output`.

    Args:
        folder: The version's folder, with `saved_model.pb` in it.
        file_format: "onnx" or "tflite".
        output: Replaced if it is there.

    Returns:
        The greatest difference of a probability on the images that were compared.

    Raises:
        ExportError: Nothing was written; it says why.
        ImportError: The library for the format is not installed.
    """
    function, answer = _probabilities(folder)
    shape = function.input_signature[0].shape
    random = np.random.default_rng(0)
    images = random.uniform(0, 255, (COMPARED, *shape[1:])).astype(np.float32)
    content, converted = (_to_onnx if file_format == "onnx" else _to_tflite)(function)
    difference = float(np.abs(converted(images) - answer(images)).max())
    if not difference <= MAX_DIFFERENCE:
        raise ExportError(
            f"its probabilities differ by {difference:.1g} from those of the model, by more than "
            f"{MAX_DIFFERENCE}; nothing was written"
        )
    write_whole(output, content)
    write_whole(
        output.with_name(f"{output.name}.classes.json"), (folder / CLASSES_FILE).read_bytes()
    )
    return difference


def _probabilities(folder: Path) -> tuple[Any, Answer]:
    """The signature `serve_tensors`, of which only the probabilities are asked for."""
    import tensorflow as tf

    model = tf.saved_model.load(str(folder))
    signature = model.signatures[interface.SERVE_TENSORS]
    name = interface.SIGNATURES[interface.SERVE_TENSORS]
    [takes] = signature.structured_input_signature[1].values()

    @tf.function(input_signature=[tf.TensorSpec(takes.shape, takes.dtype, name)], autograph=False)
    def probabilities(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {interface.PROBABILITIES: signature(**{name: images})[interface.PROBABILITIES]}

    probabilities.model = model  # its variables live as long as it does
    return probabilities, lambda images: probabilities(images)[interface.PROBABILITIES].numpy()


def _to_tflite(function: Any) -> tuple[bytes, Answer]:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], function.model
    )
    content = converter.convert()
    interpreter = tf.lite.Interpreter(model_content=content)
    runner = interpreter.get_signature_runner()
    return content, lambda images: runner(images=images)[interface.PROBABILITIES]


def _to_onnx(function: Any) -> tuple[bytes, Answer]:
    import onnxruntime
    import tf2onnx
    from tensorflow.python.framework import convert_to_constants

    frozen = convert_to_constants.convert_variables_to_constants_v2(
        function.get_concrete_function()
    )
    [takes], [gives] = frozen.inputs, frozen.outputs
    names = [function.input_signature[0].name, interface.PROBABILITIES]
    model, _ = tf2onnx.convert.from_graph_def(
        frozen.graph.as_graph_def(),
        input_names=[takes.name],
        output_names=[gives.name],
        tensors_to_rename=dict(zip((takes.name, gives.name), names, strict=True)),
        opset=OPSET,
    )
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return content, lambda images: session.run(names[1:], {names[0]: images})[0]


def main() -> None:
    """The command line."""
    prepare_streams()
    arguments = tyro.cli(Arguments, prog="python -m serving.export")
    folder, file_format = arguments.folder, arguments.format
    output = arguments.output or Path(f"{interface.MODEL_NAME}.{file_format}")
    if problem := why_no_version(folder):
        fail(f"{folder}: {problem}", 2)
    if not output.parent.is_dir():
        fail(f"--output {output}: there is no folder {output.parent}", 2)
    quiet_tensorflow()
    try:
        difference = export(folder, file_format, output)
    except ImportError as error:
        fail(f"--format {file_format} needs EXTRAS=onnx make setup: {error}", 1)
    except (ExportError, OSError) as error:
        fail(f"{folder}: {error}", 1)
    sys.stdout.write(f"wrote {output}; probabilities differ by at most {difference:.1g}\n")


if __name__ == "__main__":
    main()
