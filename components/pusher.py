"""Pusher: a version appears in the serving folder whole or not at all, and never twice."""

import hashlib
import os
import time
from typing import Any

from tfx import types
from tfx import v1 as tfx
from tfx.components.pusher import executor as pusher_executor
from tfx.dsl.components.base import executor_spec
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils, proto_utils

UNCHANGED = "unchanged"  # int property of the pushed model: 1 if it was being served already


class Executor(pusher_executor.Executor):
    """TFX's executor, which copies file by file into the folder that a server polls, made atomic.

    The model is copied to a hidden folder beside the versions and renamed. A model that is, byte
    for byte, the newest version already is not pushed again.
    """

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See the base class."""
        pushed_model = artifact_utils.get_single_instance(
            output_dict[standard_component_specs.PUSHED_MODEL_KEY]
        )
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed_model)
            return
        model_path = self.GetModelPath(input_dict)
        destination = tfx.proto.PushDestination()
        proto_utils.json_to_proto(
            exec_properties[standard_component_specs.PUSH_DESTINATION_KEY], destination
        )
        base = destination.filesystem.base_directory
        newest = newest_version(base)
        unchanged = newest > 0 and _digest(f"{base}/{newest}") == _digest(model_path)
        if unchanged:
            version = newest
        else:
            version = push(model_path, base, newest)
            io_utils.copy_dir(model_path, pushed_model.uri)
        self._MarkPushed(pushed_model, f"{base}/{version}", str(version))
        pushed_model.set_int_custom_property(UNCHANGED, int(unchanged))


def newest_version(base: str) -> int:
    """The version in `base` that TF Serving serves: its highest-numbered folder; 0 if none."""
    names = fileio.listdir(base) if fileio.exists(base) else []
    return max((int(name.strip("/")) for name in names if name.strip("/").isdecimal()), default=0)


def push(model_path: str, base: str, newest: int) -> int:
    """Copies a SavedModel to `base` as a version above `newest` and returns that version.

    Versions are seconds since 1970, as TFX's, or one more than `newest` if the clock is behind it.
    """
    version = max(int(time.time()), newest + 1)
    # TF Serving ignores names that are not numbers.
    staging = f"{base}/.tmp-{version}"
    try:
        io_utils.copy_dir(model_path, staging)
    except BaseException:
        if fileio.exists(staging):
            fileio.rmtree(staging)  # on a full disk it would keep the next push from succeeding
        raise
    fileio.rename(staging, f"{base}/{version}")
    return version


def _digest(folder: str) -> str:
    digest = hashlib.sha256()
    for parent, _, names in sorted(fileio.walk(folder)):
        for name in sorted(names):
            path = f"{parent}/{name}"
            with fileio.open(path, "rb") as file:
                content = hashlib.sha256(file.read()).hexdigest()
            digest.update(f"{os.path.relpath(path, folder)} {content}\n".encode())
    return digest.hexdigest()


class AtomicPusher(tfx.components.Pusher):
    """TFX's Pusher with the executor above."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
