"""What docs/results.md says about the results in plain words matches the kept numbers."""

import re
from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from benchmarks.gpu.pages import FOLDER
from benchmarks.gpu.record import Record
from docs.claims_editions import current
from tests.kept import errors, kept_runs, searched_runs
from timellama.data.catalogue.datasets import load_datasets
from timellama.data.splits import count_windows
from timellama.reports.claims.rules import DOES_NOT_HOLD
from timellama.reports.selection import CONTROLS
from timellama.results.statistics.uncertainty import holm

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
BASELINES = ("patchtst", "dlinear", "itransformer", "rlinear")
HORIZONS = (96, 192, 336, 720)


@pytest.fixture(scope="module")
def words(root) -> str:
    text = (root / "docs/results.md").read_text(encoding="utf-8")
    return " ".join(text[text.index("## What it says") :].split())


def test_the_searched_errors_and_their_order_match_the_runs(root, words):
    searched = searched_runs(root)
    said = words[words.index("**Equal search.**") :].split(". No language model stays")[0]
    for name, variant in ORDER.items():
        assert f"{name} {errors(searched, variant, 96).mean():.3f}" in said
    means = [errors(searched, variant, 96).mean() for variant in ORDER.values()]
    assert means == sorted(means)


def test_the_searched_errors_of_the_longer_horizon_match_the_runs(root, kept, words):
    frame = pd.read_csv(root / "docs/reference/cpu/metrics.csv", low_memory=False)
    searched = searched_runs(root)
    said = words[words.index("At 336: ") :].split(". Time-LlaMA goes")[0]
    found = {variant: errors(searched, variant, 336) for variant in ORDER.values()}
    for name, variant in ORDER.items():
        assert f"{name} {found[variant].mean():.3f}" in said
    assert said.index("no language model") < min(said.index(name) for name in ORDER if name != "no language model")
    places = [
        sorted(ORDER.values(), key=lambda variant: errors(runs, variant, 336).mean()) for runs in (kept, searched)
    ]
    assert places[0][-1] == "time-llama" and places[0][0] == "patchtst"
    assert len({f"{found[each].mean():.3f}" for each in ("time-llama", "patchtst", "itransformer")}) == 1
    level = "Time-LlaMA goes from last there to the level of PatchTST, which was first, and of iTransformer."
    assert level in words
    ours = found.pop("time-llama")
    chances = {name: stats.ttest_1samp(np.log(of / ours), 0).pvalue for name, of in found.items()}
    corrected = np.maximum.accumulate([p * (len(chances) - i) for i, p in enumerate(sorted(chances.values()))])
    assert min(chances, key=chances.get) == "time-llama-none" and (found["time-llama-none"] < ours).all()
    assert (
        f"p = {min(chances.values()):.3f} over three seeds, {corrected[0]:.2f} corrected for seven methods, "
        f"{2 * corrected[0]:.2f} for both horizons" in words
    )
    assert corrected[0] < 0.05 < corrected[1]
    scales = searched[(searched["run/variant"] == "time-llama") & (searched["run/horizon"] == 336)]
    assert f"tokens times {scales['chosen/options/token_scale'].iloc[0]:.0f}" in words
    assert f"{errors(kept, 'time-llama', 336).mean():.3f} as published" in words
    day = frame[(frame["run/variant"] == "hour-of-day-mean") & (frame["run/dataset"] == "ETTh1")]
    day = day[(day["run/horizon"] == 336) & (day["run/context"] == 512) & (day["run/train_percent"] == 100)].iloc[0]
    lowest = searched[(searched["run/dataset"] == "ETTh1") & (searched["run/horizon"] == 336)]
    assert f"has {day['mse']:.3f}, and the lowest MAE of all, {day['mae']:.3f}" in words
    assert day["mae"] < lowest.groupby("run/variant")["mae"].mean().min()


