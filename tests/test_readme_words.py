"""Every number in the plain words under README.md's results is recomputed from the kept numbers."""

import itertools
import json
import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from docs.kept_numbers import FLOORS, METHODS
from tests.kept import errors, kept_runs

HORIZONS = (96, 192, 336, 720)
WEEKS = (24, 36, 48, 60)
CONTROLS = ("time-llama-random-frozen", "time-llama-attention", "time-llama-none")


@pytest.fixture(scope="module")
def text(root) -> str:
    page = (root / "README.md").read_text(encoding="utf-8")
    return page[page.index("In plain words:") : page.index("## Performance")].strip()


@pytest.fixture(scope="module")
def words(text) -> str:
    return " ".join(text.split())


def apart(root, kept, dataset: str, horizon: int) -> float:
    """Per cent by which Time-LlaMA's mean is above the paper's."""
    paper = pd.read_csv(root / "config/published/table1_long_term.csv")
    paper = paper[paper["method"] == "Time-LlaMA"].set_index(["dataset", "horizon"])["mse"]
    return 100 * (errors(kept, "time-llama", horizon, dataset=dataset).mean() / paper[dataset, horizon] - 1)


def chance(ours: pd.Series, other: pd.Series) -> float:
    """The p-value of a mean log ratio of 0, paired over seeds."""
    return stats.ttest_1samp(np.log(ours / other), 0).pvalue


def said_of_weather(root, kept, searched) -> list[str]:
    found = [apart(root, kept, "Weather", horizon) for horizon in HORIZONS]
    return [f"{min(found):.1f}", f"{max(found):.1f}"]


def said_of_weathers_best(root, kept, searched) -> list[str]:
    of = {
        (variant, h): errors(kept, variant, h, dataset="Weather").mean()
        for variant in ("time-llama", "patchtst", "itransformer", "dlinear", "rlinear")
        for h in HORIZONS
    }
    assert all(of["time-llama", h] < of[each, h] for each in ("itransformer", "dlinear", "rlinear") for h in HORIZONS)
    lower = [100 * (1 - of["patchtst", h] / of["time-llama", h]) for h in HORIZONS]
    assert max(map(abs, lower[2:])) < 1, "about the same beyond"
    return [f"{each:.0f}" for each in lower[:2]]


def said_of_short_horizons(root, kept, searched) -> list[str]:
    found = [apart(root, kept, dataset, horizon) for dataset in ("ETTh1", "ETTm1") for horizon in (96, 192)]
    return [f"{min(found):.1f}", f"{max(found):.1f}"]


def said_of_longer_horizons(root, kept, searched) -> list[str]:
    found = [apart(root, kept, dataset, horizon) for dataset in ("ETTh1", "ETTm1") for horizon in (336, 720)]
    return [f"{min(found):.0f}", f"{max(found):.0f}"]


def said_of_patchtst(root, kept, searched) -> list[str]:
    logs = [
        np.log(errors(kept, "patchtst", h, dataset=d) / errors(kept, "time-llama", h, dataset=d)).mean()
        for d in ("ETTh1", "ETTm1", "Weather")
        for h in HORIZONS
    ]
    return [f"{-100 * np.expm1(np.mean(logs)):.0f}"]


def said_of_the_best(root, kept, searched) -> list[str]:
    all_rows = kept[(kept["run/train_percent"] == 100) & ~kept["run/variant"].isin(CONTROLS)]
    all_rows = all_rows[all_rows["run/variant"].isin([*METHODS.values(), *FLOORS.values(), "look-back-mean"])]
    cells = [(d, h) for d in ("ETTh1", "ETTm1", "Weather", "ILI") for h in (WEEKS if d == "ILI" else HORIZONS)]
    best = {}
    for dataset, horizon in cells:
        there = all_rows[(all_rows["run/dataset"] == dataset) & (all_rows["run/horizon"] == horizon)]
        best[dataset, horizon] = there.groupby("run/variant")["mse"].mean().idxmin()
    assert [cell for cell, variant in best.items() if variant == "time-llama"] == [("Weather", 720)]
    return [str(list(best.values()).count("time-llama")), str(len(cells))]


