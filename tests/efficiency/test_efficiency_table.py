import io

import pandas as pd
import pytest

from timellama.reports.efficiency_rows import read_sweeps
from timellama.reports.render.markup import MISSING, significant, to_latex, to_markdown
from timellama.reports.render.table_csv import to_csv
from timellama.reports.tables.efficiency import efficiency
from timellama.results.numbers import OWN


@pytest.fixture
def table(made, root, tmp_path):
    llama = [made.measured(7, 1, seconds=0.01), made.measured(862, 1, seconds=0.5, megabytes=900)]
    llama[0]["parameters"]["adapters"] = 512_640
    slow = made.measured(7, 1, seconds=2.0)
    slow |= {"training_status": "too slow", "training_predicted": {"seconds": 99, "bytes": 3e9}}
    del slow["training"]
    files = [
        made.write_sweep(tmp_path, "time-llama", llama, backbone=made.backbone),
        made.write_sweep(
            tmp_path, "patchtst", [made.measured(7, 1, seconds=0.02), made.measured(862, 1, seconds=0.25)]
        ),
        made.write_sweep(
            tmp_path,
            "time-llm",
            [slow, made.not_run(862, 1, why="out of memory", seconds=88, gigabytes=12.34)],
            backbone=made.backbone,
        ),
    ]
    rows = read_sweeps(files, methods=made.methods)
    return efficiency(rows, configuration="cpu", published=root / "config/published/efficiency_traffic.csv")


def lines(table):
    """The cells of each line of the Markdown table."""
    rows = [line[2:-2].split(" | ") for line in to_markdown(table).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows]


@pytest.mark.parametrize(
    ("value", "text"),
    [(12345.6, "12300"), (99.96, "100"), (0.0012345, "0.00123"), (1.0, "1.00"), (0, "0"), (None, MISSING)],
)
def test_numbers_have_three_significant_digits(value, text):
    assert significant(value) == text


def test_a_measured_row_has_the_expected_numbers(table):
    row = next(row for row in lines(table) if row[1] == "Time-LlaMA")
    numbers = "10.0 | 20.0 | 100 | 1.00 | 30.0 | 500 | 1000 | 2.00 | 200 | 25.0 | 1.25 | 0.513"
    assert " | ".join(row) == f"7 | Time-LlaMA | {numbers}"


def test_the_papers_numbers_are_below_ours_with_their_ratio(table):
    rows = lines(table)
    at = next(index for index, row in enumerate(rows) if row[0] == "862")
    assert rows[at][4:6] == ["2.00", "1.00"]
    assert rows[at + 1][1:6] == ["paper, NVIDIA L20", "", "", "10.47", "1.00"]
    assert rows[at + 2][1] == "PatchTST" and rows[at + 2][4:6] == ["4.00", "2.00"]
    assert rows[at + 3][4:6] == ["13.24", "1.26"]
    assert rows[at + 5][4:6] == ["3.510", "0.335"]
    assert sum("paper" in row[1] for row in rows) == 3, "only at 862 variates"


def test_cells_that_were_not_run_say_so(table):
    rows = lines(table)
    slow = next(row for row in rows if row[1] == "Time-LLM" and row[2] == "2000")
    assert slow[6] == "too slow" and slow[8] == "(3000)"
    missing = next(row for row in rows if row[1] == "Time-LLM" and "memory" in row[2])
    assert missing[2] == "out of memory (predicted 12.3 GB)" and missing[7] == "(12300)"


def test_the_notes_say_where_the_numbers_come_from(table):
    text = "\n".join(table.notes)
    for words in (
        "random inputs of the shape",
        "published for Traffic",
        "T 512, H 96",
        "A processor, 2 threads, device cpu, float32",
        "torch 2.13.0",
        "commit 0123456",
        "Memory limit: 8.00 GB",
        "SmolLM2-135M x6",
        "30 to 30 calls",
        "Above 100, the machine was slower when it was timed, or",
    ):
        assert words in text
    [uncounted] = [note for note in table.notes if "_softmax" in note]
    assert "PatchTST" in uncounted


def test_every_line_has_as_many_cells_as_the_table_has_columns(table):
    counted = 0
    for block in table.blocks:
        for row in [*block.header, *(row for group in block.groups for entry in group for row in entry)]:
            assert sum(cell.span for cell in row) == len(table.columns)
            counted += 1
    assert counted == 2 + 6 + 3
    assert to_latex(table).isascii()


