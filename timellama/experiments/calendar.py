"""Whether a run gets the calendar, and which of its features."""

from timellama.core.errors import InputError
from timellama.data.catalogue.calendar import features_of
from timellama.data.catalogue.datasets import Dataset
from timellama.experiments.configuration import DatasetSetting
from timellama.methods.method import Method


def calendar_of(entry: Dataset, setting: DatasetSetting | None, *, method: Method, where: str) -> tuple[str, ...]:
    """The calendar features of a method's runs on a data set: the experiment's `setting` decides, else the entry.

    Empty for a method that reads no calendar, so its run and its identity stay the same. Raises InputError, for any
    method, if the data set cannot have a calendar.
    """
    wanted = setting.calendar if setting is not None and setting.calendar is not None else entry.calendar
    if not wanted:
        return ()
    try:
        features = features_of(entry.frequency, separate=entry.split.rule == "published")
    except InputError as error:
        raise InputError(f"{where}: calendar is true for {entry.name}, but {error}") from error
    return features if method.calendar else ()
