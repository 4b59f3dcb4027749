"""Writes the numbers of README.md and of docs/reference/README.md from the kept results of `config/cpu.yaml`.

`python docs/write_results.py` (a part of `make docs`) replaces what stands between the marks `<!-- results: begin -->`
and `<!-- results: end -->`, and those of `budgets`. A test fails while the pages are not what this makes.
"""

import json
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import yaml

from timellama.methods.registry import trains_nothing
from timellama.reports.claims.rules import CANNOT_FAIL, DOES_NOT_HOLD, HOLDS, INCONCLUSIVE, NOT_RUN, VERDICTS
from timellama.reports.reference.numbers import planned_results
from timellama.reports.render.markup import listed
from timellama.results.aggregate import published_numbers

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "docs/reference/cpu"
LINE = 132  # characters of a line of these pages
CONFIG = yaml.safe_load((ROOT / "config/cpu.yaml").read_text(encoding="utf-8"))
LONG_TERM = {name: entry["context"] for name, entry in CONFIG["experiments"]["long_term"]["datasets"].items()}
BLOCKS = CONFIG["backbones"][0]["blocks"]
COLUMNS = {
    "Time-LlaMA": "time-llama",
    "PatchTST": "patchtst",
    "DLinear": "dlinear",
    "iTransformer": "itransformer",
    "RLinear": "rlinear",
    "hour-of-day mean": "hour-of-day-mean",
    "seasonal naive": "seasonal-naive",
}
IN_PLACE = {
    "Time-LlaMA": "time-llama",
    "the language model with random weights, frozen": "time-llama-random-frozen",
    "one attention layer in its place": "time-llama-attention",
    "nothing in its place": "time-llama-none",
    "straight-through gates": "time-llama-st",
    "scaled gates": "time-llama-scaled",
}
FEW_SHOT = {
    "Time-LlaMA": "time-llama",
    "1, no alignment": "time-llama-1",
    "2, prompt as a prefix": "time-llama-2",
    "3, frozen blocks": "time-llama-3",
    "4, static LoRA": "time-llama-4",
    "5, AdaLoRA": "time-llama-5",
    "6, MOELoRA": "time-llama-6",
    "PatchTST": "patchtst",
    "DLinear": "dlinear",
    "RLinear": "rlinear",
    "hour-of-day mean, untrained": "hour-of-day-mean",
}
CELLS = (("ETTh1", 96), ("ETTh1", 192), ("Weather", 96), ("Weather", 192))
SEARCHED = {
    "Time-LlaMA": "time-llama",
    "the language model with random weights, frozen": "time-llama-random-frozen",
    "one attention layer in its place": "time-llama-attention",
    "nothing in its place": "time-llama-none",
    "PatchTST": "patchtst",
    "DLinear": "dlinear",
    "iTransformer": "itransformer",
    "RLinear": "rlinear",
}
APART = ("search", "tokens")  # other settings of the methods that these pages show
TRAINED = ("Time-LlaMA", "PatchTST", "DLinear", "iTransformer", "RLinear")
UNDER = {  # of a verdict, under which conditions it was reached
    "3.2": "on ETTh1 alone",
    "7.2": "with gates that the forecast loss does not train",
}


def kept_runs() -> pd.DataFrame:
    """The runs that most tables show: not other depths, `APART`, or DLinear at other papers' look-back."""
    kept = pd.read_csv(KEPT / "metrics.csv", low_memory=False)
    plan = json.loads((KEPT / "plan.json").read_text(encoding="utf-8"))
    kept = kept[kept["result"].isin(planned_results(plan, without=APART))]
    blocks, context = kept["run/backbone/blocks"], kept["run/dataset"].map(LONG_TERM)
    return kept[(blocks.isna() | (blocks == BLOCKS)) & (context.isna() | (context == kept["run/context"]))]


def select(kept: pd.DataFrame, variant: str, dataset: str, horizon: int | None, percent: int = 100) -> pd.DataFrame:
    """The runs of a cell, one a seed; `horizon` None for M4, which has one."""
    same = (kept["run/variant"] == variant) & (kept["run/dataset"] == dataset)
    same &= (kept["run/train_percent"] == percent) & ((horizon is None) | (kept["run/horizon"] == horizon))
    return kept[same]


def seeds_of(runs: pd.DataFrame) -> str:
    """`seeds 0, 1, 2`."""
    seeds = sorted(runs["run/seed"])
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(str(seed) for seed in seeds)}"


def mean(runs: pd.DataFrame, error: str, seeds: str) -> str:
    """The mean over seeds; which they are, where these are not `seeds`. What trains nothing has none."""
    if runs.empty:
        return "not run"
    own = seeds_of(runs)
    same = own == seeds or set(runs["run/variant"]) <= set(trains_nothing())
    return f"{runs[error].mean():.3f}" + ("" if same else f" ({own})")


