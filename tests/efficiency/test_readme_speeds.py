"""The speeds in the performance section of README.md equal those of the kept sweeps."""

import re

import pandas as pd
import pytest

METHODS = {
    "Time-LlaMA": "time-llama",
    "Time-LlaMA-3 (frozen)": "time-llama-3",
    "Time-LlaMA-4 (all LoRA on)": "time-llama-4",
    "Time-LLM": "time-llm",
    "GPT4TS": "gpt4ts",
    "PatchTST": "patchtst",
    "iTransformer": "itransformer",
    "TimesNet": "timesnet",
    "DLinear": "dlinear",
}


@pytest.fixture(scope="module")
def page(root) -> str:
    text = (root / "README.md").read_text(encoding="utf-8")
    return text[text.index("## Performance") : text.index("<!-- gpu: begin -->")]


@pytest.fixture(scope="module")
def rows(root) -> pd.DataFrame:
    """The cells with 862 variates and batch 1, by method."""
    frame = pd.read_csv(root / "docs/reference/cpu/efficiency.csv", low_memory=False)
    cells = frame[(frame["row/variates"] == 862) & (frame["row/batch_size"] == 1)]
    return cells.set_index("sweep/run/variant").filter(like="row/").rename(columns=lambda name: name[4:])


def three(number: float) -> str:
    """Three significant digits, without a decimal point if whole."""
    text = f"{number:#.3g}"
    return f"{float(text):.0f}" if "e" in text or text.endswith(".") else text


def test_each_row_has_the_kept_numbers(page, rows):
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")
    ]
    assert [line[0] for line in lines[2:]] == list(METHODS)
    for name, latency, speed, step, memory, operations, share in lines[2:]:
        row = rows.loc[METHODS[name]]
        assert (latency, speed) == (three(1e3 * row["forward/seconds"]), three(row["samples_per_second"]))
        measured = row["training_status"] == "measured"
        assert step == (three(1e3 * row["training/seconds"]) if measured else "no memory")
        assert memory == three(row["forward/peak"] / 1e6)
        assert (operations, share) == (three(row["flops"] / 1e9), three(100 * row["peak_share"]))


def test_ratios_and_limits_have_the_kept_numbers(page, rows):
    text, speed = " ".join(page.split()), rows["samples_per_second"]
    assert f"is {speed['time-llama'] / speed['time-llm']:.0f}, since Time-LLM sends" in text
    assert f"it is faster, {speed['time-llama'] / speed['patchtst']:.1f} to 1." in text
    assert f"is {speed['itransformer'] / speed['time-llama']:.1f} times as fast as Time-LlaMA." in text
    limits = rows.loc[rows["training_status"] == "out of memory", "limit_bytes"] / 1e9
    assert re.search(r"\((\S+) to (\S+) GB, depending on what", text).groups() == (
        f"{limits.min():.1f}",
        f"{limits.max():.1f}",
    )
