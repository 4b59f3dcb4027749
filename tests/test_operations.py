"""The operations that docs/claims.md gives are those that the script counts."""

import importlib
import re

import pytest

from benchmarks.gpu.pages import FOLDER
from benchmarks.gpu.record import Record
from benchmarks.operations import operations


def test_the_page_has_the_operations_that_are_counted(root):
    counted = operations(root)
    page = (root / "docs/claims.md").read_text(encoding="utf-8")
    given = re.search(r"Time-LlaMA ([\d ]+) GFLOP, PatchTST ([\d ]+) GFLOP, Time-LLM ([\d ]+) GFLOP", page)
    numbers = [int(text.replace(" ", "")) for text in given.groups()]
    names = ("time-llama", "patchtst", "time-llm")
    assert numbers == [round(counted[name] / 1e9) for name in names]
    ours, patchtst, llm = (counted[name] for name in names)
    assert f"needs {ours / patchtst:.0f} times" in page
    assert f"Time-LLM {llm / ours:.0f} times" in page


def test_the_page_has_the_operations_of_the_gpu_and_why_those_of_time_llama_differ(root):
    rows = [row for row in Record.read(FOLDER) if row.get("batch") == 1 and "gflop" in row]
    of = {
        row["method"]: row["gflop"] for row in rows if row["part"] == "efficiency" and "2-7B" in (row["backbone"] or "")
    }
    page = " ".join((root / "docs/claims.md").read_text(encoding="utf-8").split())
    assert f"{of['time-llama']:,.0f} GFLOP for Time-LlaMA" in page and f"{of['time-llm']:,.0f} for Time-LLM" in page
    layer = 2 * 862 * 4096**2 / 1e9  # TSEmb's second layer, of Llama-2 7B's width
    assert operations(root)["time-llama"] / 1e9 == pytest.approx(of["time-llama"] + layer, abs=0.5)
    assert f"the second takes {layer:.0f}" in page


def test_the_speed_benchmarks_can_be_imported():
    """`make test` runs no benchmark, so nothing else would notice that something they import has moved."""
    assert callable(importlib.import_module("benchmarks.test_speed").training_step)
