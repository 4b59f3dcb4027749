"""The numbers of docs/few_shot.md are those of the kept runs and of the paper's table."""

import itertools
import json
import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.kept import errors, kept_runs, searched_runs, table_1_runs

ROWS = {
    "Time-LlaMA, with the language model": "time-llama",
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


def test_the_papers_row_has_the_papers_numbers(root, page):
    paper = pd.read_csv(root / "config/published/table3_few_shot_5pct.csv")
    ours = paper[(paper["dataset"] == "ETTh1") & (paper["method"] == "Time-LlaMA")].set_index("horizon")["mse"]
    assert page["the paper's Time-LlaMA"] == [f"{ours[horizon]:.3f}" for horizon in (96, 192, 336)]


def test_the_seeds_of_consecutive_rows_do_not_overlap(kept):
    order = list(ROWS.values())[:4]
    for horizon in (96, 192, 336):
        cells = kept[(kept["run/dataset"] == "ETTh1") & (kept["run/horizon"] == horizon)].groupby("run/variant")
        for error in ("mse", "validation_loss"):
            for worse, better in itertools.pairwise(order):
                assert cells[error].min()[worse] > cells[error].max()[better]


def test_the_gap_with_all_rows_and_with_few_matches_the_text(root, kept, text):
    pairs = [[errors(table_1_runs(root), f"time-llama{each}", h).mean() for each in ("", "-none")] for h in (96, 720)]
    few = [errors(kept, f"time-llama{each}", 96, percent=5).mean() for each in ("", "-none")]
    first, last, gap = (100 * (ours / without - 1) for ours, without in (*pairs, few))
    steps = errors(kept, "time-llama", 96, percent=5, error="steps")
    assert f"is {first:.0f} % at horizon 96 and {last:.0f} % at 720. With these rows it is {gap:.0f} % at 96," in text
    assert f"where training ends after {steps.min():.0f} to {steps.max():.0f} steps" in text


def test_the_first_four_rows_share_their_training_settings(kept):
    four = kept[kept["run/variant"].isin(list(ROWS.values())[:4]) & (kept["run/dataset"] == "ETTh1")]
    for setting in ("learning_rate", "batch_size", "max_steps", "validation_windows", "patience"):
        assert four[f"run/training/{setting}"].nunique() == 1


def test_the_validation_losses_are_those_of_the_runs(kept, text):
    of = kept[(kept["run/dataset"] == "ETTh1") & (kept["run/horizon"] == 96)].groupby("run/variant")["validation_loss"]
    for variant, said in (
        ("time-llama", "{} to {} with the language model"),
        ("time-llama-random-frozen", "{} to {} with random weights"),
        ("time-llama-attention", "{} to {} with attention"),
        ("time-llama-none", "{} to {} without"),
    ):
        assert said.format(*(f"{end[variant]:.2f}" for end in (of.min(), of.max()))) in text


def test_only_larger_tokens_and_controls_beat_the_mean_of_the_look_back(root, text):
    """This includes the runs with larger tokens and every variant of the ablation."""
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


def test_the_errors_on_weather_match_the_text(kept, text):
    without, with_it = re.search(
        r"it is ([\d., and]+) without the language model, against ([\d., and]+) with it", text
    ).groups()
    for numbers, variant in ((without, "time-llama-none"), (with_it, "time-llama")):
        runs = kept[(kept["run/dataset"] == "Weather") & (kept["run/variant"] == variant)].groupby("run/horizon")["mse"]
        assert re.findall(r"\d\.\d+", numbers) == [f"{runs.mean()[horizon]:.3f}" for horizon in (96, 192, 336)]


@pytest.fixture(scope="module")
def tokens(root) -> dict[str, pd.DataFrame]:
    """The runs of the experiment `tokens` by variant, one row per seed."""
    results = json.loads((root / "docs/reference/cpu/plan.json").read_text())["experiments"]["tokens"]["results"]
    frame = pd.read_csv(root / "docs/reference/cpu/metrics.csv", low_memory=False)
    runs = frame[frame["result"].isin(results)].groupby("run/variant")
    return {variant: of.set_index("run/seed").sort_index() for variant, of in runs}


def test_the_table_of_token_scales_has_the_kept_numbers(root, page, tokens, kept):
    scaled = {row["scale"]: row for row in json.loads((root / "docs/depth/scale.json").read_text())}
    same = (kept["run/variant"] == "time-llama-none") & (kept["run/dataset"] == "ETTh1") & (kept["run/horizon"] == 96)
    rows = {"1, head of its own start": tokens["time-llama"], "1, head of zeros": tokens["time-llama-zero-head"]}
    rows |= {f"{scale}, head of zeros": tokens[f"time-llama-scale-{scale}"] for scale in (5, 20, 60, 100, 300)}
    for name, runs in (rows | {"no language model, head of its own start": kept[same]}).items():
        norm, blocks, r2, loss, error = page[name]
        assert len(runs) == 3
        assert loss == f"{runs['validation_loss'].min():.2f} to {runs['validation_loss'].max():.2f}"
        assert error.replace("\N{NO-BREAK SPACE}", " ") == f"{runs['mse'].mean():.3f} ± {runs['mse'].std():.3f}"
        if "head of zeros" in name:
            row = scaled[int(name.split(",")[0])]
            assert (norm, blocks, r2) == (f"{row['norm']:.0f}", f"{100 * row['blocks']:.1f}", f"{row['r2']:.2f}")
        else:
            assert (norm, blocks, r2) == ("", "", ""), "measured only with the head of zeros"


def test_the_gain_of_larger_tokens_over_the_head_of_zeros_matches_the_text(tokens, text):
    zeros, chances = tokens["time-llama-zero-head"]["mse"], []
    for scale in (20, 60, 100, 300):
        of = tokens[f"time-llama-scale-{scale}"]["mse"]
        assert of.mean() < zeros.mean() and ((of < zeros).all() or scale < 100)
        chances.append(stats.ttest_1samp(np.log(of / zeros), 0).pvalue)
    third, fourth = chances[2:]
    assert f"paired, log ratios, uncorrected: p = {third:.4f} and {fourth:.3f}" in text
    five, own, one = (tokens[f"time-llama{each}"]["mse"].mean() for each in ("-scale-5", "", "-linear"))
    assert f"Five times gives {five:.3f} as well." in text and f"{five:.3f}" == f"{zeros.mean():.3f}"
    assert f"The head of zeros alone takes {own:.3f} to {zeros.mean():.3f}" in text
    assert f"TSEmb of one layer or two makes none that can be seen: {one:.3f} and {own:.3f}." in text


def test_the_choices_of_the_search_match_the_text(root, text):
    found = (
        searched_runs(root)
        .groupby(["run/variant", "run/horizon"])[["chosen/options/token_scale", "chosen/options/token_embedding"]]
        .first()
    )
    scale, layers = found["chosen/options/token_scale"], found["chosen/options/token_embedding"]
    times = [f"{scale['time-llama', horizon]:.2g}" for horizon in (96, 336)]
    (without,) = {f"{scale['time-llama-none', horizon]:.2g}" for horizon in (96, 336)}
    said = f"tokens times {times[0]} at horizon 96 and times {times[1]} at 336, and without its language model times"
    assert f"{said} {without} at both" in text
    drawn, attention = (
        [f"{scale[f'time-llama-{each}', horizon]:.2g}" for horizon in (96, 336)]
        for each in ("random-frozen", "attention")
    )
    assert "Random weights chose {} and {}, one attention layer {} and {}.".format(*drawn, *attention) in text
    ours = ("time-llama", "time-llama-none", "time-llama-attention", "time-llama-random-frozen")
    assert {layers[each, 96] for each in ours} == {"linear"}
    assert {each for each in ours if layers[each, 336] == "mlp"} == {"time-llama", "time-llama-random-frozen"}


def test_the_measurements_of_the_mechanism_match_the_text(root, text):
    rows = {row["depth"]: row for row in json.loads((root / "docs/depth/depth.json").read_text())}
    first, third, head = rows["aligned tokens"], rows["after block 3"], rows["head's input"]
    assert f"a norm of {first['norm']:.0f}" in text and f"(R2 {first['r2']:.2f})" in text
    assert f"has a norm of {third['norm']:.0f}" in text and abs(third["one_coordinate"] - 2 / 3) < 0.01
    assert f"can be read with R2 {head['r2']:.2f} only" in text
