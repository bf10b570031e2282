"""The exported model under the C++ loader that TF Serving is made of: replay.cc."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import named_tensor_pb2

from components.train.golden import golden_answers
from components.train.warmup import WARMUP_FILE, read_warmup

COMPILER = shutil.which("g++")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(COMPILER is None, reason="needs g++ (Debian: apt install g++)"),
]


@pytest.fixture(scope="module")
def replay(tmp_path_factory):
    """The program, compiled with TensorFlow's own headers and libraries."""
    program = tmp_path_factory.mktemp("cpp") / "replay"
    folder = tf.sysconfig.get_lib()
    subprocess.run(
        [
            COMPILER,
            *tf.sysconfig.get_compile_flags(),
            Path(__file__).with_name("replay.cc"),
            *tf.sysconfig.get_link_flags(),
            "-Wl,--no-as-needed",  # it registers what a session is made of
            "-l:libtensorflow_cc.so.2",
            f"-Wl,-rpath,{folder}",
            "-o",
            program,
        ],
        check=True,
    )
    return program


# By how much the probabilities may differ from Keras's. Those of fishnet99, whose weights here are
# not trained, differ in Keras itself by 4e-5 between float32 and float64.
@pytest.mark.parametrize(("name", "tolerance"), [("fishnet_tiny", 1e-5), ("fishnet99", 1e-4)])
def test_every_signature_answers_in_cpp_as_in_python(
    replay, train, serve, transform_output, load, tmp_path, name, tolerance
):
    network = train(name)
    served = serve(network)
    path = tmp_path / "answers"
    command = [replay, served.path, f"{served.path}/{WARMUP_FILE}", path]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    answers = map(named_tensor_pb2.NamedTensorProto.FromString, records)

    answer, _ = load(served.path)
    requests = read_warmup(served.path)
    for request in requests:
        signature = request.model_spec.signature_name
        wanted = answer(signature, tf.make_ndarray(*request.inputs.values()))
        for output in sorted(wanted):
            answered = next(answers)
            assert answered.name == output
            assert_same(tf.make_ndarray(answered.tensor), wanted[output], 1e-5)
    assert next(answers, None) is None
    assert len({request.model_spec.signature_name for request in requests}) == 4

    golden = golden_answers(network, transform_output, served.names, served.images)
    answered = answer("serving_default", golden.images)
    for output, wanted in golden.answers.items():
        assert_same(answered[output], wanted, tolerance)


def assert_same(answered: np.ndarray, wanted: np.ndarray, tolerance: float) -> None:
    if wanted.dtype == np.float32:
        np.testing.assert_allclose(answered, wanted, atol=tolerance)
    else:
        np.testing.assert_array_equal(answered, wanted)