def test_the_methods_that_the_search_helps_match_the_runs(root, kept, words):
    searched = searched_runs(root)
    more = {
        (variant, horizon): 100
        * (errors(searched, variant, horizon).mean() / errors(kept, variant, horizon).mean() - 1)
        for variant in ORDER.values()
        for horizon in (96, 336)
    }
    worse = [more[variant, horizon] for variant in ("patchtst", "dlinear", "rlinear") for horizon in (96, 336)]
    assert f"{sum(each > 0 for each in more.values())} of {len(more)} means are higher" in words
    assert f"are {min(worse):.0f} to {max(worse):.0f} % worse at both horizons" in words
    assert f"is {-more['time-llama', 336]:.0f} % better with it at 336" in words


def test_the_reason_for_dlinears_last_place_at_the_longer_horizon_matches_the_trials(root, kept, words):
    every = pd.read_csv(root / "docs/reference/cpu/metrics.csv", low_memory=False)
    trials = every[~every["result"].isin(kept_runs(root)["result"]) & every["run/trials"].isna()]
    trials = trials[(trials["run/variant"] == "dlinear") & (trials["run/horizon"] == 336)]
    trials = trials[trials["run/context"] == 512]
    assert len(trials) == 8 and set(trials["steps"] * trials["run/training/batch_size"]) == {8192}
    published, chosen = errors(kept, "dlinear", 336), errors(searched_runs(root), "dlinear", 336)
    lower = trials["mse"][trials["mse"] < published.mean()]
    assert len(lower) == 4 and trials.loc[trials["validation_loss"].idxmin(), "mse"] > published.max()
    assert (
        f"DLinear's {chosen.mean():.3f} at 336 comes from the choice and not from the budget: four of its eight trials "
        f"have {lower.min():.3f} to {lower.max():.3f}, below the {published.mean():.3f}" in words
    )
    rank = trials["validation_loss"].rank().corr(trials["mse"].rank())
    assert f"rank correlation of validation loss and test MSE is {rank:.2f} there" in words


def test_the_published_order_and_the_windows_seen_match_the_runs(kept, words):
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


def test_the_methods_that_are_better_on_ili_and_at_the_long_horizon_match_the_runs(kept, words):
    said = "On ILI PatchTST, iTransformer, RLinear and the untrained seasonal naive have a lower mean at every horizon;"
    assert said + " at 24 two of three seeds of Time-LlaMA are better than the seasonal naive." in words
    naive = errors(kept, "seasonal-naive", 24, dataset="ILI").item()
    assert (errors(kept, "time-llama", 24, dataset="ILI") < naive).sum() == 2
    for horizon in (24, 36, 48, 60):
        ours = errors(kept, "time-llama", horizon, dataset="ILI").mean()
        for variant in ("patchtst", "itransformer", "rlinear", "seasonal-naive"):
            assert errors(kept, variant, horizon, dataset="ILI").mean() < ours
    day, ours = (errors(kept, variant, 720).mean() for variant in ("hour-of-day-mean", "time-llama"))
    assert (
        f"By MSE the hour-of-day mean is better on ETTh1 at 720, with {day:.3f} against {ours:.3f}; there only RLinear "
        "is better than the hour-of-day mean." in words
    )
    ahead = [each for each in (*BASELINES, "timesnet") if errors(kept, each, 720).mean() < day]
    assert ahead == ["rlinear"]
    for horizon in HORIZONS:
        day, ours = (errors(kept, each, horizon, error="mae").mean() for each in ("hour-of-day-mean", "time-llama"))
        assert (
            day < ours and "By MAE the untrained hour-of-day mean is better than Time-LlaMA at every horizon" in words
        )


