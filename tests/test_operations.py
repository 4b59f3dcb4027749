"""The operations that docs/claims.md gives are those that the script counts."""

import re

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
