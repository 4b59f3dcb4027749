"""Whether a run is given the calendar, and which features of it."""

from timellama.core.errors import InputError
from timellama.data.catalogue.calendar import features_of
from timellama.data.catalogue.datasets import Dataset
from timellama.experiments.configuration import DatasetSetting
from timellama.methods.method import Method


def calendar_of(entry: Dataset, setting: DatasetSetting | None, *, method: Method, where: str) -> tuple[str, ...]:
    """The features that a method's runs on a data set have: as the experiment's `setting` says, else as the entry does.

    None for a method that reads no calendar: it makes the same run, under the same identity. Raises InputError, for any
    method, where the data set cannot have a calendar.
    """
    wanted = setting.calendar if setting is not None and setting.calendar is not None else entry.calendar
    if not wanted:
        return ()
    try:
        features = features_of(entry.frequency, separate=entry.split.rule == "published")
    except InputError as error:
        raise InputError(f"{where}: calendar is true for {entry.name}, but {error}") from error
    return features if method.calendar else ()