def test_the_floors_and_baselines_that_are_better_by_mae_match_the_runs(kept, words):
    def better(variant: str, dataset: str, horizon: int) -> float:
        other, ours = (
            errors(kept, each, horizon, dataset=dataset, error="mae").mean() for each in (variant, "time-llama")
        )
        return 100 * (1 - other / ours)

    naive = [better("seasonal-naive", "ILI", horizon) for horizon in (24, 36, 48, 60)]
    assert f"By MAE the seasonal naive is {min(naive):.0f} to {max(naive):.0f} % better there at every horizon" in words
    days = {horizon: better("hour-of-day-mean", "ETTm1", horizon) for horizon in HORIZONS}
    assert days.pop(96) < 0 < min(days.values()) and f"{max(days.values()):.0f}" == "2"
    assert "and by 2 % or less at 192, 336 and 720 of ETTm1, where PatchTST, DLinear and RLinear are better" in words
    assert all(better(each, "ETTm1", h) > 0 for each in ("patchtst", "dlinear", "rlinear") for h in HORIZONS)


def test_the_cells_in_which_time_llama_is_the_best_match_the_runs(root, kept, words):
    methods = ["time-llama", *BASELINES, "time-llm", "gpt4ts", "timesnet"]
    methods += ["hour-of-day-mean", "seasonal-naive", "look-back-mean"]
    best = {"mse": [], "mae": []}
    for dataset in ("ETTh1", "ETTm1", "Weather", "ILI"):
        for horizon in (24, 36, 48, 60) if dataset == "ILI" else HORIZONS:
            for error, of in best.items():
                means = {each: errors(kept, each, horizon, dataset=dataset, error=error).mean() for each in methods}
                of += (
                    [(dataset, horizon)]
                    if min(means, key=lambda m: np.nan_to_num(means[m], nan=9)) == methods[0]
                    else []
                )
    assert best == {"mse": [("Weather", 720)], "mae": []}
    assert "it has the lowest mean MSE in 1 of 16 cells, Weather at 720, and the lowest MAE in none" in words
    reasons = yaml.safe_load((root / "docs/claims/reasons.yaml").read_text(encoding="utf-8"))
    (reason,) = (each["reason"] for each in reasons if each["number"] == "1.1")
    assert "Of the paper's 12 cells Time-LlaMA has the lowest mean of the methods that ran there in one" in reason


def test_the_cost_of_the_blocks_matches_the_runs(kept, words):
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
    chances = []
    for horizon in HORIZONS:
        ours, without, linear, other = (
            errors(kept, each, horizon, percent=5, dataset="Weather")
            for each in ("time-llama", "time-llama-none", "dlinear", "rlinear")
        )
        chances.append(stats.ttest_1samp(np.log(ours / without), 0).pvalue)
        assert (without < ours).all() == (horizon != 720) == (other.mean() < ours.mean())
        assert linear.mean() < ours.mean()
    assert abs(without.mean() / ours.mean() - 1) < 0.005, "equal at 720"
    first, second, third, _ = chances
    assert f"lower at 96, 192 and 336 in every seed (p = {first:.3f}, {second:.3f} and {third:.4f})" in words


def test_the_other_controls_on_all_rows_match_the_runs(kept, words):
    ours = [errors(kept, "time-llama", horizon) for horizon in HORIZONS]
    drawn, attention = (
        [errors(kept, f"time-llama-{each}", horizon) for horizon in HORIZONS] for each in ("random-frozen", "attention")
    )
    assert all((b < a).all() for a, b in zip(ours, drawn, strict=True))
    lower = [[100 * (1 - b.mean() / a.mean()) for a, b in zip(ours, of, strict=True)] for of in (drawn, attention)]
    logs = [[np.log(b / a) for a, b in zip(ours, of, strict=True)] for of in (drawn, attention)]
    one, two = (stats.ttest_1samp(pd.concat(of, axis=1).mean(axis=1), 0).pvalue for of in logs)
    assert (
        f"lower mean at each horizon, by {min(lower[0]):.0f} to {max(lower[0]):.0f} %, again in all 12 pairs (over the "
        f"horizons p = {one:.2f})" in words
    )
    assert max(lower[1][:2]) < 0.5
    assert (
        f"no better at 96 and 192 ({attention[0].mean():.3f} and {attention[1].mean():.3f}) and {lower[1][2]:.0f} and "
        f"{lower[1][3]:.0f} % better at 336 and 720 (over the horizons p = {two:.2f})" in words
    )


