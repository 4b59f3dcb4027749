"""The kept results of `config/cpu.yaml`, and the Markdown pieces from which the pages of numbers are built."""

import json
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import yaml

from timellama.methods.registry import trains_nothing
from timellama.reports.reference.numbers import planned_results
from timellama.results.aggregate import published_numbers

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "docs/reference/cpu"
LINE = 132  # characters per line of these pages
NO_BREAK = "\N{NO-BREAK SPACE}"
CONFIG = yaml.safe_load((ROOT / "config/cpu.yaml").read_text(encoding="utf-8"))
LONG_TERM = {name: entry["context"] for name, entry in CONFIG["experiments"]["long_term"]["datasets"].items()}
HORIZONS = {name: entry["horizons"] for name, entry in CONFIG["experiments"]["long_term"]["datasets"].items()}
BLOCKS = CONFIG["backbones"][0]["blocks"]
METHODS = {  # of table 1, by their names on these pages
    "Time-LlaMA": "time-llama",
    "PatchTST": "patchtst",
    "DLinear": "dlinear",
    "iTransformer": "itransformer",
    "RLinear": "rlinear",
    "Time-LLM": "time-llm",
    "GPT4TS": "gpt4ts",
    "TimesNet": "timesnet",
}
FLOORS = {"hour-of-day mean": "hour-of-day-mean", "seasonal naive": "seasonal-naive"}
APART = ("search", "tokens")  # experiments with other settings of the methods that these pages show
# Two thirds of the columns, which no page shows; selecting rows costs time for each column.
UNREAD = ("chosen/", "provenance/", "run/options/", "run/split/", "frequencies/", "router/")


def kept_runs() -> pd.DataFrame:
    """The runs that most tables show: not other depths, `APART`, or DLinear at other papers' look-back."""
    kept = _every_run()
    plan = json.loads((KEPT / "plan.json").read_text(encoding="utf-8"))
    kept = kept[kept["result"].isin(planned_results(plan, without=APART))]
    blocks, context = kept["run/backbone/blocks"], kept["run/dataset"].map(LONG_TERM)
    return kept[(blocks.isna() | (blocks == BLOCKS)) & (context.isna() | (context == kept["run/context"]))]


def searched_runs() -> pd.DataFrame:
    """The runs with searched settings, one per seed, without trials; empty before there is a search."""
    kept = _every_run()
    return kept[kept["run/trials"].notna()] if "run/trials" in kept else kept[:0]


def _every_run() -> pd.DataFrame:
    return pd.read_csv(KEPT / "metrics.csv", usecols=lambda name: not name.startswith(UNREAD), low_memory=False)


def select(kept: pd.DataFrame, variant: str, dataset: str, horizon: int | None, percent: int = 100) -> pd.DataFrame:
    """The runs of a cell, one per seed; `horizon` is None for M4, which has only one."""
    same = (kept["run/variant"] == variant) & (kept["run/dataset"] == dataset)
    same &= (kept["run/train_percent"] == percent) & ((horizon is None) | (kept["run/horizon"] == horizon))
    return kept[same]


def there(kept: pd.DataFrame, methods: Mapping[str, str]) -> dict[str, str]:
    """Those of `methods` (variants by name) that have a run on all rows of the data of table 1."""
    runs = kept[(kept["run/train_percent"] == 100) & kept["run/dataset"].isin(LONG_TERM)]
    return {name: variant for name, variant in methods.items() if variant in set(runs["run/variant"])}


def seeds_of(runs: pd.DataFrame) -> str:
    """`seeds 0, 1, 2`."""
    return named_seeds(runs["run/seed"])


def named_seeds(seeds: Iterable[int]) -> str:
    """`seeds 0, 1, 2`."""
    each = sorted(seeds)
    return f"seed{'s' if len(each) > 1 else ''} {', '.join(map(str, each))}"


