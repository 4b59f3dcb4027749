"""Every number in README.md's results is recomputed from the kept numbers; its table has rows for existing results."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from docs import detailed_results, write_results
from docs.claims_editions import read
from docs.kept_numbers import FLOORS, METHODS
from tests.kept import errors
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
def page(root) -> str:
    text = (root / "README.md").read_text(encoding="utf-8")
    return text[text.index("## Results") : text.index("## Performance")]


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
    cells = [(100, dataset, h) for dataset in ("ETTh1", "ETTm1", "Weather") for h in HORIZONS]
    cells += [(100, "ILI", h) for h in WEEKS]
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
        "Time-LlaMA without a language model": "time-llama-none",
        "Time-LlaMA with one attention layer for it": "time-llama-attention",
        "Time-LlaMA with a random one": "time-llama-random-frozen",
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
    of = kept[(kept["run/variant"] == "timesnet") & (kept["run/dataset"] == "Weather")]["seconds/total"] / 3600
    assert len(of) == 4 and f"took {of.min():.1f} to {of.max():.1f} beside other work" in words


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
    gpt4ts = kept[kept["run/variant"] == "gpt4ts"].set_index(["run/horizon", "run/seed"])
    share = gpt4ts["best_step"] / gpt4ts["steps"]
    assert share[96][[0, 1]].min() > 0.99 and max(share[96, 2], *share[336], *share[720]) < 0.4
    assert (
        "almost at the last step in two of three seeds at 96, where a longer budget would probably help it, and within "
        "the first 40 % in the third and at 336 and 720" in words
    )
    published = every[every["run/variant"] == "time-llama-published"].iloc[0]
    entry = load_datasets(root)["ETTh1"]
    windows = count_windows(entry.split, rows=entry.rows, context=512, horizon=96, train_percent=100)["train"]
    epoch = -(-windows // published["run/training/batch_size"])
    assert f"400 steps of the {epoch:.0f} of an epoch of ETTh1" in words
    assert f"within the first, at step {published['best_step']:.0f} (horizon 96, seed 0;" in words
    assert published["best_step"] < epoch and published["run/seed"] == 0 and published["run/horizon"] == 96