def paper_mse(file: str) -> dict[tuple[str, int], str]:
    """The paper's MSE of Time-LlaMA by data set and horizon."""
    numbers = published_numbers(ROOT / "config/published" / file)
    return {
        (dataset, horizon): f"{of['mse']:.3f}"
        for (dataset, horizon, method), of in numbers.items()
        if method == "Time-LlaMA"
    }


def most_seeds(cells: Sequence[pd.DataFrame]) -> str:
    """The seeds of the cell that has most of them."""
    return seeds_of(max(cells, key=len))


def means(cells: Sequence[pd.DataFrame], error: str) -> list[str]:
    """The mean of each cell, which says its seeds where they are not those of most."""
    seeds = most_seeds(cells)
    return [mean(runs, error, seeds) for runs in cells]


def tested(cells: Sequence[pd.DataFrame]) -> tuple[str, str]:
    """Windows, which all methods of a row share, and seeds."""
    (count,) = {count for runs in cells for count in runs["n_windows"]}
    return f"{count:.0f}", most_seeds(cells).split(" ", 1)[1]


def table(head: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """A Markdown table whose first `texts` columns are words and whose others are numbers."""
    rule = ["---"] * texts + ["---:"] * (len(head) - texts)
    lines = [head, *rows]
    shown = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([shown[0], f"|{'|'.join(rule)}|", *shown[1:]])


def long_term(kept: pd.DataFrame) -> str:
    """Rows data set and horizon, columns methods."""
    paper, rows = paper_mse("table1_long_term.csv"), []
    for dataset in LONG_TERM:
        of = kept[(kept["run/dataset"] == dataset) & (kept["run/train_percent"] == 100)]
        for horizon in sorted(of["run/horizon"].unique()):
            cells = [select(kept, variant, dataset, horizon) for variant in COLUMNS.values()]
            published = paper.get((dataset, horizon), "none")
            rows.append([f"{dataset}, H {horizon}", *tested(cells), published, *means(cells, "mse")])
    return table(["MSE", "windows", "seeds", "Time-LlaMA, paper", *COLUMNS], rows)


def in_place(kept: pd.DataFrame) -> str:
    """What stands for the language model, and other gates."""
    cells = {name: select(kept, variant, "ETTh1", 96) for name, variant in IN_PLACE.items()}
    rows = list(zip(cells, means(list(cells.values()), "mse"), strict=True))
    return table([f"ETTh1, H 96, all training rows, {most_seeds(list(cells.values()))}", "MSE"], rows)


def few_shot(kept: pd.DataFrame) -> str:
    """Rows methods and variants, columns data set and horizon."""
    paper = paper_mse("table3_few_shot_5pct.csv")
    columns = [[select(kept, each, *cell, percent=5) for each in FEW_SHOT.values()] for cell in CELLS]
    head = [f"{dataset}, H {horizon}, {most_seeds(of)}" for (dataset, horizon), of in zip(CELLS, columns, strict=True)]
    errors = zip(*(means(of, "mse") for of in columns), strict=True)
    rows = [["Time-LlaMA, paper", *(paper[cell] for cell in CELLS)]]
    rows += [[name, *of] for name, of in zip(FEW_SHOT, errors, strict=True)]
    return table(["MSE, 5 % of the training rows", *head], rows)


def short_term(kept: pd.DataFrame) -> str:
    """OWA of M4's frequencies."""
    methods, rows = ("Time-LlaMA", "PatchTST", "DLinear", "seasonal naive"), []
    for name in ("Hourly", "Weekly"):
        cells = [select(kept, COLUMNS[method], f"M4-{name}", None) for method in methods]
        rows.append([name, *tested(cells), *means(cells, "owa")])
    return table(["M4, OWA", "series", "seeds", *methods], rows)


def searched() -> str:
    """Published and searched settings of each method; empty until a search is complete."""
    kept = pd.read_csv(KEPT / "metrics.csv", low_memory=False)
    if "run/trials" not in kept:
        return ""
    searched = kept[kept["run/trials"].notna()]
    horizons = [
        horizon
        for horizon, of in searched.groupby("run/horizon")
        if of["run/variant"].nunique() == searched["run/variant"].nunique()
    ]
    published, rows = kept_runs(), []
    for name, variant in SEARCHED.items():
        row = [name]
        for horizon in horizons:
            cells = [select(each, variant, "ETTh1", horizon) for each in (published, searched)]
            row += [f"{runs['mse'].mean():.3f} ± {runs['mse'].std():.3f}" for runs in cells]
        rows.append(row)
    head = [f"H {horizon}, {which}" for horizon in horizons for which in ("published", "searched")]
    return table(["MSE, ETTh1, all training rows, seeds 0, 1, 2", *head], rows) if horizons else ""


def verdicts() -> str:
    """How many of the paper's statements hold with what was run, and which do not."""
    table = (KEPT / "table_claims.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| (\d+\.\d+) .*\| \**([a-z ]+?)\** \|$", table, re.MULTILINE)
    of = {verdict: [number for number, each in found if each == verdict] for verdict in VERDICTS}
    if not found or sum(map(len, of.values())) < len(found):
        raise ValueError(
            f"table_claims.md has the verdicts {sorted({each for _, each in found})}; there are {VERDICTS}"
        )
    said = {
        HOLDS: "hold there",
        DOES_NOT_HOLD: "do not hold there",
        INCONCLUSIVE: "are inconclusive",
        NOT_RUN: "were not run",
        CANNOT_FAIL: "cannot fail",
    }
    counts = []
    for verdict in VERDICTS:
        which = [f"{number}, {UNDER[number]}" if number in UNDER else number for number in of[verdict]]
        named = f" ({'; '.join(which)})" if verdict in (HOLDS, DOES_NOT_HOLD) else ""
        counts += [f"{len(which)} {said[verdict]}{named}"] if which else []
    return (
        f"{len(found)} statements of the paper were put to the method with SmolLM2-135M-Instruct (Q4_1), not Llama-2 "
        f"7B ([rules](docs/claims.md), [verdicts](docs/reference/cpu/table_claims.md)): {listed(counts)}. No verdict "
        "is on the paper's own runs."
    )


def results() -> str:
    """The block of README.md."""
    kept, page = kept_runs(), (KEPT / "README.md").read_text(encoding="utf-8")
    there, planned = re.search(r"gave: (\d+) of (\d+) results", page).groups()
    commits = re.search(r"^- Commits: (.*)$", page, flags=re.MULTILINE)[1].split(", ")
    first = (
        f"{there} of {planned} results of `config/cpu.yaml`, with the first six blocks of "
        "SmolLM2-135M-Instruct (Q4_1) in place of the "
        f"paper's Llama-2 7B, from commits {listed(commits)}. "
        "[docs/reference/cpu](docs/reference/cpu/README.md) has every table and figure, and leads from each number to "
        "its run, seeds and data digest; `make check-reference` rebuilds the tables from the kept numbers. Test "
        "errors are means over the seeds that are named (a method that trains nothing has none), of every test window, "
        "look-back 512 (ILI 96); a cell in which they are others says so. [The table]"
        "(docs/reference/cpu/table_reproduction.md) has deviations, MAE and the paper's other columns."
    )
    blocks = [wrapped(first), long_term(kept)]
    about = (
        "What stands for the language model, and [how the gates get their gradient](docs/open_questions.md). The "
        "random weights are one draw, the same for each seed."
    )
    blocks += [wrapped(about), in_place(kept)]
    if of_search := searched():
        about = (
            "Settings of `config/cpu.yaml`: published ones, but with smaller budgets, and with PatchTST's rate, batch "
            "and schedule, DLinear's schedule and Time-LlaMA's TSEmb changed. Beside them settings that were searched "
            "for with the same effort for each method ([protocol](docs/protocol.md#equal-search), "
            "[choices](docs/reference/cpu/table_search.md)). Mean and standard deviation (n - 1) over seeds:"
        )
        blocks += [wrapped(about), of_search]
    return "\n\n".join([*blocks, few_shot(kept), short_term(kept), wrapped(verdicts())])


def budgets() -> str:
    """Of each trained method the step whose weights were kept, of those that were made: means over seeds."""
    kept, rows = kept_runs(), []
    for name in TRAINED:
        for dataset in ("ETTh1", "ETTm1", "Weather"):
            cells = [select(kept, COLUMNS[name], dataset, horizon) for horizon in (96, 192, 336, 720)]
            steps = [
                "not run" if runs.empty else f"{runs['best_step'].mean():.0f} of {runs['steps'].mean():.0f}"
                for runs in cells
            ]
            rows.append([name, dataset, *steps])
    return table(["method", "data set", "H 96", "192", "336", "720"], rows, texts=2)


def wrapped(text: str) -> str:
    """Lines that break at spaces alone."""
    return "\n".join(textwrap.wrap(text, LINE, break_long_words=False, break_on_hyphens=False))


def replaced(page: str, name: str, block: Callable[[], str]) -> str:
    """`page` with the text between the marks of `name` replaced."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = page.split(begin)
    return f"{before}{begin}\n{block()}\n{end}{rest.split(end)[1]}"


PAGES = {ROOT / "README.md": ("results", results), ROOT / "docs/reference/README.md": ("budgets", budgets)}


if __name__ == "__main__":
    for path, (name, block) in PAGES.items():
        page = replaced(path.read_text(encoding="utf-8"), name, block)
        path.write_text(page, encoding="utf-8", newline="\n")