def test_the_controls_on_the_other_data_sets_match_the_runs(kept, words):
    every = kept[kept["run/train_percent"] == 100]
    ends = {}
    for control in ("time-llama", *CONTROLS):
        of = every[(every["run/variant"] == control) & (every["run/dataset"] == "Weather")]
        assert len(of) == 12
        ends[control] = (of["best_step"] == of["steps"]).sum()
    of_weather = {
        control: [
            [errors(kept, each, horizon, dataset="Weather") for each in (control, "time-llama")] for horizon in HORIZONS
        ]
        for control in CONTROLS
    }
    assert all(list(b.index) == [0, 1, 2] and (a > b).all() for pairs in of_weather.values() for a, b in pairs)
    chances = [
        stats.ttest_1samp(np.mean([np.log(a / b) for a, b in pairs], axis=0), 0).pvalue for pairs in of_weather.values()
    ]
    assert len(chances) == 3 and max(holm(chances)) < 0.05, "over the horizons each difference is significant"
    last = ends.pop("time-llama")
    assert f"was the last of 400 in {sum(ends.values())} of these 36 runs and in {last} of Time-LlaMA's 12," in words
    means = {
        each: [errors(kept, each, horizon, dataset="ETTm1").mean() for horizon in HORIZONS]
        for each in ("time-llama", *CONTROLS)
    }
    ours = means["time-llama"]
    assert all(of < one for of, one in zip(means["time-llama-random-frozen"], ours, strict=True))
    assert all(of > one for of, one in zip(means["time-llama-attention"], ours, strict=True))
    assert [of > one for of, one in zip(means["time-llama-none"], ours, strict=True)] == [True, False, False, False]
    ili = every[(every["run/variant"] == "time-llama-none") & (every["run/dataset"] == "ILI")]
    assert len(ili) == 12 and set(ili["run/training/learning_rate"]) == {0.01}
    assert f"Without the blocks {(ili['best_step'] == 0).sum()} of 12 trainings end there with their untrained" in words


def test_how_much_worse_the_prefix_is_matches_the_runs(kept, words):
    for horizon, kind in ((96, "significant"), (192, "not significant")):
        ours, prefix = (errors(kept, variant, horizon, percent=5) for variant in ("time-llama", "time-llama-2"))
        assert re.search(rf"{100 * (prefix.mean() / ours.mean() - 1):.0f} %( worse)? at {horizon} \({kind}", words)


def test_the_text_on_the_routers_shares_matches_the_verdicts(words):
    """Statements 7.2 and 7.3 say that they differ; they are judged by a margin of one point."""
    verdicts = {each.number: each.verdict for each in current()}
    assert verdicts["7.2"] == verdicts["7.3"] == DOES_NOT_HOLD
    assert (
        "and between ETTh1, ETTm1 and Weather, the router's shares differ by less than 1 point more than two seeds' do."
        in words
    )


def test_the_speeds_at_the_papers_size_and_of_the_small_model_match_the_measurements(root, words):
    rows = [row for row in Record.read(FOLDER) if row["part"] == "efficiency" and row.get("batch") == 1]
    of = {row["method"]: 1e3 / row["median_ms"] for row in rows if "3.2" not in (row["backbone"] or "")}
    assert f"is {of['time-llama'] / of['patchtst']:.2f} times as fast as PatchTST (paper: {10.47 / 13.24:.2f})" in words
    assert f"{of['time-llama'] / of['time-llm']:.0f} times as fast as Time-LLM (paper: {10.47 / 3.51:.0f})" in words
    sweeps = pd.read_csv(root / "docs/reference/cpu/efficiency.csv", low_memory=False)
    sweeps = sweeps[sweeps["row/batch_size"] == 1].set_index(["sweep/run/variant", "row/variates"])
    speed = sweeps["row/samples_per_second"]
    assert f"{speed['time-llama', 862] / speed['patchtst', 862]:.1f} times as fast as PatchTST; at 7" in words
    assert f"PatchTST is {speed['patchtst', 7] / speed['time-llama', 7]:.1f} times as fast" in words


