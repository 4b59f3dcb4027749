"""The numbers of docs/few_shot.md are those of the kept runs and of the paper's table."""

import itertools
import re

import pandas as pd
import pytest

from tests.kept import kept_runs

ROWS = {
    "Time-LlaMA, as published": "time-llama",
    "random weights in the blocks, frozen": "time-llama-random-frozen",
    "one attention layer in place of the blocks": "time-llama-attention",
    "no language model: the head reads the aligned tokens": "time-llama-none",
    "PatchTST": "patchtst",
    "DLinear": "dlinear",
}


@pytest.fixture(scope="module")
def kept(root) -> pd.DataFrame:
    frame = kept_runs(root)
    few = frame[(frame["run/train_percent"] == 5) & (frame["run/backbone/blocks"].fillna(6) == 6)]
    return few[few["run/variant"].isin(ROWS.values())]


@pytest.fixture(scope="module")
def page(root) -> dict[str, list[str]]:
    text = (root / "docs/few_shot.md").read_text(encoding="utf-8")
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return {first.strip(): [cell.strip() for cell in rest] for first, *rest in lines}


@pytest.fixture(scope="module")
def text(root) -> str:
    return " ".join((root / "docs/few_shot.md").read_text(encoding="utf-8").split())


@pytest.mark.parametrize("label", ROWS)
def test_a_row_is_the_mean_of_three_seeds(kept, page, label):
    runs = kept[(kept["run/variant"] == ROWS[label]) & (kept["run/dataset"] == "ETTh1")]
    for horizon, printed in zip((96, 192, 336), page[label], strict=True):
        cell = runs[runs["run/horizon"] == horizon]
        assert sorted(cell["run/seed"]) == [0, 1, 2] and printed == f"{cell['mse'].mean():.3f}"


def test_the_papers_row_is_the_papers(root, page):
    paper = pd.read_csv(root / "config/published/table3_few_shot_5pct.csv")
    ours = paper[(paper["dataset"] == "ETTh1") & (paper["method"] == "Time-LlaMA")].set_index("horizon")["mse"]
    assert page["the paper's Time-LlaMA"] == [f"{ours[horizon]:.3f}" for horizon in (96, 192, 336)]


def test_no_seed_of_a_row_overlaps_with_one_of_the_next(kept):
    order = list(ROWS.values())[:4]
    for horizon in (96, 192, 336):
        cells = kept[(kept["run/dataset"] == "ETTh1") & (kept["run/horizon"] == horizon)].groupby("run/variant")["mse"]
        for worse, better in itertools.pairwise(order):
            assert cells.min()[worse] > cells.max()[better]


def test_the_validation_losses_are_those_of_the_runs(kept, text):
    of = kept[(kept["run/dataset"] == "ETTh1") & (kept["run/horizon"] == 96)].groupby("run/variant")["validation_loss"]
    for variant, said in (
        ("time-llama", "{} to {} with the language model"),
        ("time-llama-random-frozen", "{} to {} with random weights"),
        ("time-llama-attention", "{} to {} with attention"),
        ("time-llama-none", "{} to {} without"),
    ):
        assert said.format(*(f"{end[variant]:.2f}" for end in (of.min(), of.max()))) in text


def test_what_the_mean_of_the_look_back_is_below(root, text):
    """Also of the runs with larger tokens, and of each variant of the ablation."""
    frame = pd.read_csv(root / "docs/reference/cpu/metrics.csv", low_memory=False)
    frame = frame[(frame["run/dataset"] == "ETTh1") & (frame["run/horizon"] == 96) & (frame["run/train_percent"] == 5)]
    means = frame.groupby("run/variant")["mse"].mean()
    ours = means[means.index.str.startswith("time-llama")]
    controls = {"time-llama-none", "time-llama-attention", "time-llama-random-frozen"}
    better = set(ours[ours < means["look-back-mean"]].index) - controls
    assert better == {f"time-llama-scale-{scale}" for scale in (60, 100, 300)} and "tokens times 60 or more" in text
    assert means["hour-of-day-mean"] < ours.min()
    assert f"has {means['hour-of-day-mean']:.3f}, below every variant" in text
    assert f"The mean of the look-back has {means['look-back-mean']:.3f}." in text


def test_weather_is_as_the_text_has_it(kept, text):
    without, with_it = re.search(
        r"it is ([\d., and]+) without the language model, against ([\d., and]+) with it", text
    ).groups()
    for numbers, variant in ((without, "time-llama-none"), (with_it, "time-llama")):
        runs = kept[(kept["run/dataset"] == "Weather") & (kept["run/variant"] == variant)].groupby("run/horizon")["mse"]
        assert re.findall(r"\d\.\d+", numbers) == [f"{runs.mean()[horizon]:.3f}" for horizon in (96, 192, 336)]
