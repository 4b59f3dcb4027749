"""The end of a prepared series as the look-back of a forecast of what follows the last given row."""

from pathlib import Path

import pandas as pd

from timellama.core import layout
from timellama.core.schema import read_json
from timellama.data.catalogue.reading import STEP
from timellama.data.files.frequency import offset_of
from timellama.data.files.stamps import BETWEEN
from timellama.data.series import load_series
from timellama.results.forecasts.carried import last_numbers
from timellama.results.forecasts.context_rows import ContextRows


def last_rows(results: Path, dataset: str, *, context: int, time_column: str | None) -> ContextRows:
    """The last `context` rows of a data set that the workflow prepared in `results`, repairs included.

    Raises InputError if the prepared files are absent or damaged.
    """
    series = load_series(layout.within(results, layout.SERIES, dataset=dataset))
    remedy = "Delete it and let the workflow prepare the data again."
    facts = read_json(layout.within(results, layout.QUIRKS, dataset=dataset), absent=remedy, damaged=remedy)
    time = pd.DatetimeIndex(series.time[-context:])
    zone = facts.get("zone") if facts.get("stamps_in") == "UTC" else None
    return ContextRows(
        path=Path(dataset),
        time_column=time_column or "step",
        columns=tuple(series.columns),
        values=series.values[-context:],
        time=time,
        step=offset_of(facts["frequency"]),
        dates=bool((time == time.normalize()).all()),
        zone="UTC" if zone and BETWEEN in zone else zone,
        before=last_numbers(series.values[:-context]),
        numbered=facts["frequency"] == STEP,
    )
