"""The picture in docs/pipeline.md is that of the code's DAG."""

from commands import ROOT

from pipeline.picture import local_pipeline, picture


def test_picture_is_the_dags():
    page = (ROOT / "docs" / "pipeline.md").read_text("utf-8")
    [drawn] = [part.partition("```")[0] for part in page.split("```mermaid\n")[1:]]
    assert drawn == picture(local_pipeline())
