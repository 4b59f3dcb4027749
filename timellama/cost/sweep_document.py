"""The file of an efficiency sweep, `results/efficiency/<variant>/<identity>.json`, as tables and figures use it."""

from pydantic import model_validator

from timellama.core.schema import broken
from timellama.core.values import AsWritten, Count, Whole
from timellama.cost.efficiency_sweep import MEASURED
from timellama.results.read.documents import Commit, Document, Number, UsedBackbone


class Stage(Document):
    """Calls of one stage. If there is no median, the first call was the only one."""

    first: Number
    seconds: Number | None
    peak: Number


class Predicted(Document):
    """What a stage was predicted to need."""

    seconds: Number
    bytes: Number


class Row(Document):
    """One (N, batch size). A cell that was not started has no stages and no device."""

    variates: Count
    batch_size: Count
    dtype: str
    threads: Count
    processor: str
    device: str = ""
    limit_bytes: Whole
    versions: dict[str, str]
    forward_status: str
    training_status: str
    forward_predicted: Predicted | None
    training_predicted: Predicted | None
    forward: Stage | None = None
    training: Stage | None = None

    @model_validator(mode="after")
    def _has_what_was_measured(self) -> "Row":
        if self.forward_status == MEASURED and (self.forward is None or self.forward.seconds is None):
            raise broken((("forward",), None, f"has no median, but forward_status is {MEASURED!r}"))
        return self


class SweptRun(Document):
    """The run that a sweep varies."""

    variant: str
    dataset: str
    context: Count
    horizon: Count
    backbone: UsedBackbone | None


class Swept(Document):
    """The settings of a sweep."""

    run: SweptRun


class SweepDocument(Document):
    """The whole file. `rows` are checked and kept unchanged: the table shows more fields than are named here."""

    sweep: Swept
    rows: AsWritten[tuple[Row, ...]]
    provenance: Commit