def beside_the_paper(root, kept: pd.DataFrame) -> dict[tuple[str, int], float]:
    """By data set and horizon, per cent by which Time-LlaMA's mean is above the paper's."""
    paper = pd.read_csv(root / "config/published/table1_long_term.csv")
    paper = paper[paper["method"] == "Time-LlaMA"].set_index(["dataset", "horizon"])["mse"]
    cells = [(dataset, horizon) for dataset in ("ETTh1", "ETTm1", "Weather") for horizon in HORIZONS]
    return {(d, h): 100 * (errors(kept, "time-llama", h, dataset=d).mean() / paper[d, h] - 1) for d, h in cells}


def test_the_distance_from_the_paper_matches_the_runs(root, kept, words):
    apart = beside_the_paper(root, kept)
    weather = [apart["Weather", horizon] for horizon in HORIZONS]
    assert (
        f"With all rows of Weather Time-LlaMA's MSE is {min(weather):.1f} to {max(weather):.1f} % above the paper's"
        in words
    )
    short = [apart[dataset, horizon] for dataset in ("ETTh1", "ETTm1") for horizon in (96, 192)]
    assert f"at 96 and 192 Time-LlaMA's MSE is {min(short):.1f} to {max(short):.1f} % above the paper's." in words
    longer = [apart[dataset, horizon] for dataset in ("ETTh1", "ETTm1") for horizon in (336, 720)]
    assert (
        f"Time-LlaMA is {min(longer):.0f} to {max(longer):.0f} % worse than the paper and no better than DLinear"
        in words
    )
    for dataset in ("ETTh1", "ETTm1"):
        for horizon in (336, 720):
            ours, linear = (errors(kept, each, horizon, dataset=dataset).mean() for each in ("time-llama", "dlinear"))
            assert linear < ours


def test_the_order_on_weather_matches_the_runs(kept, words):
    assert (
        "about the same beyond, after 300 steps of PatchTST. Time-LlaMA's is lower than that of iTransformer and the "
        "linear" in words
    )
    assert "By MAE PatchTST is better than Time-LlaMA at each, and iTransformer at 96." in words
    lower = {}
    for horizon in HORIZONS:
        mse, mae = (
            {
                variant: errors(kept, variant, horizon, dataset="Weather", error=error)
                for variant in ("time-llama", *BASELINES)
            }
            for error in ("mse", "mae")
        )
        assert all(list(of.index) == [0, 1, 2] for of in mse.values())
        mse, mae = ({variant: of.mean() for variant, of in each.items()} for each in (mse, mae))
        lower[horizon] = 100 * (1 - mse["patchtst"] / mse["time-llama"])
        assert all(mse[each] > mse["time-llama"] for each in ("itransformer", "dlinear", "rlinear"))
        assert mae["patchtst"] < mae["time-llama"]
        assert (mae["itransformer"] < mae["time-llama"]) == (horizon == 96)
        assert set(errors(kept, "patchtst", horizon, dataset="Weather", error="steps")) == {300}
    assert (
        f"PatchTST's MSE is {lower[96]:.0f} % lower there at 96, {lower[192]:.0f} % lower at 192 and about the same "
        "beyond" in words
    )
    assert max(abs(lower[336]), abs(lower[720])) < 1


def test_the_lead_of_patchtst_over_three_data_sets_matches_the_runs(root, kept, words):
    apart = []
    for dataset in ("ETTh1", "ETTm1", "Weather"):
        for horizon in HORIZONS:
            ours, other = (errors(kept, each, horizon, dataset=dataset) for each in ("time-llama", "patchtst"))
            apart.append(np.log(other / ours).mean())
    assert f"PatchTST's MSE is {-100 * np.expm1(np.mean(apart)):.0f} % lower over ETTh1, ETTm1 and Weather" in words
    table = (root / "docs/reference/cpu/table_claims.md").read_text(encoding="utf-8").replace("\N{MINUS SIGN}", "-")
    row = r"^\| 1\.4 \|.*\| \+([\d.]+) % \| (-?[\d.]+) to \+([\d.]+) \|"
    [(effect, low, high)] = re.findall(row, table, re.MULTILINE)
    assert float(low) < 0 < float(high), "not significant"
    assert f"with three seeds (Time-LlaMA's is {effect} % higher, {low} to {high}; [statement 1.4]" in words


