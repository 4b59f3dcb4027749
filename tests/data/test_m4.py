"""M4's series are read as published, and no window for training or selection reads the test part."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.refusal import refused
from timellama.data.canonicalise import normalise
from timellama.data.catalogue.datasets import Dataset, load_catalogue
from timellama.data.m4.frequencies import FREQUENCIES
from timellama.data.m4.series import M4Series, load_m4
from timellama.data.m4.windows import M4Parts, prepare_m4

LENGTHS = [13, 20, 40]  # yearly: the shortest of the published files has 13


def quoted(rows: list[list[object]], width: int) -> str:
    lines = [",".join(f'"V{i + 1}"' for i in range(width + 1))]
    lines += [",".join([*(f'"{cell}"' for cell in row), *[""] * (width + 1 - len(row))]) for row in rows]
    return "\n".join(lines) + "\n"


def content(lengths: list[int] = LENGTHS) -> tuple[str, str]:
    """Series i has the values 1000 i + 1, 1000 i + 2, ..., continued in the test part."""
    train = [[f"Y{i + 1}", *(1000 * i + k + 1 for k in range(n))] for i, n in enumerate(lengths)]
    test = [[f"Y{i + 1}", *(1000 * i + n + k + 1 for k in range(6))] for i, n in enumerate(lengths)]
    return quoted(train, max(lengths)), quoted(test, 6)


class Desk:
    """Writes the two files and normalises them."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder, self.out, self.quirks = folder, folder / "s.npz", folder / "q.json"
        yearly = load_catalogue(root / "config" / "datasets.yaml")["M4-Yearly"]
        unpinned = tuple(dataclasses.replace(file, sha256=None) for file in yearly.files)
        self.dataset: Dataset = dataclasses.replace(yearly, rows=len(LENGTHS), files=unpinned)

    def run(self, train: str, test: str) -> M4Series:
        files = [self.folder / "train.csv", self.folder / "test.csv"]
        for file, text in zip(files, (train, test), strict=True):
            file.write_text(text)
        normalise(self.dataset, files, self.out, self.quirks)
        return load_m4(self.out)


@pytest.fixture
def desk(tmp_path: Path, root: Path) -> Desk:
    return Desk(tmp_path, root)


@pytest.fixture
def parts(desk: Desk) -> M4Parts:
    return prepare_m4(desk.run(*content()), context=12, frequency="YE")


def test_series_are_read_as_published(desk: Desk) -> None:
    series = desk.run(*content())
    assert (series.ids, series.horizon, series.season, len(series)) == (("Y1", "Y2", "Y3"), 6, 1, 3)
    assert series.training(1).tolist() == [1001.0 + k for k in range(20)]
    assert series.test[2].tolist() == [2041.0 + k for k in range(6)]
    facts = json.loads(desk.quirks.read_text())
    assert facts["training_lengths"] == {"shortest": 13, "median": 20.0, "longest": 40}
    assert (facts["values_not_positive"], facts["constant_series"]) == (0, [])
    first = desk.out.read_bytes()
    desk.run(*content())
    assert desk.out.read_bytes() == first


def flat(batch: tuple[torch.Tensor, torch.Tensor]) -> list[list[list[int]]]:
    return [part[..., 0].int().tolist() for part in batch]


def test_test_windows_end_with_the_training_series(parts: M4Parts) -> None:
    x, y = flat(parts.test.batch(torch.arange(3)))
    assert x == [list(range(2, 14)), list(range(1009, 1021)), list(range(2029, 2041))]
    assert y == [list(range(14, 20)), list(range(1021, 1027)), list(range(2041, 2047))]


def test_validation_holds_out_the_last_training_values(parts: M4Parts) -> None:
    x, y = flat(parts.validation.batch(torch.arange(3)))
    assert y == [list(range(8, 14)), list(range(1015, 1021)), list(range(2035, 2041))]
    assert x[0] == [1, 1, 1, 1, 1, 1, 2, 3, 4, 5, 6, 7]  # only 7 values precede: padded with the first one
    assert x[1:] == [list(range(1003, 1015)), list(range(2023, 2035))]


def test_training_windows_match_hand_computed_ones(parts: M4Parts) -> None:
    """Without the held-out 6, the series have 7, 14 and 34 values; cuts are in the last 9 and before the last 6."""
    assert len(parts.train) == 1 + 4 + 4
    x, y = flat(parts.train.batch(torch.arange(9)))
    assert x[0] == [1] * 12 and y[0] == [2, 3, 4, 5, 6, 7]
    assert [targets[0] for targets in y[1:]] == [1006, 1007, 1008, 1009, 2026, 2027, 2028, 2029]
    assert x[1] == [1001] * 8 + [1002, 1003, 1004, 1005]
    assert y[-1][-1] == 2034  # the last value before the held-out ones
    assert all(context[-1] + 1 == targets[0] for context, targets in zip(x, y, strict=True))


def test_windows_have_the_expected_shapes_and_types(parts: M4Parts) -> None:
    x, y = parts.train.batch(torch.tensor([8, 0]))
    assert (x.shape, y.shape, x.dtype, y.dtype) == ((2, 12, 1), (2, 6, 1), torch.float32, torch.float32)
    with pytest.raises(IndexError):
        parts.train.batch(torch.tensor([9]))