def said_of_the_day(root, kept, searched) -> list[str]:
    lower = {
        (d, h): errors(kept, "hour-of-day-mean", h, dataset=d, error="mae").mean()
        < errors(kept, "time-llama", h, dataset=d, error="mae").mean()
        for d in ("ETTh1", "ETTm1")
        for h in HORIZONS
    }
    assert [sum(lower[d, h] for h in HORIZONS) for d in ("ETTh1", "ETTm1")] == [4, 3]
    days, ours = ([errors(kept, each, h).mean() for h in HORIZONS[:3]] for each in ("hour-of-day-mean", "time-llama"))
    assert all(day > our for day, our in zip(days, ours, strict=True)), "by MSE only at 720"
    return [f"{errors(kept, each, 720).mean():.3f}" for each in ("hour-of-day-mean", "time-llama")]


def said_of_m4(root, kept, searched) -> list[str]:
    every = kept_runs(root)
    hourly = every[every["run/dataset"] == "M4-Hourly"]
    owa = hourly.groupby("run/variant")["owa"].mean()
    assert owa[["seasonal-naive", "dlinear"]].max() < owa["time-llama"]
    seen = (hourly["steps"] * hourly["run/training/batch_size"]).groupby(hourly["run/variant"]).mean()
    return [f"{seen['dlinear'] / seen['time-llama']:.0f}"]


def few_rows_of_the_paper(root) -> pd.Series:
    """Time-LlaMA's MSE with 5 % of the rows, by data set and horizon."""
    paper = pd.read_csv(root / "config/published/table3_few_shot_5pct.csv")
    return paper[paper["method"] == "Time-LlaMA"].set_index(["dataset", "horizon"])["mse"]


def said_of_few_rows(root, kept, searched) -> list[str]:
    every = kept_runs(root)
    ours, linear, day = (
        errors(every, each, 96, percent=5).mean() for each in ("time-llama", "dlinear", "hour-of-day-mean")
    )
    return [f"{each:.3f}" for each in (ours, few_rows_of_the_paper(root)["ETTh1", 96], linear, day)]


def said_of_few_rows_of_weather(root, kept, searched) -> list[str]:
    paper, apart = few_rows_of_the_paper(root), []
    for horizon in HORIZONS:
        ours, linear, other = (
            errors(kept, each, horizon, percent=5, dataset="Weather").mean()
            for each in ("time-llama", "dlinear", "rlinear")
        )
        apart.append(100 * (ours / paper["Weather", horizon] - 1))
        assert linear < ours and (other < ours) == (horizon != 720)
    return [f"{min(apart):.0f}", f"{max(apart):.0f}"]


def said_of_the_model(root, kept, searched) -> list[str]:
    of = [errors(kept, f"time-llama{each}", 96, percent=5) for each in ("", "-random-frozen", "-none")]
    assert chance(of[0], of[2]) < 0.001
    there = [errors(kept, f"time-llama{each}", 96, percent=5, dataset="Weather") for each in ("", "-none")]
    for horizon in HORIZONS:
        ours, none = (
            errors(kept, f"time-llama{each}", horizon, percent=5, dataset="Weather") for each in ("", "-none")
        )
        assert ((none < ours).all() and chance(ours, none) < 0.02) == (horizon != 720)
    assert abs(none.mean() / ours.mean() - 1) < 0.005, "at 720 it does not matter"
    return [*(f"{each.mean():.3f}" for each in (*of, *there)), "0.001", f"{chance(*there):.3f}"]


def changes(kept, control: str, dataset: str) -> list[float]:
    """Per cent by which a control's MSE is above Time-LlaMA's over the horizons, and the 95 % interval over seeds."""
    horizons = WEEKS if dataset == "ILI" else HORIZONS
    each = [
        errors(kept, control, h, dataset=dataset) / errors(kept, "time-llama", h, dataset=dataset) for h in horizons
    ]
    of_seeds = 100 * (pd.concat(each, axis=1).mean(axis=1) - 1)
    assert list(of_seeds.index) == [0, 1, 2] and all(of.notna().all() for of in each)
    return [of_seeds.mean(), *stats.t.interval(0.95, len(of_seeds) - 1, of_seeds.mean(), stats.sem(of_seeds))]


