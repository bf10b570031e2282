"""The picture in docs/pipeline.md is that of the code's DAG, and its nodes are the code's."""

import re

from commands import ROOT

from pipeline.nodes import NODES, TUNER
from pipeline.picture import local_pipeline, picture

PAGE = (ROOT / "docs" / "pipeline.md").read_text("utf-8")


def test_nodes_are_those_of_a_local_run_in_its_order():
    named = re.findall(r"^\| ([A-Z]\w+) \|", PAGE, re.MULTILINE)
    at = NODES.index("Trainer")
    assert named == [*NODES[:at], TUNER, *NODES[at:]]


def test_picture_is_the_dags():
    [drawn] = [part.partition("```")[0] for part in PAGE.split("```mermaid\n")[1:]]
    assert drawn == picture(local_pipeline())