def test_the_test_part_reaches_neither_training_nor_selection(desk: Desk) -> None:
    series = desk.run(*content())
    other = dataclasses.replace(series, test=series.test + 1e6)
    a, b = (prepare_m4(s, context=12, frequency="YE") for s in (series, other))
    for name in ("train", "validation"):
        one, two = getattr(a, name), getattr(b, name)
        every = torch.arange(len(one))
        for left, right in zip(one.batch(every), two.batch(every), strict=True):
            assert torch.equal(left, right)
    assert not torch.equal(a.test.batch(torch.arange(3))[1], b.test.batch(torch.arange(3))[1])


def test_held_out_values_are_no_training_targets(parts: M4Parts) -> None:
    held = set(torch.cat([y.flatten() for y in parts.validation.batch(torch.arange(3))[1:]]).tolist())
    trained = torch.cat([part.flatten() for part in parts.train.batch(torch.arange(len(parts.train)))])
    assert held.isdisjoint(trained.tolist())


def test_a_series_too_short_to_train_on_is_still_tested(desk: Desk) -> None:
    parts = prepare_m4(desk.run(*content([7, 12, 13])), context=12, frequency="YE")
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (1, 3, 3)


@pytest.mark.parametrize(
    ("file", "old", "new", "named"),
    [
        (1, '"Y2"', '"Y9"', ("test.csv", "series 2", "Y9", "Y2", "train.csv")),
        (1, '"Y2"', '"Y1"', ("test.csv", "line 3", "Y1")),
        (0, '"1002"', '""', ("train.csv", "line 3", "V3", "quirks.irregular_steps")),
        (0, '"1002"', '"x"', ("train.csv", "line 3", "V3", "x", "quirks.irregular_steps")),
        (1, '"1021"', "", ("test.csv", "line 3", "V2", "quirks.irregular_steps")),
        (1, ',"1026"', "", ("test.csv", "Y2", 5, 6)),
    ],
)
def test_files_that_do_not_fit_are_refused(file: int, old: str, new: str, named: tuple, desk: Desk) -> None:
    texts = list(content())
    assert old in texts[file]
    texts[file] = texts[file].replace(old, new)
    with refused(*named):
        desk.run(*texts)
    assert not desk.out.exists()


def test_missing_series_and_short_series_are_refused(desk: Desk) -> None:
    train, test = content()
    with refused("test.csv", 2, "M4-Yearly", 3):
        desk.run(train, "\n".join(test.splitlines()[:-1]) + "\n")
    with refused("train.csv", "Y1", 6):
        desk.run(*content([6, 20, 40]))
    with refused("train.csv", "line 2", "Y1"):
        desk.run(train.replace('"Y1"' + "".join(f',"{k}"' for k in range(1, 14)), '"Y1"' + "," * 13), test)


def test_settings_that_do_not_fit_are_refused(desk: Desk) -> None:
    series = desk.run(*content())
    with refused("frequency", "ME", "horizon", 6, "season", 1, "YE"):
        prepare_m4(series, context=12, frequency="ME")
    with refused("context", 0, 1):
        prepare_m4(series, context=0, frequency="YE")
    with refused("horizon 6", "6 values"):
        prepare_m4(desk.run(*content([12, 12, 12])), context=12, frequency="YE")
    desk.dataset = dataclasses.replace(desk.dataset, season=4)
    with refused("M4-Yearly", "season", 4, 1):
        desk.run(*content())


def test_the_catalogue_and_the_reader_agree_on_seasons_and_horizons(root: Path) -> None:
    published = {"Yearly": 6, "Quarterly": 8, "Monthly": 18, "Weekly": 13, "Daily": 14, "Hourly": 48}
    sets = {n: d for n, d in load_catalogue(root / "config" / "datasets.yaml").items() if d.reader == "m4"}
    made_up = sets.pop("Synthetic-M4")
    assert FREQUENCIES[made_up.frequency].season == made_up.season and made_up.generated
    assert len(sets) == 6
    for name, dataset in sets.items():
        frequency = FREQUENCIES[dataset.frequency]
        assert (frequency.season, frequency.horizon) == (dataset.season, published[name.removeprefix("M4-")])


@pytest.mark.parametrize(
    ("name", "lengths", "values"), [("Weekly", (80, 2597), 366912), ("Hourly", (700, 960), 353500)]
)
def test_real_files(name: str, lengths: tuple, values: int, root: Path, shared: Path, tmp_path: Path) -> None:
    dataset = load_catalogue(root / "config" / "datasets.yaml")[f"M4-{name}"]
    raw = [shared / "data" / file.path for file in dataset.files]
    normalise(dataset, raw, tmp_path / "s.npz", tmp_path / "q.json")
    series = load_m4(tmp_path / "s.npz")
    facts = json.loads((tmp_path / "q.json").read_text())
    assert series.raw_sha256 == dataset.sha256
    assert (facts["training_lengths"]["shortest"], facts["training_lengths"]["longest"]) == lengths
    assert len(series.values) == values
    horizon = series.horizon
    parts = prepare_m4(series, context=2 * horizon, frequency=dataset.frequency)
    x, y = parts.test.batch(torch.arange(len(series)))
    assert np.array_equal(y[..., 0].numpy(), series.test.astype(np.float32))
    assert x[0, -1, 0] == np.float32(series.training(0)[-1])
    # Cuts reach back 10 horizons from each series' hold-out, less if it is shorter, and leave a whole target.
    counts = [
        max(0, min(10 * horizon, len(series.training(i)) - horizon - 1) - horizon + 1) for i in range(len(series))
    ]
    assert len(parts.train) == sum(counts)
