"""A table as CSV: unrounded numbers, one per row, that pandas reads back; a table without numbers as it prints."""

import io
import math

import pandas as pd

from tests.made_up import summary
from timellama.reports.registry import built, reports
from timellama.reports.render.cells import Block, Cell, Table
from timellama.reports.render.table_csv import to_csv, written
from timellama.reports.render.table_model import errors_table
from timellama.reports.report import ReportContext
from timellama.reports.tables.experiment import LONG_TERM
from timellama.results.numbers import COLUMNS, numbers_of

OURS = {"label": "Time-LlaMA, ours", "backbone": "SmolLM2-135M x6", "commits": ("abcdef0", "abcdef1")}
SPREAD = {"mse": 0.1 + 0.2, "mse_std": 1 / 3, "mae": 0.41, "mse_paper": 0.372, "mse_gap": -19.0}
CELL = summary("time-llama", **OURS, **SPREAD)
FLOOR = CELL | {
    "variant": "repeat",
    "method": "seasonal-naive",
    "label": "Repeat",
    "backbone": "",
    "seeds": (0,),
    "mse_std": math.nan,
}


def text(*cells):
    planned = [(cell["dataset"], cell["context"], cell["horizon"], cell["variant"]) for cell in cells]
    return to_csv(errors_table(pd.DataFrame(cells), heading=LONG_TERM, configuration="cpu", planned=planned))


def test_each_row_holds_one_number_that_reads_back_to_the_last_bit():
    read = pd.read_csv(io.StringIO(text(CELL, FLOOR)))
    assert tuple(read.columns) == COLUMNS and len(read) == 4
    first = read.iloc[0]
    assert first["mean"] == 0.1 + 0.2 and first["std"] == 1 / 3 and first["published"] == 0.372
    assert (first["data_set"], first["horizon"], first["look_back"], first["metric"]) == ("ETTh1", 96, 512, "mse")
    assert (first["method"], first["backbone"], first["train_percent"]) == ("Time-LlaMA, ours", "SmolLM2-135M x6", 100)
    assert (first["seeds"], first["windows"], first["commit"]) == ("0 1", 2785, "abcdef0 abcdef1")
    # One seed has no spread, and the paper no MAE: empty cells, which pandas reads as NaN.
    one = read[(read["variant"] == "repeat") & (read["metric"] == "mse")].iloc[0]
    assert math.isnan(one["std"]) and one["seeds"] == "0" and read["published"].isna().sum() == 2


def test_a_row_over_several_data_sets_has_no_horizon():
    [mse, _] = numbers_of(pd.DataFrame([CELL | {"dataset": "M4", "horizon": 0, "context": 0}]), ["mse", "mae"])
    assert mse["horizon"] is None and mse["look_back"] is None


def test_a_table_without_numbers_is_written_as_it_prints():
    header = ((Cell(), Cell(text="Time", span=2)), (Cell(text="N"), Cell(text="ours"), Cell(text="paper")))
    entry = ((Cell(text="7"), Cell(text="1.5", spread="0.1"), Cell()), (Cell(), Cell(text="2,5"), Cell(text="3")))
    headed = ((Cell(text="CPU", span=3),),)
    table = Table(columns="lrr", blocks=(Block(header=header, groups=((headed, entry),)),), caption="c", label="l")
    assert to_csv(table) == 'part,N,Time ours,Time paper\nCPU,7,1.5 0.1,\nCPU,7,"2,5",3\n'


def test_a_file_without_rows_has_its_header():
    header = ((Cell(), Cell(text="Time", span=2)), (Cell(text="N"), Cell(text="ours"), Cell(text="paper")))
    table = Table(columns="lrr", blocks=(Block(header=header, groups=()),), caption="c", label="l")
    assert to_csv(table) == "N,Time ours,Time paper\n"
    report, configuration = reports({"long_term": {}})["table_failures"], {"configuration": "cpu"}
    columns = ["result", "reason", "command"]
    for absent in ([], [dict.fromkeys(columns, "x")]):
        facts = configuration | {"failures": absent, "results_planned": 7}
        texts = built(ReportContext(report=report, files={}, facts=facts))
        read = pd.read_csv(io.StringIO(texts[".csv"]))
        assert list(read.columns) == columns and len(read) == len(absent)


def test_rows_of_several_kinds_share_a_header():
    assert written([{"a": 1}, {"b": None, "a": 0.1}]) == "a,b\n1,\n0.1,\n"
