"""A file is complete or absent, and the same content gives the same bytes."""

import json

import numpy as np
import pytest

from tests.refusal import refused
from timellama.core.files import atomic, read_arrays, write_arrays, write_csv, write_json


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "metrics.json"
    target.write_text("old", encoding="utf-8")
    with refused("disk full", error=OSError), atomic(target) as file:
        file.write(b"half")
        raise OSError("disk full")
    assert target.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_arrays_are_read_back_and_equal_content_gives_equal_bytes(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.array(["x", "\N{LATIN SMALL LETTER E WITH ACUTE}"])}
    write_arrays(tmp_path / "1.npz", arrays)
    write_arrays(tmp_path / "2.npz", arrays)
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()
    back = read_arrays(tmp_path / "1.npz", ("a", "b"))
    assert all(np.array_equal(back[name], arrays[name]) for name in arrays)


def test_a_csv_file_has_a_header_even_without_rows(tmp_path):
    write_csv(tmp_path / "none.csv", ("step", "loss"), [])
    write_csv(tmp_path / "two.csv", ("step", "loss"), [{"step": 1, "loss": 0.5}, {"step": 2, "loss": None}])
    assert (tmp_path / "none.csv").read_text(encoding="utf-8") == "step,loss\n"
    assert (tmp_path / "two.csv").read_text(encoding="utf-8") == "step,loss\n1,0.5\n2,\n"


def test_nan_is_not_written_as_json(tmp_path):
    write_json(tmp_path / "ok.json", {"b": 1, "a": [0.5]})
    assert json.loads((tmp_path / "ok.json").read_text(encoding="utf-8")) == {"a": [0.5], "b": 1}
    with pytest.raises(ValueError):
        write_json(tmp_path / "nan.json", {"mse": float("nan")})
    assert not (tmp_path / "nan.json").exists()
