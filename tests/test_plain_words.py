"""What README.md says of the results in plain words is what the kept numbers give."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.gpu.pages import FOLDER
from benchmarks.gpu.record import Record
from tests.kept import kept_runs

ORDER = {  # of "Equal search", as the page calls them
    "no language model": "time-llama-none",
    "random weights": "time-llama-random-frozen",
    "RLinear": "rlinear",
    "DLinear": "dlinear",
    "PatchTST": "patchtst",
    "one attention layer": "time-llama-attention",
    "Time-LlaMA": "time-llama",
    "iTransformer": "itransformer",
}


@pytest.fixture(scope="module")
def words(root) -> str:
    text = (root / "README.md").read_text(encoding="utf-8")
    return " ".join(text[text.index("In plain words:") : text.index("## Performance")].split())


@pytest.fixture(scope="module")
def kept(root) -> pd.DataFrame:
    """Published settings, six blocks, the look-back of table 1."""
    runs = kept_runs(root)
    context = runs["run/dataset"].map({"ILI": 96}).fillna(512)
    return runs[(runs["run/backbone/blocks"].fillna(6) == 6) & (runs["run/context"] == context)]


def errors(runs: pd.DataFrame, variant: str, horizon: int, *, percent: int = 100, dataset: str = "ETTh1") -> pd.Series:
    """Test MSE by seed."""
    same = (runs["run/variant"] == variant) & (runs["run/dataset"] == dataset) & (runs["run/horizon"] == horizon)
    return runs[same & (runs["run/train_percent"] == percent)].set_index("run/seed")["mse"].sort_index()


def test_the_searched_errors_and_their_order(root, words):
    frame = pd.read_csv(root / "docs/reference/cpu/metrics.csv", low_memory=False)
    searched = frame[frame["run/trials"].notna()]
    said = words[words.index("**Equal search.**") :].split(". No language model stays")[0]
    for name, variant in ORDER.items():
        assert f"{name} {errors(searched, variant, 96).mean():.3f}" in said
    means = [errors(searched, variant, 96).mean() for variant in ORDER.values()]
    assert means == sorted(means)


def test_the_searched_errors_of_the_longer_horizon(root, kept, words):
    frame = pd.read_csv(root / "docs/reference/cpu/metrics.csv", low_memory=False)
    searched = frame[frame["run/trials"].notna()]
    said = words[words.index("At 336: ") :].split(". There Time-LlaMA")[0]
    found = {variant: errors(searched, variant, 336) for variant in ORDER.values()}
    for name, variant in ORDER.items():
        assert f"{name} {found[variant].mean():.3f}" in said
    assert said.index("no language model") < min(said.index(name) for name in ORDER if name != "no language model")
    ours = found.pop("time-llama")
    chances = {name: stats.ttest_1samp(np.log(of / ours), 0).pvalue for name, of in found.items()}
    corrected = np.maximum.accumulate([p * (len(chances) - i) for i, p in enumerate(sorted(chances.values()))])
    assert min(chances, key=chances.get) == "time-llama-none" and (found["time-llama-none"] < ours).all()
    assert f"p = {min(chances.values()):.3f} over three seeds, {corrected[0]:.2f} corrected for seven" in words
    assert corrected[0] < 0.05 < corrected[1]
    scales = searched[(searched["run/variant"] == "time-llama") & (searched["run/horizon"] == 336)]
    assert f"tokens times {scales['chosen/options/token_scale'].iloc[0]:.0f}" in words
    for variant in ("time-llama", "dlinear"):
        assert f"{errors(kept, variant, 336).mean():.3f} as published" in words
    day = frame[(frame["run/variant"] == "hour-of-day-mean") & (frame["run/dataset"] == "ETTh1")]
    day = day[(day["run/horizon"] == 336) & (day["run/context"] == 512) & (day["run/train_percent"] == 100)].iloc[0]
    lowest = searched[(searched["run/dataset"] == "ETTh1") & (searched["run/horizon"] == 336)]
    assert f"has {day['mse']:.3f}, and the lowest MAE of all, {day['mae']:.3f}" in words
    assert day["mae"] < lowest.groupby("run/variant")["mae"].mean().min()


def test_the_published_order_and_the_windows_that_were_seen(kept, words):
    places = sorted(ORDER.values(), key=lambda variant: errors(kept, variant, 96).mean())
    assert places[0] == "time-llama-none" and places[-1] == "itransformer"
    ends = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "last"]
    for name, variant in (("random weights", "time-llama-random-frozen"), ("PatchTST", "patchtst")):
        before, after = places.index(variant), list(ORDER.values()).index(variant)
        assert re.search(rf"{name}( go)? from {ends[before]} to {ends[after]}", words)
    saw = {}
    for variant in ORDER.values():
        of = kept[(kept["run/variant"] == variant) & (kept["run/dataset"] == "ETTh1") & (kept["run/horizon"] == 96)]
        of = of[of["run/train_percent"] == 100]
        saw[variant] = (of["steps"] * of["run/training/batch_size"]).mean()
    assert {saw[variant] for variant in ORDER.values() if variant.startswith("time-llama")} == {6400.0}
    assert saw["patchtst"] == 19200
    given = {"itransformer": "iTransformer 38,000", "dlinear": "DLinear 78,000", "rlinear": "RLinear 118,000"}
    for variant, text in given.items():
        assert text.endswith(f" {round(saw[variant], -3):,.0f}") and text in words


def test_what_is_ahead_on_ili_and_of_the_long_horizon(kept, words):
    assert (
        "On ILI PatchTST, iTransformer, RLinear and the untrained seasonal naive are ahead at every horizon." in words
    )
    for horizon in (24, 36, 48, 60):
        ours = errors(kept, "time-llama", horizon, dataset="ILI").mean()
        for variant in ("patchtst", "itransformer", "rlinear", "seasonal-naive"):
            assert errors(kept, variant, horizon, dataset="ILI").mean() < ours
    day, ours = (errors(kept, variant, 720).mean() for variant in ("hour-of-day-mean", "time-llama"))
    assert f"the untrained hour-of-day mean has {day:.3f}, Time-LlaMA {ours:.3f}" in words


def test_what_the_blocks_cost(kept, words):
    gaps = []
    for horizon in (96, 192, 336, 720):
        ours, without = (errors(kept, variant, horizon) for variant in ("time-llama", "time-llama-none"))
        assert (without < ours).all() and list(ours.index) == [0, 1, 2]
        gaps.append(100 * (1 - without.mean() / ours.mean()))
    assert f"by {min(gaps):.0f} to {max(gaps):.0f} %" in words and "in all 12 pairs of seeds" in words
    chances = []
    for horizon in (96, 192, 336):
        ours, without = (errors(kept, variant, horizon, percent=5) for variant in ("time-llama", "time-llama-none"))
        chances.append(stats.ttest_1samp(np.log(ours / without), 0).pvalue)
    first, second, third = chances
    assert f"p = {first:.4f}, {second:.3f} and {third:.3f}" in words


def test_how_much_worse_the_prefix_is(kept, words):
    for horizon, kind in ((96, "told from 0"), (192, "not told from 0")):
        ours, prefix = (errors(kept, variant, horizon, percent=5) for variant in ("time-llama", "time-llama-2"))
        assert re.search(rf"{100 * (prefix.mean() / ours.mean() - 1):.0f} %( worse)? at {horizon} \({kind}", words)


def test_the_speeds_at_the_papers_size_and_of_the_small_model(root, words):
    rows = [row for row in Record.read(FOLDER) if row["part"] == "efficiency" and row.get("batch") == 1]
    of = {row["method"]: row["samples_per_second"] for row in rows if "3.2" not in (row["backbone"] or "")}
    assert f"is {of['time-llama'] / of['patchtst']:.2f} times as fast as PatchTST (paper: {10.47 / 13.24:.2f})" in words
    assert f"{of['time-llama'] / of['time-llm']:.0f} times as fast as Time-LLM (paper: {10.47 / 3.51:.0f})" in words
    sweeps = pd.read_csv(root / "docs/reference/cpu/efficiency.csv", low_memory=False)
    sweeps = sweeps[sweeps["row/batch_size"] == 1].set_index(["sweep/run/variant", "row/variates"])
    speed = sweeps["row/samples_per_second"]
    assert f"{speed['time-llama', 862] / speed['patchtst', 862]:.1f} times as fast as PatchTST; at 7" in words
    assert f"PatchTST is {speed['patchtst', 7] / speed['time-llama', 7]:.1f} times as fast" in words
