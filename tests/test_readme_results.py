"""Every number in README.md's results is recomputed from the kept numbers; its table has rows for existing results."""

import itertools
import json
import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from docs import detailed_results, write_results
from docs.claims_editions import read
from docs.kept_numbers import FLOORS, METHODS
from tests.kept import errors, kept_runs, searched_runs, table_1_runs
from timellama.data.catalogue.datasets import load_datasets
from timellama.data.splits import count_windows
from timellama.reports.claims.rules import DOES_NOT_HOLD

HORIZONS = (96, 192, 336, 720)
WEEKS = (24, 36, 48, 60)
CONTROLS = {
    "random language model": "time-llama-random-frozen",
    "one attention layer for it": "time-llama-attention",
    "no language model": "time-llama-none",
}
VARIANTS = METHODS | CONTROLS | FLOORS
DASH = "\N{EN DASH}"


@pytest.fixture(scope="module")
def kept(root) -> pd.DataFrame:
    return table_1_runs(root)


@pytest.fixture(scope="module")
def searched(root) -> pd.DataFrame:
    return searched_runs(root)


@pytest.fixture(scope="module")
def page(root) -> str:
    text = (root / "README.md").read_text(encoding="utf-8")
    return text[text.index("## Results") : text.index("## Performance")]


@pytest.fixture(scope="module")
def words(page) -> str:
    return " ".join(page[page.index("In plain words:") :].split())


