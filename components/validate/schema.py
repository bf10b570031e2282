"""CuratedSchema: the schema that is kept beside the pipeline, as an artifact.

TFX's ImportSchemaGen takes a file's path, so an edit of that file is a cache hit, and the path of
one machine ends up in the compiled pipeline. Here the text itself is the parameter.
"""

from tfx import v1 as tfx
from tfx.dsl.io import fileio
from tfx.types import standard_artifacts

SCHEMA_FILE = "schema.pbtxt"  # the name under which TFX's components look for it


@tfx.dsl.components.component
def CuratedSchema(  # noqa: N802  (TFX names a component's node after its function)
    text: tfx.dsl.components.Parameter[str],
    schema: tfx.dsl.components.OutputArtifact[standard_artifacts.Schema],
) -> None:
    """Writes `text`, a text-format `tensorflow_metadata` Schema, to the artifact `schema`."""
    with fileio.open(f"{schema.uri}/{SCHEMA_FILE}", "w") as file:
        file.write(text)