def test_m4_hourly_and_its_steps_match_the_runs(root, words):
    runs = kept_runs(root)
    hourly = dict(list(runs[runs["run/dataset"] == "M4-Hourly"].groupby("run/variant")))
    ours, linear, naive = (hourly[each] for each in ("time-llama", "dlinear", "seasonal-naive"))
    assert len(ours) == len(linear) == 3
    assert max(linear["owa"].max(), naive["owa"].max()) < ours["owa"].min()
    assert ours["smape"].mean() < naive["smape"].item() and "by SMAPE it is better than the seasonal naive" in words
    seen = [(each["steps"] * each["run/training/batch_size"]).mean() for each in (linear, ours)]
    assert f"DLinear saw {seen[0] / seen[1]:.0f} times as many windows" in words
    assert [(each["best_step"] == each["steps"]).sum() for each in (ours, linear)] == [3, 2]
    steps = f"{ours['steps'].mean():,.0f}", f"{round(linear['steps'].mean(), -3):,.0f}"
    assert (
        "best step was the last of {} in each of three seeds, DLinear's the last of {} in two".format(*steps) in words
    )


def test_m4_weekly_and_the_benchmarks_match_the_runs(root, words):
    runs = kept_runs(root)
    owa = runs[runs["run/dataset"] == "M4-Weekly"].groupby("run/variant")["owa"].mean()
    ahead = owa[owa < owa["time-llama"]].drop(["patchtst", "dlinear"]).sort_values()
    names = {"ses": "SES"}
    said = ", ".join(f"{names.get(name, name.title())} {of:.3f}" for name, of in ahead.items())
    assert len(ahead) == 5 and f"five of the competition's statistical benchmarks are better ({said})" in words
    assert abs(owa["time-llama"] - owa["naive1"]) < 0.01 and "it is about equal to the last value repeated" in words


def test_the_budgets_match_the_runs(root, kept, words):
    def share(dataset: str, batch: int, epochs: int, steps: float) -> str:
        entry = load_datasets(root)[dataset]
        windows = count_windows(entry.split, rows=entry.rows, context=512, horizon=96, train_percent=100)["train"]
        return f"{100 * steps * batch / (epochs * windows):.0f} % on {dataset}"

    of = kept[(kept["run/variant"] == "time-llama") & (kept["run/horizon"] == 96) & (kept["run/train_percent"] == 100)]
    steps = of.groupby("run/dataset")["steps"].mean()
    shares = ", ".join(share(dataset, 16, 20, steps[dataset]) for dataset in ("ETTh1", "ETTm1", "Weather"))
    hourly = kept_runs(root)
    hourly = hourly[hourly["run/dataset"] == "M4-Hourly"].set_index("run/variant")
    windows = hourly.loc["dlinear", "steps"].max() * 16 / 10  # a whole training of ten epochs
    part = 100 * hourly.loc["time-llama", "steps"].mean() * 32 / (30 * windows)
    assert f"Of its published steps Time-LlaMA makes {shares} and {part:.0f} % on M4 Hourly." in words
    there = kept[(kept["run/dataset"] == "Weather") & (kept["run/horizon"] == 96) & (kept["run/train_percent"] == 100)]
    seen = (there["steps"] * there["run/training/batch_size"]).groupby(there["run/variant"]).mean()
    few = "it sees {:,.0f} windows, PatchTST {:,.0f}".format(*seen[["time-llama", "patchtst"]])
    many = (f"{round(seen[each], -3):,.0f}" for each in ("itransformer", "dlinear", "rlinear"))
    assert few + ", iTransformer {}, DLinear {} and RLinear {}:".format(*many) in words