def rows_of(table: str) -> dict[str, list[str]]:
    """The cells of a table by the name of the row, without the mark of a control's row."""
    lines = [line for line in table.replace("\N{NO-BREAK SPACE}", " ").splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {first.removeprefix(f"{DASH} "): rest for first, *rest in cells}


def printed(seeds: pd.Series) -> str:
    """Mean and standard deviation over seeds, as the table should print them."""
    if seeds.empty:
        return DASH
    return f"{seeds.mean():.3f}" + (
        f" ± {np.sqrt(((seeds - seeds.mean()) ** 2).sum() / (len(seeds) - 1)):.3f}" if len(seeds) > 1 else ""
    )


def over(runs: pd.DataFrame, variant: str, dataset: str, horizons: tuple[int, ...]) -> pd.Series:
    """The mean over horizons per seed, for the seeds that every horizon has."""
    each = [errors(runs, variant, horizon, dataset=dataset) for horizon in horizons]
    return pd.concat(each, axis=1).dropna().mean(axis=1)


def test_every_cell_of_the_table_matches_the_kept_runs(page, kept, searched):
    table = rows_of(page)
    heads = [
        "ETTh1 H 96 searched",
        "ETTh1 H 336 searched",
        *(f"{d} 4 horizons published" for d in ("ETTh1", "ETTm1", "Weather", "ILI")),
    ]
    assert [re.sub(r" seeds? [\d, ]+$", "", head.replace("<br>", " ")) for head in table["test MSE"]] == heads
    assert [head.rpartition("<br>")[2] for head in table["test MSE"]] == [
        *["seeds 0, 1, 2"] * 6,
    ]
    lowest = {}
    for name, variant in VARIANTS.items():
        floor = variant in ("hour-of-day-mean", "seasonal-naive")
        cells = [errors(kept if floor else searched, variant, horizon) for horizon in (96, 336)]
        cells += [
            over(kept, variant, dataset, WEEKS if dataset == "ILI" else HORIZONS)
            for dataset in ("ETTh1", "ETTm1", "Weather", "ILI")
        ]
        if not any(map(len, cells)):
            assert name not in table
            continue
        shown = [cell.replace("**", "") for cell in table[name]]
        assert [re.sub(r" \(seeds? [\d, ]+\)$", "", cell) for cell in shown] == [printed(of) for of in cells], name
        lowest |= {(place, name): of.mean() for place, of in enumerate(cells) if len(of)}
    for place in range(6):
        best = f"{min(mean for (where, _), mean in lowest.items() if where == place):.3f}"
        bold = {name for name, cells in table.items() if name in VARIANTS and "**" in cells[place]}
        assert bold == {name for (where, name), mean in lowest.items() if where == place and f"{mean:.3f}" == best}
    names = list(table)
    assert names.index("*untrained:*") == names.index("hour-of-day mean") - 1 == names.index("seasonal naive") - 2
    assert set(names[names.index("*untrained:*") + 1 :]) == {"hour-of-day mean", "seasonal naive"}


def test_the_papers_row_has_the_papers_numbers(root, page):
    paper = pd.read_csv(root / "config/published/table1_long_term.csv")
    of = paper[paper["method"] == "Time-LlaMA"].set_index(["dataset", "horizon"])["mse"]
    means = [f"{of[dataset].loc[list(HORIZONS)].mean():.3f}" for dataset in ("ETTh1", "ETTm1", "Weather")]
    row = rows_of(page)["*the paper, Llama-2 7B*"]
    assert row == [f"{of['ETTh1', 96]:.3f}", f"{of['ETTh1', 336]:.3f}", *means, DASH]


def test_rows_are_made_for_the_results_that_exist(kept, searched):
    """One seed at every horizon, two seeds at one of them, and searched at one horizon only."""
    kept = kept[~kept["run/variant"].isin(["gpt4ts", "timesnet", "time-llm"])]
    like = kept[
        (kept["run/variant"] == "dlinear") & (kept["run/dataset"] == "ETTh1") & (kept["run/train_percent"] == 100)
    ]
    one = like[like["run/seed"] == 0].assign(**{"run/variant": "gpt4ts"})
    some = like[(like["run/horizon"] == 96) & (like["run/seed"] < 2)].assign(**{"run/variant": "timesnet"})
    other = searched[(searched["run/variant"] == "dlinear") & (searched["run/horizon"] == 96)]
    more = pd.concat([searched, other.assign(**{"run/variant": "time-llm"})])
    before = rows_of(write_results.main_table(kept, searched))
    table = rows_of(write_results.main_table(pd.concat([kept, one, some]), more))
    assert table["GPT4TS"] == [DASH, DASH, f"{one['mse'].mean():.3f} (seed 0)", DASH, DASH, DASH]
    assert table["Time-LLM"] == [before["DLinear"][0].replace("**", ""), *[DASH] * 5]
    assert "TimesNet" not in table, "one horizon of four has no mean over horizons"
    assert {name: of for name, of in table.items() if name in before} == before
    detail = detailed_results.long_term(pd.concat([kept, one, some])).splitlines()
    heads, first = ([cell.strip() for cell in line.strip("|").split("|")] for line in (detail[0], detail[2]))
    shown = dict(zip(heads, first, strict=True))
    assert shown["GPT4TS"] == f"{one[one['run/horizon'] == 96]['mse'].item():.3f} (seed 0)"
    assert shown["TimesNet"].endswith("(seeds 0, 1)") and "Time-LLM" not in heads
    assert dict(zip(heads, detail[3].strip("|").split(" | "), strict=True))["TimesNet"] == "not run"


def test_the_counts_of_rows_in_which_a_control_is_lower_match_the_runs(page, kept):
    cells = [(100, "ETTh1", h) for h in HORIZONS]
    cells += [(5, dataset, h) for dataset in ("ETTh1", "Weather") for h in HORIZONS]
    text = " ".join(page.split())
    for variant, said in (
        ("time-llama-none", "lower without it in {} of {}"),
        ("time-llama-attention", "with one attention layer in its place in {} of {}"),
        ("time-llama-random-frozen", "with random weights in it in {} of {}"),
    ):
        pairs = [
            [errors(kept, each, h, percent=percent, dataset=dataset).mean() for each in ("time-llama", variant)]
            for percent, dataset, h in cells
        ]
        pairs = [pair for pair in pairs if not np.isnan(pair).any()]
        assert said.format(sum(other < ours for ours, other in pairs), len(pairs)) in text


def test_the_ranks_match_the_runs(page, kept):
    cells = [(d, h) for d in ("ETTh1", "ETTm1", "Weather", "ILI") for h in (WEEKS if d == "ILI" else HORIZONS)]
    names = {
        **{name: VARIANTS[name] for name in ("PatchTST", "RLinear", "DLinear", "Time-LlaMA", "iTransformer")},
        "Seasonal naive": "seasonal-naive",
        "Look-back mean": "look-back-mean",
    }
    means = pd.DataFrame(
        {name: [errors(kept, variant, h, dataset=d).mean() for d, h in cells] for name, variant in names.items()}
    )
    ranks = means.rank(axis=1).mean()
    ranks = ranks[sorted(names, key=lambda name: (ranks[name], names[name]))]  # equal ranks in the order of variants
    said = ", ".join(f"{name} {rank:.2f}" for name, rank in ranks[:-1].items())
    text = " ".join(page.split())
    assert f"over {len(cells)} cells (data set and horizon) of 4 data sets" in text
    assert f"{said} and {ranks.index[-1]} {ranks.iloc[-1]:.2f}." in text


def test_the_runs_that_the_ranks_lack_are_counted(root, page):
    plan = json.loads((root / "docs/reference/cpu/plan.json").read_text(encoding="utf-8"))["experiments"]
    absent = set(pd.read_csv(root / "docs/reference/cpu/absent.csv")["result"]) & set(plan["long_term"]["results"])
    said = f"{len(absent)} of {len(plan['long_term']['results'])} planned runs [have no result]"
    assert (said in " ".join(page.split())) == bool(absent)


def test_the_verdicts_are_counted(root, page):
    text = " ".join(page.split())
    statements = read((root / "docs/reference/cpu/table_claims.md").read_text(encoding="utf-8"))
    not_here = [each.number for each in statements if each.verdict == DOES_NOT_HOLD]
    assert f"{len(statements)} statements of the paper" in text
    (said,) = re.findall(rf"{len(not_here)} do not hold here \(([^)]*)\)", text)
    assert re.findall(r"\d\.\d", said) == not_here


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


def said_of_the_day(root, kept, searched) -> list[str]:
    for horizon in HORIZONS:
        day, ours = (errors(kept, each, horizon, error="mae").mean() for each in ("hour-of-day-mean", "time-llama"))
        assert day < ours, "by MAE at every horizon"
    days, ours = ([errors(kept, each, h).mean() for h in HORIZONS[:3]] for each in ("hour-of-day-mean", "time-llama"))
    assert all(day > our for day, our in zip(days, ours, strict=True)), "by MSE only at 720"
    return [f"{errors(kept, each, 720).mean():.3f}" for each in ("hour-of-day-mean", "time-llama")]


def said_of_few_rows(root, kept, searched) -> list[str]:
    paper = pd.read_csv(root / "config/published/table3_few_shot_5pct.csv")
    paper = paper[(paper["method"] == "Time-LlaMA") & (paper["dataset"] == "ETTh1") & (paper["horizon"] == 96)]
    return [f"{errors(kept, 'time-llama', 96, percent=5).mean():.3f}", f"{paper['mse'].item():.3f}"]


def said_of_the_model(root, kept, searched) -> list[str]:
    of = [errors(kept, f"time-llama{each}", 96, percent=5) for each in ("", "-random-frozen", "-none")]
    assert chance(of[0], of[2]) < 0.001
    return [*(f"{each.mean():.3f}" for each in of), "0.001"]


def said_of_all_rows(root, kept, searched) -> list[str]:
    assert set(
        kept[(kept["run/variant"] == "time-llama-none") & (kept["run/train_percent"] == 100)]["run/dataset"]
    ) == {"ETTh1"}, "the only data set on which controls ran with all rows"
    assert errors(kept, "time-llama-attention", 96).mean() > errors(kept, "time-llama", 96).mean()
    ours, without = ([errors(kept, each, h) for h in HORIZONS] for each in ("time-llama", "time-llama-none"))
    assert all((b < a).all() for a, b in zip(ours, without, strict=True)), "so is every seed"
    parts = [100 * (1 - b.mean() / a.mean()) for a, b in zip(ours, without, strict=True)]
    logs = pd.concat([np.log(b / a) for a, b in zip(ours, without, strict=True)], axis=1).mean(axis=1)
    return [f"{min(parts):.0f}", f"{max(parts):.0f}", f"{stats.ttest_1samp(logs, 0).pvalue:.2f}"]


def said_of_searched(root, kept, searched) -> list[str]:
    ours = {horizon: errors(searched, "time-llama", horizon) for horizon in (96, 336)}
    trained = [each for each in searched["run/variant"].unique() if each != "time-llama"]
    found = {h: sorted((chance(errors(searched, each, h), ours[h]), each) for each in trained) for h in ours}
    assert len(trained) * found[96][0][0] > 0.05, "at 96 no difference is significant"
    assert found[336][0][1] == "time-llama-none" and errors(searched, "time-llama-none", 336).max() < ours[336].min()
    lowest = found[336][0][0]
    assert found[336][1][0] * (2 * len(trained) - 1) > 0.05, "over both horizons this is the lowest of all"
    chosen = searched[searched["run/horizon"] == 336].groupby("run/variant")[["chosen/options/token_scale"]].first()
    assert chosen.loc["time-llama"].item() != chosen.loc["time-llama-none"].item(), "another token size"
    return [f"{lowest:.3f}", {7: "seven"}[len(trained)], *(f"{n * len(trained) * lowest:.2f}" for n in (1, 2))]


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
    assert order[0][-1] == order[1][1] == "time-llama", "from last to second at 336"
    return [str(sum(each > 0 for each in more.values())), str(len(more)), f"{-100 * more['time-llama', 336]:.0f}"]


def said_of_the_heavy(root, kept, searched) -> list[str]:
    def series(run: pd.Series) -> int:
        """Series that a training saw: windows of all variates, or single ones."""
        alone = run["run/training/sampling"] == "variates"
        return int(run["steps"] * run["run/training/batch_size"] * (1 if alone else run["run/variates"]))

    of = kept[(kept["run/dataset"] == "ETTh1") & (kept["run/horizon"] == 96) & (kept["run/train_percent"] == 100)]
    heavy = [of[of["run/variant"] == name] for name in ("timesnet", "gpt4ts", "time-llm")]
    ours = of[of["run/variant"] == "time-llama"]
    assert [len(each) for each in heavy] == [3, 1, 1]
    every = kept[kept["run/variant"].isin(["gpt4ts", "time-llm", "timesnet"]) & (kept["run/seed"] == 0)]
    there = every.groupby("run/variant")["run/horizon"].apply(sorted).to_dict()
    assert there == {"gpt4ts": [*HORIZONS], "time-llm": [96], "timesnet": [*HORIZONS]}, "the others are not trained"
    assert set(kept[kept["run/variant"].isin(there) & (kept["run/horizon"] > 96)]["run/seed"]) == {0}
    assert {series(each.iloc[0]) // 100 for each in heavy} == {series(run) // 100 for _, run in ours.iterrows()}
    return [f"{each['mse'].mean():.3f}" for each in heavy]


def said_of_depth(root, kept, searched) -> list[str]:
    every = kept_runs(root)

    def mean(blocks: int) -> str:
        seeds = errors(every[every["run/backbone/blocks"] == blocks], "time-llama", 96)
        assert list(seeds.index) == [0, 1, 2]
        return f"{seeds.mean():.3f}"

    few = [mean(blocks) for blocks in (1, 2, 4, 6, 8, 16)]
    return [min(few), max(few), mean(30)]


def said_of_another_processor(root, kept, searched) -> list[str]:
    found = json.loads((root / "docs/reference/repeats.json").read_text(encoding="utf-8"))
    single, means = [], []
    for cell in ("ETTh1/time-llama/H96", "ILI/time-llama/H24"):
        runs = pd.DataFrame([each for each in found if f"/{cell}-" in each["result"]])
        assert len(runs) == 3
        single.append(f"{100 * (runs['here'] / runs['kept'] - 1).abs().max():.2g}")
        means.append(f"{100 * abs(runs['here'].mean() / runs['kept'].mean() - 1):.1f}")
    return single + means


SAID: dict[str, Callable[..., list[str]]] = {
    "On Weather Time-LlaMA's MSE is {} to {} % above the paper's": said_of_weather,
    "PatchTST's is {} % lower at 96, {} % lower at 192 and about the same beyond": said_of_weathers_best,
    "at horizons 96 and 192 it is {} to {} % above the paper's": said_of_short_horizons,
    "PatchTST's MSE is {} % lower over ETTh1, ETTm1 and Weather": said_of_patchtst,
    "by MSE it is at 720, with {} against {}": said_of_the_day,
    "At the longer horizons of ETTh1 and ETTm1 it is {} to {} % worse than the paper": said_of_longer_horizons,
    "With 5 % of the rows of ETTh1 it has {} at 96; the paper has {}": said_of_few_rows,
    "the MSE is {} with them, {} with random weights and {} without (with against without, paired over three seeds, "
    "uncorrected: p < {};": said_of_the_model,
    "at 96 the MSE is {} to {} with one to 16 and {} with all 30": said_of_depth,
    "by {} to {} %, and so is every seed; over the horizons that is not significant (p = {})": said_of_all_rows,
    "lower at 336, with another rate and token size chosen (p = {}, corrected for {} methods {}, for both horizons "
    "{})": said_of_searched,
    "{} of {} means are higher with them, but Time-LlaMA's at 336 is {} % lower and goes from last to "
    "second": said_of_the_budget,
    "single seeds of Time-LlaMA differ by up to {} % on ETTh1 at 96 and by {} % on ILI at 24; the means over three "
    "seeds differ by {} and {} %": said_of_another_processor,
    "TimesNet has {} on ETTh1 at 96 (three seeds), GPT4TS {} and Time-LLM {} (one seed), after as many series as "
    "Time-LlaMA sees there; their other cells have one seed or none": said_of_the_heavy,
}
# Digits that are not results: names, horizons and a share of rows.
NAMES = (
    r"ETT[hm]1|SmolLM2|Llama-2 7B|4 bits|5 % of (?:the|its) rows"
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


def test_a_row_of_missing_results_names_exactly_its_horizons_and_seeds(root):
    absent = pd.read_csv(root / "docs/reference/cpu/absent.csv")
    rows = [[cell.strip() for cell in line.split("|")][1:-1] for line in detailed_results.missing().splitlines()[2:]]
    assert sum(int(row[-2]) for row in rows) == len(absent)
    for row in rows:
        horizons, seeds = (re.findall(r"\d+", part) for part in row[3].split(";"))
        assert len(horizons) * len(seeds) == int(row[-2]), row


def test_the_hours_that_the_configuration_takes_match_the_runs(root):
    """Half the sum of the kept hours, of one thread, and those of the missing runs: two cores do two runs at once."""
    seconds = pd.read_csv(root / "docs/reference/cpu/metrics.csv", low_memory=False)["seconds/total"]
    rows = [[cell.strip() for cell in line.split("|")] for line in detailed_results.missing().splitlines()[2:]]
    missing = sum(int(row[-3]) * float(row[-2]) for row in rows)
    hours = (seconds.sum() / 3600 + missing) / 2
    [line] = [
        line for line in (root / "README.md").read_text(encoding="utf-8").splitlines() if "| `config/cpu.yaml`" in line
    ]
    assert f"| some {hours:.0f} hours of two cores |" in line


def test_the_numbers_of_validation_windows_that_choose_weights_match_the_runs(root, kept):
    words = " ".join((root / "docs/reference/README.md").read_text(encoding="utf-8").split())
    assert (
        "weights are chosen on 256 of them for Time-LlaMA, its controls and the three heavy rivals (with 5 % of the "
        "rows 128 for Time-LlaMA and its controls), on 1,024 for PatchTST (ETTm1 and Weather: 256), on all for "
        "iTransformer (Weather: 1,024), and on all for DLinear and RLinear." in words
    )
    ours = {variant: {"": 256} for variant in ("time-llama", *CONTROLS.values(), "timesnet", "gpt4ts", "time-llm")}
    expected = ours | {
        "patchtst": {"": 1024, "ETTm1": 256, "Weather": 256},
        "itransformer": {"": None, "Weather": 1024},
        "dlinear": {"": None},
        "rlinear": {"": None},
    }
    for variant, of in expected.items():
        runs = kept[(kept["run/variant"] == variant) & (kept["run/task"] == "long-term")]
        whole = runs[runs["run/train_percent"] == 100]
        for dataset, windows in whole.groupby("run/dataset")["run/training/validation_windows"]:
            assert set(windows.fillna(0)) == {of.get(dataset, of[""]) or 0}, (variant, dataset)
    few = kept[kept["run/variant"].isin(["time-llama", *CONTROLS.values()]) & (kept["run/train_percent"] == 5)]
    assert set(few["run/training/validation_windows"]) == {128}


def test_windows_seen_match_hand_computed_numbers():
    run = {"steps": 10, "run/training/batch_size": 14, "run/training/sampling": "windows", "run/variates": 7}
    assert detailed_results.windows_seen(pd.Series(run)) == 140
    assert detailed_results.windows_seen(pd.Series(run | {"run/training/sampling": "variates"})) == 20


def test_the_hours_of_the_heavy_runs_match_the_page(root, kept):
    words = " ".join((root / "docs/reference/README.md").read_text(encoding="utf-8").split())
    hours = (kept["seconds/total"] / 3600).groupby(kept["run/variant"])
    [long], (least, *_, most) = (sorted(hours.get_group(each)) for each in ("time-llm", "gpt4ts"))
    assert (
        f"run of Time-LLM took {long:.1f} hours and those of GPT4TS {least:.1f} to {most:.1f}, test included" in words
    )


def test_the_steps_of_the_best_points_match_the_page(root, kept):
    words = " ".join((root / "docs/reference/README.md").read_text(encoding="utf-8").split())
    [line] = [line for line in detailed_results.budgets().splitlines() if line.startswith("| Time-LlaMA | ETTm1")]
    best = [int(cell.split(" of ")[0]) for cell in line.strip("| ").split(" | ")[2:-1]]
    runs = kept[(kept["run/variant"] == "time-llama") & (kept["run/dataset"] == "ETTm1")]
    assert len(runs) == 12 and (runs["best_step"] == runs["steps"]).sum() == 3
    said = (
        f"the best points came at {min(best)} to {max(best)} on average, in three of twelve runs still at the last step"
    )
    assert f"so there it has 1200; then {said}." in words
    weather = kept[(kept["run/dataset"] == "Weather") & (kept["run/train_percent"] == 100)]
    runs = weather[weather["run/variant"] == "time-llama"]
    assert set(runs["steps"]) == {400} and runs["best_step"].min() == 200 and len(runs) == 12
    assert (runs["best_step"] == 400).sum() == 6 and "at 200 to 400 of 400, in six of twelve runs at the last" in words
    best = weather[weather["run/variant"] == "itransformer"].groupby("run/seed")["best_step"].apply(set)
    assert best[0] == {748, 935} and best[1] | best[2] == {374, 561, 748, 935}
    assert "came at 748 to 935, where they had been with a patience of three; in the others at 374 to 935." in words
    every = pd.read_csv(root / "docs/reference/cpu/metrics.csv", low_memory=False)
    gpt4ts = kept[kept["run/variant"] == "gpt4ts"].set_index("run/horizon")
    share = (gpt4ts["best_step"] / gpt4ts["steps"]).round(2)
    assert share[96] > 0.99 and share[[336, 720]].max() < 0.4
    assert (
        "almost at the last step at 96, where a longer budget would probably help it, and within the first 40 %"
        in words
    )
    published = every[every["run/variant"] == "time-llama-published"].iloc[0]
    entry = load_datasets(root)["ETTh1"]
    windows = count_windows(entry.split, rows=entry.rows, context=512, horizon=96, train_percent=100)["train"]
    epoch = -(-windows // published["run/training/batch_size"])
    assert f"400 steps of the {epoch:.0f} of an epoch of ETTh1" in words
    assert f"within the first, at step {published['best_step']:.0f} (horizon 96, seed 0;" in words
    assert published["best_step"] < epoch and published["run/seed"] == 0 and published["run/horizon"] == 96


def test_the_words_are_short(page):
    text = page[page.index("In plain words:") :].strip()
    assert len(text.splitlines()) <= 27
