"""Input and output of DataFrames, in the two formats that forecasting libraries share.

Wide: one row per timestamp, one column per variate; the timestamps are the index or one column. Long: one row per
value, with the columns `unique_id`, `ds` and `y`, as in Nixtla's libraries. Forecasts are returned in long format.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from timellama.core.errors import InputError
from timellama.results.forecasts.carried import last_numbers
from timellama.results.forecasts.context_rows import ContextRows, even_step
from timellama.results.forecasts.forecasting import Forecast

ID, TIME, VALUE = LONG = ("unique_id", "ds", "y")
GIVEN = Path("the DataFrame")  # its name in messages


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write a wide or long DataFrame as Parquet, including a named or dated index.

    Raises InputError for anything that is not a DataFrame or has no rows.
    """
    if not isinstance(frame, pd.DataFrame) or frame.empty:
        what = "an empty DataFrame" if isinstance(frame, pd.DataFrame) else f"a {type(frame).__name__}"
        raise InputError(f"data is {what}; give a pandas DataFrame with rows, wide or with {', '.join(LONG)}")
    index, kept = frame.index, frame
    if isinstance(index, pd.PeriodIndex):
        kept = frame.set_axis(index.to_timestamp())
    if not isinstance(index, pd.RangeIndex):  # a RangeIndex only counts rows
        named = kept if isinstance(index, pd.MultiIndex) or index.name is not None else kept.rename_axis("time")
        try:
            kept = named.reset_index()
        except ValueError as error:
            raise InputError(f"data has an index and a column of one name ({error}); rename one of them") from error
    kept = kept.rename(columns=str)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        kept.to_parquet(path, index=False)
    except (ValueError, TypeError) as error:  # pyarrow's own errors are ValueErrors
        raise InputError(f"data cannot be written as a table: {error}") from error


def context_rows_of(
    frame: pd.DataFrame, *, columns: Sequence[str] | None, context: int, masked: bool = False
) -> ContextRows:
    """The last `context` rows of a DataFrame, wide or long, as a trained run reads them.

    columns: the required columns, in any order; None takes the only one. masked: whether values may be missing, as for
    a run that was trained with missing values.
    Raises InputError for columns that are absent, too few rows, cells that are not finite numbers, and timestamps that
    are not in order or not evenly spaced.
    """
    wide = _wide(frame)
    names = tuple(map(str, wide.columns))
    wanted = tuple(columns) if columns else names
    if lacking := [name for name in wanted if name not in names]:
        raise InputError(f"data lacks the columns {', '.join(lacking)} of the run; it has {', '.join(names)}")
    if columns is None and len(names) != 1:
        raise InputError(f"data has {len(names)} series, but this run forecasts one at a time; give one of them")
    if len(wide) < context:
        raise InputError(f"data has {len(wide)} rows, but the look-back of this run is {context}; give more rows")
    whole = wide.set_axis(names, axis=1)[list(wanted)]
    last = whole.iloc[-context:]
    try:
        values = last.to_numpy(dtype=np.float64)
        above = whole.iloc[:-context].to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"data has cells that are not numbers ({error}); leave those columns out") from error
    if np.isinf(values).any() or (np.isnan(values).any() and not masked):
        row, column = (int(place[0]) for place in np.nonzero(~np.isfinite(values)))
        raise InputError(
            f"data, {last.index[row]}, column {wanted[column]!r}: not a finite number; a forecast reads every cell of "
            f"the last {context} rows, so fill it first"
        )
    zone = getattr(last.index, "tz", None)
    if zone and (last.index == last.index.normalize()).all():  # dates without times, as in a file
        last, zone = last.tz_localize(None), None
    time = last.index.tz_convert("UTC").tz_localize(None) if zone else last.index
    step = even_step(time) if time.is_monotonic_increasing else None  # descending time is evenly spaced too
    if step is None or not pd.date_range(time[0], periods=context, freq=step).equals(time):
        raise InputError(f"data: the last {context} timestamps are not evenly spaced; sort them and fill missing ones")
    return ContextRows(
        path=GIVEN,
        time_column=str(wide.index.name or TIME),
        columns=wanted,
        values=values,
        time=pd.DatetimeIndex(time.to_numpy()),
        step=step,
        dates=bool((time == time.normalize()).all()),
        zone=str(zone) if zone else None,
        before=last_numbers(above) if masked else None,
    )


def forecast_frame(forecast: Forecast, *, method: str, quantiles: dict[str, np.ndarray] | None = None) -> pd.DataFrame:
    """A forecast in long format: `unique_id`, `ds`, `method`, `forecast`, and one column per quantile [H, N]."""
    rows, time = forecast.context_rows, forecast.time
    if rows.numbered:
        stamps = time.to_numpy().astype("datetime64[s]").astype(np.int64)
    else:
        stamps = time.tz_localize("UTC").tz_convert(rows.zone) if rows.zone else time
    parts = [
        pd.DataFrame(
            {ID: name, TIME: stamps, "method": method, "forecast": forecast.values[:, place]}
            | {quantile: values[:, place] for quantile, values in (quantiles or {}).items()}
        )
        for place, name in enumerate(rows.columns)
    ]
    return pd.concat(parts, ignore_index=True)


def _wide(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with timestamps as its index and one column per variate."""
    if set(LONG) <= set(frame.columns):
        if frame.duplicated([ID, TIME]).any():
            raise InputError(f"data has several rows with the same {ID} and {TIME}; leave one of each")
        order = list(dict.fromkeys(frame[ID]))
        return frame.pivot(index=TIME, columns=ID, values=VALUE)[order]
    if isinstance(frame.index, pd.DatetimeIndex):
        return frame
    dated = [name for name in frame.columns if pd.api.types.is_datetime64_any_dtype(frame[name])]
    if len(dated) != 1:
        raise InputError(
            f"data has {len(dated)} columns of timestamps and no index of timestamps; set one with "
            "`frame.set_index(pd.to_datetime(...))`"
        )
    return frame.set_index(dated[0])