def test_the_errors_by_number_of_blocks_match_the_runs(root, words):
    runs = kept_runs(root)
    numbers = {1: "one block", 2: "two", 4: "four", 6: "six", 8: "eight", 16: "16", 24: "24"}
    means = {n: errors(runs[runs["run/backbone/blocks"] == n], "time-llama", 96).mean() for n in (*numbers, 30)}
    said = ", ".join(f"{means[n]:.3f} with {name}" for n, name in numbers.items())
    assert f"On ETTh1 at 96 the MSE is {said} and {means[30]:.3f} with 30" in words


def test_the_errors_of_the_blocks_with_few_rows_match_the_runs(kept, words):
    order = ("time-llama-none", "time-llama-random-frozen", "time-llama")
    means = {h: [errors(kept, each, h, percent=5).mean() for each in order] for h in (96, 192, 336)}
    assert all(of == sorted(of) for of in means.values())
    none, drawn, ours = (f"{mean:.3f}" for mean in means[96])
    assert f"{ours} at 96, against {none} without them and {drawn} with random weights; at 192 and 336 the" in words


def test_variants_described_as_close_to_the_full_model_match_the_runs(root, kept, words):
    """Prompts and one block on all rows; with 5 %, the numbers of active modules, and the prefix on Weather."""
    runs = kept_runs(root)
    same = (runs["run/dataset"] == "ETTh1") & (runs["run/horizon"] == 96) & (runs["run/train_percent"] == 100)
    one = runs[same & (runs["run/variant"] == "time-llama") & (runs["run/backbone/blocks"] == 1)]
    full = errors(kept, "time-llama", 96)
    others = [one.set_index("run/seed")["mse"]]
    others += [errors(kept, f"time-llama-prompt-{name}", 96) for name in ("empty", "shuffled", "random")]
    for other in others:
        assert sorted(other.index) == [0, 1, 2]
        assert other.mean() <= full.mean() or stats.ttest_1samp(np.log(other / full), 0).pvalue > 0.05
    apart = defaultdict(list)
    for dataset in ("ETTh1", "Weather"):
        few = errors(kept, "time-llama", 192, percent=5, dataset=dataset)
        for number in (1, 2, 3, 5, 6, 7):
            other = errors(kept, f"time-llama-n{number}", 192, percent=5, dataset=dataset)
            assert list(few.index) == list(other.index) == [0, 1, 2]
            apart[number].append(np.log(other / few).mean())
            assert abs(other.mean() / few.mean() - 1) < 0.01
    assert max(abs(np.mean(each)) for each in apart.values()) < 0.005
    worse = []
    for horizon in (96, 192):
        ours, prefix = (
            errors(kept, each, horizon, percent=5, dataset="Weather") for each in ("time-llama", "time-llama-2")
        )
        assert list(ours.index) == list(prefix.index) == [0, 1, 2]
        assert stats.ttest_1samp(np.log(prefix / ours), 0).pvalue > 0.05
        worse.append(f"{(prefix.mean() / ours.mean() - 1) * 100:.0f} %")
    assert (
        f"On Weather that prompt is {worse[0]} worse at 96 and {worse[1]} at 192, which is not significant with"
        in words
    )
    assert "With 5 % at 192 one to seven active modules are within 1 % of four, so statement 6.1 holds" in words
    reasons = yaml.safe_load((root / "docs/claims/reasons.yaml").read_text(encoding="utf-8"))
    (reason,) = (each["reason"] for each in reasons if each["number"] == "6.1")
    assert "none of the six others is more than 0.5 % from n = 4" in reason


def test_the_operations_match_the_page_of_claims(root, words):
    text = " ".join((root / "docs/claims.md").read_text(encoding="utf-8").split())
    (times,) = re.findall(r"Time-LlaMA needs (\d+) times the operations of PatchTST", text)
    assert f"whose operations it needs {times} times" in words
