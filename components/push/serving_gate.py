"""ServingGate: a model that a server could not serve, or would serve wrongly, is not pushed.

What is asked is in `serving_probe.py` beside this file; it runs in a process of its own, so that a
model that crashes or hangs does not take this one along.
"""

import dataclasses
import json
import logging
import multiprocessing
from multiprocessing.connection import Connection

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types import standard_artifacts
from tfx.types.experimental import simple_artifacts
from tfx.utils import path_utils

from components.push.serving_probe import LOAD, Findings, probe

REPORT_FILE = "report.json"
BLESSED = "blessed"  # int property of the blessing, by which Pusher goes

logger = logging.getLogger(__name__)

# To start Python and load TensorFlow: minutes on a busy machine, for which no model is to blame.
START_SECONDS = 600.0


# The artifact with `report.json`, the fields of `Findings`; one of TFX's own types, as Kubeflow's
# specs know no other ones.
ServingReport = simple_artifacts.Metrics


@component
def ServingGate(  # noqa: N802  (TFX names a component's node after its function)
    model: InputArtifact[standard_artifacts.Model],
    model_run: InputArtifact[standard_artifacts.ModelRun],
    blessing: OutputArtifact[standard_artifacts.InfraBlessing],
    report: OutputArtifact[ServingReport],
    max_load_seconds: Parameter[float],
    max_median_seconds: Parameter[float],
    max_p99_seconds: Parameter[float],
    max_answer_seconds: Parameter[float],
    max_score_difference: Parameter[float],
    source: Parameter[str],
) -> None:
    """Loads the exported model as TF Serving does, asks it, and blesses it or not.

    Args:
      model: The Trainer's.
      model_run: Holds the golden answers that the Trainer left.
      blessing: Where Pusher looks.
      report: Where the findings go.
      max_load_seconds: Limit of the time to load it.
      max_median_seconds: Limit of the median time of a request for one image.
      max_p99_seconds: Limit of the 99th percentile of these.
      max_answer_seconds: After this a request counts as hanging.
      max_score_difference: By how much scores may differ from those that the network gave.
      source: Digest of this code.
    """
    path = path_utils.serving_model_path(model.uri)
    # Loading may take as long as a request, so that a slow one is told by its time.
    load_seconds = max(max_load_seconds, max_answer_seconds)
    findings = ask(path, model_run.uri, max_score_difference, load_seconds, max_answer_seconds)
    limits = {
        "load_seconds": max_load_seconds,
        "median_seconds": max_median_seconds,
        "p99_seconds": max_p99_seconds,
    }
    for name, limit in limits.items():
        seconds = getattr(findings, name)
        if seconds > limit:
            findings.faults.append(f"{name}: {seconds:.3f} is over the limit of {limit:g}")
    for fault in findings.faults:
        logger.warning("serving: %s", fault)
    with fileio.open(f"{report.uri}/{REPORT_FILE}", "w") as file:
        file.write(json.dumps(dataclasses.asdict(findings), indent=2, ensure_ascii=False))
    blessing.set_int_custom_property(BLESSED, int(not findings.faults))


def read_report(uri: str) -> Findings:
    """The findings inside a `ServingReport` artifact at `uri`."""
    with fileio.open(f"{uri}/{REPORT_FILE}") as file:
        return Findings(**json.loads(file.read()))


def ask(
    model_path: str,
    golden_folder: str,
    max_difference: float,
    load_seconds: float,
    answer_seconds: float,
) -> Findings:
    """What `probe` finds; a crash or a hang is a fault that it finds.

    Args:
      model_path: The SavedModel's folder.
      golden_folder: Where the Trainer left the golden answers.
      max_difference: By how much scores may differ from these.
      load_seconds: After this loading counts as hanging.
      answer_seconds: After this a request counts as hanging.
    """
    context = multiprocessing.get_context("spawn")  # of TensorFlow's threads a fork has none
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(
        target=probe, args=(model_path, golden_folder, max_difference, sender)
    )
    process.start()
    sender.close()  # so that the end of the process is the end of the pipe
    try:
        return _listen(receiver, process, load_seconds, answer_seconds)
    finally:
        process.kill()
        process.join()


def _listen(
    receiver: Connection,
    process: multiprocessing.process.BaseProcess,
    load_seconds: float,
    answer_seconds: float,
) -> Findings:
    step, limit = "start", START_SECONDS
    while receiver.poll(limit):
        try:
            told = receiver.recv()
        except EOFError:
            process.join()
            return Findings(faults=[f"{step}: the process died with code {process.exitcode}"])
        if isinstance(told, Findings):
            return told
        step, limit = told, load_seconds if told == LOAD else answer_seconds
    return Findings(faults=[f"{step}: no answer in {limit:g} s"])
