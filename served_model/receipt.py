"""The push receipt: a file inside each pushed version that says where its model came from.

Nothing of TensorFlow is imported here, so that the operator's command answers at once.
"""

import dataclasses
import datetime
import json
from pathlib import Path
from typing import Any

# TF Serving reads nothing of this folder but warm-up requests.
RECEIPT_FILE = "assets.extra/push_receipt.json"


@dataclasses.dataclass(frozen=True)
class Receipt:
    """Where a version's model came from.

    Attributes:
      model_digest: Of the model's files, as `model_files.digest` gives it.
      model_uri: Where the pipeline keeps the model.
      metrics: Those on the whole validation split, by name.
      data_digest: Of the data gate's report on the records that it is trained and judged by.
      code_digest: Of the code that the model is trained by.
      pipeline: The pipeline's name.
      run: The run's id.
      version: The version's number.
      pushed_at: When it became a version; UTC, ISO 8601.
      copy_of: The version whose files a rollback made this one of; None if a pipeline pushed it.
      withdrawn: Digests of the models that a rollback took out of service.
    """

    model_digest: str
    model_uri: str = ""
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    data_digest: str = ""
    code_digest: str = ""
    pipeline: str = ""
    run: str = ""
    version: int | None = None
    pushed_at: str = ""
    copy_of: int | None = None
    withdrawn: tuple[str, ...] = ()

    def published(self, version: int) -> "Receipt":
        """The receipt of a version that is made now."""
        now = datetime.datetime.now(datetime.timezone.utc)
        return dataclasses.replace(
            self, version=version, pushed_at=now.isoformat(timespec="seconds")
        )

    def to_json(self) -> str:
        """The receipt as JSON; `from_json` reads it."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Receipt":
        """Reads what `to_json` wrote.

        Raises:
          ValueError: The text is not JSON.
          TypeError: It is not a receipt's.
        """
        raw: dict[str, Any] = json.loads(text)
        return cls(**{**raw, "withdrawn": tuple(raw.get("withdrawn", ()))})


def read_receipt(version: Path) -> Receipt | None:
    """The receipt inside a version's folder; None where there is none that can be read."""
    try:
        return Receipt.from_json((version / RECEIPT_FILE).read_text("utf-8"))
    except (OSError, ValueError, TypeError, AttributeError):
        return None  # a model that something else pushed can be served and rolled back to as well