def flat(table):
    """The flat rows by method, number of variates and metric."""
    rows = pd.read_csv(io.StringIO(to_csv(table)), dtype={"commit": str})
    assert tuple(rows.columns[: len(OWN)]) == OWN
    rows = rows.set_index(["variant", "variates", "metric"]).sort_index()
    assert rows.index.is_unique
    return rows


def test_the_flat_rows_hold_every_number_unrounded_with_its_unit(table):
    rows = flat(table)
    assert len(rows) == 6 * 12, "three methods at two sizes"
    ours = rows.loc[("time-llama", 7)]["mean"]
    assert ours["latency_median_seconds"] == 0.01 and ours["latency_p95_seconds"] == 0.02
    assert ours["training_step_seconds"] == 0.03 and ours["samples_per_second"] == 100
    assert ours["forecast_peak_bytes"] == 500e6 and ours["training_peak_bytes"] == 1e9
    assert ours["forecast_flop"] == 2e9 and ours["matmul_peak_share"] == 2 and ours["parameters_adapters"] == 512_640
    first = rows.loc[("time-llama", 7, "samples_per_second")]
    assert (first["method"], first["backbone"], first["batch_size"]) == ("Time-LlaMA", "SmolLM2-135M x6", 1)
    assert (first["horizon"], first["look_back"], first["commit"]) == (96, 512, "0123456")
    # The inputs are random: no data, no seeds and no windows.
    assert rows[["data_set", "train_percent", "std", "seeds", "windows"]].isna().all(axis=None)


def test_the_flat_rows_have_the_papers_numbers_at_its_size_only(table):
    rows = flat(table)
    published = rows["published"].dropna()
    assert published["time-llama", 862, "samples_per_second"] == 10.47
    assert published["patchtst", 862, "speed_ratio"] == pytest.approx(13.24 / 10.47)
    assert len(published) == 6 and set(published.index.get_level_values("variates")) == {862}


def test_a_flat_row_says_whether_its_number_was_measured_or_predicted_or_why_there_is_none(table):
    rows = flat(table)
    known = {
        ("time-llama", 7, "latency_median_seconds"): (0.01, "measured", False),
        ("time-llm", 862, "latency_median_seconds"): (88, "out of memory", True),
        ("time-llm", 862, "forecast_peak_bytes"): (12.34e9, "out of memory", True),
        ("time-llm", 7, "training_step_seconds"): (99, "too slow", True),
        ("time-llm", 7, "forecast_peak_bytes"): (500e6, "measured", False),
    }
    for place, expected in known.items():
        row = rows.loc[place]
        assert (row["mean"], row["status"], row["predicted"]) == expected
    for name in ("samples_per_second", "training_step_seconds"):
        none = rows.loc[("time-llm", 862, name)]
        assert pd.isna(none["mean"]) and (none["status"], none["predicted"]) == ("out of memory", False)


def test_limits_that_differ_between_cells_are_given_as_a_range(made, tmp_path):
    rows = [made.not_run(7, 1, why="out of memory", seconds=9, gigabytes=12), made.measured(7, 1, seconds=0.01)]
    files = [
        made.write_sweep(tmp_path, name, [row | {"limit_bytes": limit}])
        for name, row, limit in zip(("time-llm", "patchtst"), rows, (8_000_000_000, 9_000_000_000), strict=True)
    ]
    made_of = efficiency(read_sweeps(files, methods=made.methods), configuration="own", published=None)
    assert "Memory limit: 8.00 to 9.00 GB." in " ".join(made_of.notes)


def test_on_cuda_the_reserved_memory_is_shown_too(made, tmp_path):
    row = made.measured(7, 1, seconds=0.01) | {"device": "A GPU"}
    row["training"] = row["training"] | {"reserved": 2_000_000_000}
    rows = read_sweeps([made.write_sweep(tmp_path, "patchtst", [row])], methods=made.methods)
    table = efficiency(rows, configuration="own", published=None)
    assert len(table.columns) == 15 and "reserved" in to_markdown(table)
    assert lines(table)[-1][7:10] == ["500", "1000", "2000"]
    assert flat(table).loc[("patchtst", 7, "reserved_peak_bytes"), "mean"] == 2e9
    assert lines(table)[-1][5] == MISSING, "no Time-LlaMA to compare with"
    text = " ".join([table.caption, *table.notes])
    assert "which was not measured here" in text and not any(
        words in text for words in ("in parentheses", "Memory limit", "paper")
    )
