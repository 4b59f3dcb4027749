"""The kept page of a GPU matches its kept numbers, and the check runs on a CPU."""

import pytest
from torch import nn

from benchmarks.gpu import efficiency
from benchmarks.gpu.pages import FOLDER, LABELS, PAPER, page, rate, section, share, with_section
from benchmarks.gpu.record import ROOT, Given, Record
from tests import made_up
from timellama.methods.dlinear import DLinearOptions


def test_the_page_is_generated_from_the_kept_numbers():
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == page(Record.read(FOLDER))


def test_the_readme_has_the_kept_numbers():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme == with_section(readme, section(Record.read(FOLDER)))


def test_the_maximum_of_a_method_is_its_own_and_not_that_of_a_variant():
    rows = Record.read(FOLDER)
    for method in PAPER:
        speeds = [
            row["batch"] / row["median_ms"] * 1000
            for row in rows
            if row["part"] == "efficiency"
            and row.get("method") == method
            and "median_ms" in row
            and row["what"] == "forecast"
            and "3.2" not in (row["backbone"] or "")
        ]
        [line] = [
            line
            for line in page(rows).splitlines()
            if line.startswith(f"| {LABELS[method]}") and f"| {PAPER[method]} |" in line
        ]
        assert line.split(" | ")[-1].removesuffix(" |") == f"{max(speeds):.4g}"


def test_rate_and_share_use_the_median_of_an_even_number_of_calls(tmp_path, monkeypatch, sample_run):
    monkeypatch.setattr(efficiency, "timed", lambda call, **_: [9.0, 1.0, 5.0, 2.0])
    monkeypatch.setattr(efficiency, "operations", lambda call: (7e9, 0))
    run = made_up.small(sample_run, options=DLinearOptions(), context=8, horizon=2, variates=3)
    record = Record(tmp_path, part="efficiency")
    given = Given(device="cpu", out=tmp_path, results=tmp_path, tiny=True, end=0.0, record=record)
    assert efficiency.measure(given, run, nn.Identity(), 4, {"what": "forecast"}, 1e10) == 3.5
    [row] = Record.read(tmp_path)
    assert row["median_ms"] == 3500 and row["samples_per_second"] == rate(row) == pytest.approx(4 / 3.5)
    assert row["share_of_peak"] == share(row) == pytest.approx(0.2)
    upper = row | {"samples_per_second": 4 / 5, "share_of_peak": 7e9 / 5 / 1e10}  # as in the kept rows
    assert share(upper) == pytest.approx(0.2)


def test_a_record_continues_after_an_error(tmp_path):
    record = Record(tmp_path, part="toy")
    record.add(what="before", value=1.5)
    with record.attempt(what="step", batch=4):
        raise RuntimeError("no memory")
    record.add(what="after")
    rows = Record.read(tmp_path)
    assert [row["what"] for row in rows] == ["before", "step", "after"] and rows[0]["value"] == 1.5
    assert rows[1]["batch"] == 4 and rows[1]["error"] == "RuntimeError: no memory"
