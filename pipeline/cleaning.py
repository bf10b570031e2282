"""Removes what the runs of an output folder left and nothing needs any more.

Nothing of TensorFlow is imported here.
"""

import dataclasses
import datetime
import shutil
from collections.abc import Sequence
from pathlib import Path

from ml_metadata import proto

from cli.disk import folder_bytes
from pipeline.history import BLESSING, MODEL, History, blessed_model
from pipeline.nodes import PUSHER
from pipeline.run_record import ARTIFACTS
from served_model.versions import VersionFolder


@dataclasses.dataclass(frozen=True)
class Leftover:
    """An artifact that nothing needs.

    Attributes:
      artifact: Its record.
      node: The node that made it.
      folder: Where it lies.
      bytes: In the folder's files.
    """

    artifact: proto.Artifact
    node: str
    folder: Path
    bytes: int


def leftovers(
    output: Path,
    history: History,
    versions: VersionFolder,
    keep_runs: int,
    older_than: datetime.timedelta,
) -> list[Leftover]:
    """The artifacts that nothing needs, also those of an earlier removal that was interrupted.

    Args:
      output: The output folder.
      history: Its.
      versions: The models that were pushed from it.
      keep_runs: The newest runs whose cache stays.
      older_than: What was made since then stays too.
    """
    ours = output.resolve() / ARTIFACTS
    kept = needed(history, versions, keep_runs)
    latest = (datetime.datetime.now() - older_than).timestamp() * 1000
    found = []
    for artifact in history.artifacts.values():
        place = Path(artifact.uri)
        folder = place.parent if place.is_file() else place
        is_old = artifact.create_time_since_epoch <= latest
        # What is recorded elsewhere is not ours to delete: the output folder was moved, say.
        if artifact.id not in kept and is_old and folder.is_relative_to(ours) and folder.is_dir():
            node = history.node_of(artifact.id)
            found.append(Leftover(artifact, node, folder, folder_bytes(folder)))
    return found


def needed(history: History, versions: VersionFolder, keep_runs: int) -> set[int]:
    """Ids of the artifacts that stay.

    Those are all that the newest runs took or made, and the newest run that came to Pusher;
    of the champion and of each model that is pushed the whole output of its training, and of the
    evaluations that blessed it or did not.

    Args:
      history: The output folder's.
      versions: The models that were pushed from it.
      keep_runs: How many of the newest runs.
    """
    whole = [run for run in history.runs if PUSHER in run.nodes and not run.unfinished]
    kept: set[int] = set()
    for run in [*history.runs[:keep_runs], *whole[:1]]:
        kept |= run.artifacts
    models = pushed_models(history, versions)
    if champion := history.champion():
        models.add(champion.id)
    blessings = {b.id for b in history.of_type(BLESSING) if blessed_model(b) in models}
    for artifact in models | blessings:
        kept |= history.made_with(artifact)
    return kept


def pushed_models(history: History, versions: VersionFolder) -> set[int]:
    """Ids of the models that the pushed versions are copies of, as far as they are known."""
    receipts = filter(None, map(versions.receipt, versions.versions()))
    uris = [receipt.model_uri for receipt in receipts]
    return {
        model.id
        for model in history.of_type(MODEL)
        if any(Path(uri).is_relative_to(model.uri) for uri in uris)
    }


def remove(history: History, found: Sequence[Leftover]) -> None:
    """Deletes artifacts; first in the record, so that no run takes one that is half gone.

    Raises:
      OSError: A folder could not be deleted; the next time it is a leftover again.
    """
    history.mark_deleted([leftover.artifact for leftover in found])
    for leftover in found:
        shutil.rmtree(leftover.folder)