def said_of_the_controls_on_weather(root, kept, searched) -> list[str]:
    said = []
    for control in ("time-llama-none", "time-llama-attention", "time-llama-random-frozen"):
        for h in HORIZONS:
            other, ours = (errors(kept, each, h, dataset="Weather") for each in (control, "time-llama"))
            assert (other > ours).all(), "in every seed at every horizon"
        said += changes(kept, control, "Weather")
    return [f"{each:.1f}" for each in said]


def said_of_the_controls_on_ettm1(root, kept, searched) -> list[str]:
    drawn, none = (changes(kept, f"time-llama-{each}", "ETTm1") for each in ("random-frozen", "none"))
    assert abs(none[0]) < 1 and none[1] < 0 < none[2], "no different"
    starred = re.compile(r"^\| ETTm1 \| (\S+) ", re.MULTILINE)
    [change] = starred.findall((root / "docs/results.md").read_text(encoding="utf-8"))
    assert change.endswith(f"{-drawn[0]:.1f}".replace("-", "")) and "*" not in change, "not significant, once corrected"
    return [f"{each:.1f}" for each in (-drawn[0], -drawn[2], -drawn[1])]


def said_of_the_controls_on_ili(root, kept, searched) -> list[str]:
    _, low, high = changes(kept, "time-llama-random-frozen", "ILI")
    assert low < 0 < high and high - low < 20, "random weights do as well"
    runs = kept[(kept["run/variant"] == "time-llama-none") & (kept["run/dataset"] == "ILI")]
    [rate] = set(runs["run/training/learning_rate"])
    return [str((runs["best_step"] == 0).sum()), str(len(runs)), f"{rate:.2f}"]


def test_controls_at_the_end_of_their_budget_on_weather_are_named(kept, words):
    assert "Most of these runs of controls were at their best at the last step" in words
    of = kept[kept["run/variant"].isin(CONTROLS) & (kept["run/dataset"] == "Weather")]
    of = of[of["run/train_percent"] == 100]
    assert len(of) == 36 and (of["best_step"] == of["steps"]).mean() > 0.75


def said_of_all_rows(root, kept, searched) -> list[str]:
    ours, said, chances = [errors(kept, "time-llama", h) for h in HORIZONS], [], set()
    for control in ("time-llama-none", "time-llama-random-frozen"):
        other = [errors(kept, control, h) for h in HORIZONS]
        assert all((b < a).all() for a, b in zip(ours, other, strict=True)), "so is every seed"
        parts = [100 * (1 - b.mean() / a.mean()) for a, b in zip(ours, other, strict=True)]
        said += [f"{min(parts):.0f}", f"{max(parts):.0f}"]
        logs = pd.concat([np.log(b / a) for a, b in zip(ours, other, strict=True)], axis=1).mean(axis=1)
        chances.add(f"{stats.ttest_1samp(logs, 0).pvalue:.2f}")
    [both] = chances
    return [*said, both]


def said_of_the_budget(root, kept, searched) -> list[str]:
    trained = list(searched["run/variant"].unique())
    more = {}
    for horizon in (96, 336):
        order = [sorted(trained, key=lambda each: errors(runs, each, horizon).mean()) for runs in (kept, searched)]
        assert order[1][0] == "time-llama-none"
        of = kept[(kept["run/dataset"] == "ETTh1") & (kept["run/horizon"] == horizon)]
        of = of[(of["run/train_percent"] == 100) & of["run/variant"].isin(trained)]
        seen = (of["steps"] * of["run/training/batch_size"]).groupby(of["run/variant"]).min()
        ours = seen.index.str.startswith("time-llama")
        assert seen[ours].max() < 8192 < seen[~ours].min(), "the windows of a searched run"
        for each in trained:
            new, old = (errors(runs, each, horizon) for runs in (searched, kept))
            assert new.mean() >= old.mean() or chance(new, old) > 0.05, "no method is clearly better"
            more[each, horizon] = new.mean() / old.mean() - 1
    level = {f"{errors(searched, each, 336).mean():.3f}" for each in ("time-llama", "patchtst", "itransformer")}
    assert len(level) == 1
    ours = (f"{100 * more['time-llama', 96]:.0f}", f"{-100 * more['time-llama', 336]:.0f}")
    return [str(sum(each > 0 for each in more.values())), str(len(more)), *ours]


