"""What an experiment does before and after training: the order of columns, the device, whole files."""

import numpy as np
import pytest

from timellama.data.series import Series
from timellama.experiment import in_order, pick_device

SERIES = Series(
    values=np.arange(21.0).reshape(3, 7),
    time=np.array(["2020-01-01", "2020-01-02", "2020-01-03"], dtype="datetime64[s]"),
    columns=("a", "b", "c", "d", "e", "f", "g"),
    raw_sha256="0",
)


def test_order_0_is_the_files_and_others_move_names_with_values():
    assert in_order(SERIES, 0) is SERIES
    moved = in_order(SERIES, 1)
    assert moved.columns != SERIES.columns and sorted(moved.columns) == sorted(SERIES.columns)
    for place, name in enumerate(moved.columns):
        assert np.array_equal(moved.values[:, place], SERIES.values[:, SERIES.columns.index(name)])
    assert in_order(SERIES, 1).columns == moved.columns != in_order(SERIES, 2).columns


def test_a_device_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert pick_device("auto") == "cpu"
    with pytest.raises(ValueError, match="device is 'cuda'.*auto or cpu"):
        pick_device("cuda")