def without_training(runs: pd.DataFrame) -> bool:
    """Whether no seed changes these runs, as nothing is trained."""
    return set(runs["run/variant"]) <= set(trains_nothing())


def mean(runs: pd.DataFrame, error: str, seeds: str) -> str:
    """The mean over seeds; names them if they are not `seeds`. A method that trains nothing has none."""
    if runs.empty:
        return "not run"
    own = seeds_of(runs)
    return f"{runs[error].mean():.3f}" + ("" if own == seeds or without_training(runs) else f" ({own})")


def by_seed(runs: Sequence[pd.DataFrame], error: str = "mse") -> pd.Series:
    """The mean of cells by seed, for the seeds that all of them have; empty if a cell has no run."""
    each = [of.set_index("run/seed")[error] for of in runs]
    return pd.concat(each, axis=1, join="inner").mean(axis=1).sort_index()


def spread(errors: pd.Series, seeds: str = "", decimals: int = 3) -> str:
    """Mean and standard deviation (n - 1) of errors by seed; names the seeds if they are not `seeds`."""
    if errors.empty:
        return "–"  # noqa: RUF001
    deviation = f"{NO_BREAK}±{NO_BREAK}{errors.std():.{decimals}f}" if len(errors) > 1 else ""
    own = named_seeds(errors.index)
    return f"{errors.mean():.{decimals}f}{deviation}" + ("" if seeds in ("", own) else f" ({own})")


def paper_mse(file: str) -> dict[tuple[str, int], str]:
    """The paper's MSE of Time-LlaMA by data set and horizon."""
    numbers = published_numbers(ROOT / "config/published" / file)
    return {
        (dataset, horizon): f"{of['mse']:.3f}"
        for (dataset, horizon, method), of in numbers.items()
        if method == "Time-LlaMA"
    }


def most_seeds(cells: Sequence[pd.DataFrame]) -> str:
    """The seeds of the cell that has the most seeds."""
    return seeds_of(max(cells, key=len))


def means(cells: Sequence[pd.DataFrame], error: str) -> list[str]:
    """The mean of each cell; a cell names its seeds if they differ from those of the cell with the most seeds."""
    seeds = most_seeds(cells)
    return [mean(runs, error, seeds) for runs in cells]


def tested(cells: Sequence[pd.DataFrame]) -> tuple[str, str]:
    """The number of windows, which all methods of a row share, and the seeds."""
    (count,) = {count for runs in cells for count in runs["n_windows"]}
    return f"{count:.0f}", most_seeds(cells).split(" ", 1)[1]


def table(head: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """A Markdown table whose first `texts` columns are words and whose others are numbers."""
    rule = ["---"] * texts + ["---:"] * (len(head) - texts)
    lines = [head, *rows]
    shown = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([shown[0], f"|{'|'.join(rule)}|", *shown[1:]])


def remark_on(figure: str) -> str:
    """What the first page of the kept folder says below a figure."""
    page = (KEPT / "README.md").read_text(encoding="utf-8")
    return page.partition(f"(figures/{figure}.png)")[2].partition("![")[0].strip()


def coverage() -> tuple[int, int, list[str]]:
    """The number of existing results, of planned results, and the commits that made them."""
    page = (KEPT / "README.md").read_text(encoding="utf-8")
    there, planned = re.search(r"gave: (\d+) of (\d+) results", page).groups()
    return int(there), int(planned), re.search(r"^- Commits: (.*)$", page, flags=re.MULTILINE)[1].split(", ")


def wrapped(text: str) -> str:
    """Lines that break only at spaces."""
    return "\n".join(textwrap.wrap(text, LINE, break_long_words=False, break_on_hyphens=False))


def replaced(page: str, name: str, block: Callable[[], str]) -> str:
    """`page` with the text between the marks of `name` replaced."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = page.split(begin)
    return f"{before}{begin}\n{block()}\n{end}{rest.split(end)[1]}"