def said_of_the_heavy(root, kept, searched) -> list[str]:
    def series(run: pd.Series) -> int:
        """Series that a training saw: windows of all variates, or single ones."""
        alone = run["run/training/sampling"] == "variates"
        return int(run["steps"] * run["run/training/batch_size"] * (1 if alone else run["run/variates"]))

    of = kept[(kept["run/dataset"] == "ETTh1") & (kept["run/horizon"] == 96) & (kept["run/train_percent"] == 100)]
    heavy = [of[of["run/variant"] == name] for name in ("timesnet", "gpt4ts", "time-llm")]
    ours = of[of["run/variant"] == "time-llama"]
    assert [len(each) for each in heavy] == [3, 3, 1]
    every = kept[(kept["run/dataset"] == "ETTh1") & kept["run/variant"].isin(["gpt4ts", "time-llm", "timesnet"])]
    every = every[every["run/seed"] == 0]
    there = every.groupby("run/variant")["run/horizon"].apply(sorted).to_dict()
    assert there == {"gpt4ts": [*HORIZONS], "time-llm": [96], "timesnet": [*HORIZONS]}, "the others are not trained"
    assert set(kept[kept["run/variant"].isin(there) & (kept["run/horizon"] > 96)]["run/seed"]) == {0}
    assert {series(each.iloc[0]) // 100 for each in heavy} == {series(run) // 100 for _, run in ours.iterrows()}
    late = [each["best_step"] / each["steps"] for each in heavy[:2]]
    assert [(of > 0.98).sum() for of in late] == [2, 2], "lowest at the end, or nearly"
    paper = pd.read_csv(root / "config/published/table1_long_term.csv")
    paper = paper[(paper["dataset"] == "ETTh1") & (paper["horizon"] == 96)].set_index("method")["mse"]
    means = {each["run/variant"].iloc[0]: each["mse"].mean() for each in (*heavy, ours)}
    names = {variant: name for name, variant in METHODS.items()}
    above = [f"{100 * (mean / paper[names[variant]] - 1):.0f}" for variant, mean in means.items()]
    return [*(f"{each['mse'].mean():.3f}" for each in heavy), *above]


def said_of_another_processor(root, kept, searched) -> list[str]:
    found = json.loads((root / "docs/reference/repeats.json").read_text(encoding="utf-8"))
    single, means = [], []
    for cell in ("ETTh1/time-llama/H96", "ILI/time-llama/H24"):
        runs = pd.DataFrame([each for each in found if f"/{cell}-" in each["result"]])
        assert len(runs) == 3
        single.append(100 * (runs["here"] / runs["kept"] - 1).abs().max())
        means.append(100 * abs(runs["here"].mean() / runs["kept"].mean() - 1))
    return [f"{max(single):.0f}", f"{max(means):.1f}"]


SAID: dict[str, Callable[..., list[str]]] = {
    "With all rows of Weather Time-LlaMA's MSE is {} to {} % above the paper's": said_of_weather,
    "PatchTST's is {} % lower at 96, {} % lower at 192 and about the same beyond": said_of_weathers_best,
    "at horizons 96 and 192 it is {} to {} % above the paper's": said_of_short_horizons,
    "it has the lowest mean MSE in {} of {} cells, Weather at 720": said_of_the_best,
    "PatchTST's MSE is {} % lower over ETTh1, ETTm1 and Weather": said_of_patchtst,
    "By MAE the untrained hour-of-day mean is better than it at every horizon of ETTh1 and at three of ETTm1; by MSE "
    "it is on ETTh1 at 720, with {} against {}": said_of_the_day,
    "At the longer horizons of ETTh1 and ETTm1 it is {} to {} % worse than the paper": said_of_longer_horizons,
    "On M4 Hourly the untrained seasonal naive and DLinear, which saw {} times as many windows, have a lower "
    "OWA": said_of_m4,
    "of ETTh1 it has {} at 96, where the paper has {}, DLinear {} and the untrained hour-of-day mean "
    "{}": said_of_few_rows,
    "On Weather its MSE is {} to {} % above the paper's; DLinear's is lower at every horizon, RLinear's at all but "
    "720": said_of_few_rows_of_weather,
    "lower at each of four horizons, by {} to {} %, and with random weights in them by {} to {} %, and so is every "
    "seed; over the horizons neither is significant (p = {} for both)": said_of_all_rows,
    "On Weather the MSE is {} % higher without SmolLM2's six blocks (95 % interval over seeds {} to {}), {} % with one "
    "attention layer for them ({} to {}) and {} % with random weights in them ({} to {}), and higher in every seed at "
    "every horizon": said_of_the_controls_on_weather,
    "On ETTm1 it is {} % lower with random weights ({} to {}; not significant, once corrected) and no different "
    "without the blocks": said_of_the_controls_on_ettm1,
    "without the blocks {} of {} trainings at the paper's rate of {} do not improve on their untrained "
    "weights": said_of_the_controls_on_ili,
    "on ETTh1 at 96 the MSE is {} with them, {} with random weights and {} without, on Weather {} with and {} without "
    "(paired over three seeds of the same rows, uncorrected: p < {} and p = {};": said_of_the_model,
    "{} of {} means are higher with them. Time-LlaMA's is {} % higher at 96 and {} % lower at 336, where it equals "
    "PatchTST's and iTransformer's": said_of_the_budget,
    "single seeds of Time-LlaMA differ by up to {} %, means over three seeds by up to {} %": said_of_another_processor,
    "TimesNet has {} and GPT4TS {} on ETTh1 at 96 (three seeds), Time-LLM {} (one seed), after as many series as "
    "Time-LlaMA sees there. That is {}, {} and {} % above the paper's numbers, where Time-LlaMA is {} % "
    "above": said_of_the_heavy,
}
# Digits that are not results: names, horizons and a share of rows.
NAMES = (
    r"ETT[hm]1|SmolLM2|Llama-2 7B|M4 Hourly|4 bits|5 % of (?:the|its) rows"
    r"|\b(?:96|192|336|720)\b|\]\([^)]*\)"
)


@pytest.mark.parametrize("sentence", SAID)
def test_a_sentence_has_the_kept_numbers(root, words, kept, searched, sentence):
    assert sentence.format(*SAID[sentence](root, kept, searched)) in words


def test_no_number_of_the_words_goes_unchecked(words):
    for sentence in SAID:
        pattern = re.escape(sentence).replace(re.escape("{}"), r"[\w.]+?")
        words, found = re.subn(pattern + r"(?![\d.]*\d)", " ", words)
        assert found == 1, sentence
    left = re.sub(NAMES, " ", words)
    assert not re.findall(r"\S*\d\S*", left)


def test_the_methods_that_are_better_and_the_numbers_of_seeds_match_the_runs(words, kept):
    said = "On ILI PatchTST, iTransformer, RLinear and the untrained seasonal naive have a lower mean at every horizon."
    assert said in words
    for horizon in WEEKS:
        ours = errors(kept, "time-llama", horizon, dataset="ILI").mean()
        for variant in ("patchtst", "itransformer", "rlinear", "seasonal-naive"):
            assert errors(kept, variant, horizon, dataset="ILI").mean() < ours
    assert "lower over ETTh1, ETTm1 and Weather; with three seeds that is not significant." in words
    for dataset, horizons in {"ETTh1": HORIZONS, "ETTm1": HORIZONS, "Weather": HORIZONS, "ILI": WEEKS}.items():
        for variant, horizon in itertools.product(("time-llama", "patchtst"), horizons):
            assert list(errors(kept, variant, horizon, dataset=dataset).index) == [0, 1, 2]


def test_the_words_are_short(text):
    assert len(text.splitlines()) <= 32
