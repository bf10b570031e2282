"""CuratedSchema: the schema that is kept beside the pipeline, as an artifact.

TFX's ImportSchemaGen takes a file's path, so an edit of that file is a cache hit, and the path of
one machine ends up in the compiled pipeline. Here the text itself is the parameter.
"""

from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types import standard_artifacts

SCHEMA_FILE = "schema.pbtxt"  # the name under which TFX's components look for it


@component
def CuratedSchema(  # noqa: N802  (TFX names a component's node after its function)
    text: Parameter[str],
    schema: OutputArtifact[standard_artifacts.Schema],
) -> None:
    """Writes `text`, a text-format `tensorflow_metadata` Schema, to the artifact `schema`."""
    with fileio.open(f"{schema.uri}/{SCHEMA_FILE}", "w") as file:
        file.write(text)
