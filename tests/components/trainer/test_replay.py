"""The exported model under the C++ loader that TF Serving is made of: replay.cc."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import named_tensor_pb2

from components.trainer.warmup import WARMUP_FILE, read_warmup

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


def test_every_signature_answers_in_cpp_as_in_python(replay, served_fish, load, tmp_path):
    path = tmp_path / "answers"
    command = [replay, served_fish.path, f"{served_fish.path}/{WARMUP_FILE}", path]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    answers = map(named_tensor_pb2.NamedTensorProto.FromString, records)

    answer, _ = load(served_fish.path)
    requests = read_warmup(served_fish.path)
    for request in requests:
        signature = request.model_spec.signature_name
        wanted = answer(signature, tf.make_ndarray(*request.inputs.values()))
        for name in sorted(wanted):
            answered = next(answers)
            assert answered.name == name
            value = tf.make_ndarray(answered.tensor)
            if value.dtype == np.float32:
                np.testing.assert_allclose(value, wanted[name], atol=1e-5)
            else:
                np.testing.assert_array_equal(value, wanted[name])
    assert next(answers, None) is None
    assert len({request.model_spec.signature_name for request in requests}) == 4
