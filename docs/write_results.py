"""Writes the numbers of README.md and of pages of docs/ from the kept results of `config/cpu.yaml`.

`python -m docs.write_results` (a part of `make docs`) replaces the text between the marks `<!-- results: begin -->` and
`<!-- results: end -->` of a page, or those of another name in `WRITTEN`. Rows and columns are made for the existing
results. A test fails if the pages differ from what this script writes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import yaml

from docs.claims_editions import changes, counted, current, editions
from docs.detailed_results import absent, budgets, commits, detailed, missing, repeats, scales, starts, windows_seen
from docs.kept_numbers import (
    CONFIG,
    FLOORS,
    HORIZONS,
    KEPT,
    LONG_TERM,
    METHODS,
    NO_BREAK,
    ROOT,
    by_seed,
    coverage,
    kept_runs,
    named_seeds,
    paper_mse,
    remark_on,
    replaced,
    searched_runs,
    select,
    spread,
    table,
    wrapped,
)
from timellama.reports.render.markup import listed

OURS = "Time-LlaMA"
SEARCHED_ON = "ETTh1"  # the data set of the search
IN_PLACE = {
    "– random language model": "time-llama-random-frozen",  # noqa: RUF001
    "– one attention layer for it": "time-llama-attention",  # noqa: RUF001
    "– no language model": "time-llama-none",  # noqa: RUF001
}
ROWS = {OURS: METHODS[OURS], **IN_PLACE, **METHODS}
CONTROLS = {  # controls of the language model, by their names in the figure
    "Time-LlaMA, no LLM": "without it",
    "Time-LlaMA, attention for LLM": "with one attention layer in its place",
    "Time-LlaMA, random weights, frozen": "with random weights in it",
}
WITHOUT_COMMA = {  # the same, in a list of methods
    "Time-LlaMA, no LLM": "Time-LlaMA without a language model",
    "Time-LlaMA, attention for LLM": "Time-LlaMA with one attention layer for it",
    "Time-LlaMA, random weights, frozen": "Time-LlaMA with a random one",
}
UNDER = {  # the conditions under which a verdict was reached
    "2.1": "on Hourly and Weekly alone, with Time-LlaMA's training on Hourly cut at 3,000 steps",
    "3.2": "on ETTh1 alone",
    "5.2": "as the full model is better on ETTh1",
    "6.1": "as n matters little, and only just if all pairs are of one processor",
    "7.2": "with gates that the forecast loss does not train",
    "7.3": "likewise",
}


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of the main table: the mean over `horizons` of a data set, with searched or published settings."""

    settings: str
    dataset: str
    horizons: tuple[int, ...]
    errors: Mapping[str, pd.Series]  # by variant, by seed; empty if a horizon has no run

    @property
    def seeds(self) -> str:
        """The seeds of Time-LlaMA."""
        return named_seeds(self.errors[METHODS[OURS]].index)

    @property
    def head(self) -> str:
        """The data set, the horizon or number of horizons, settings and seeds."""
        which = f"H {self.horizons[0]}" if len(self.horizons) == 1 else f"{len(self.horizons)} horizons"
        return "<br>".join((self.dataset, which, self.settings, self.seeds)).replace(" ", NO_BREAK)

    def papers(self, paper: Mapping[tuple[str, int], str]) -> str:
        """The mean of the paper's numbers; a dash if one is missing."""
        each = [float(paper[self.dataset, h]) for h in self.horizons if (self.dataset, h) in paper]
        return f"{sum(each) / len(each):.3f}" if len(each) == len(self.horizons) else spread(pd.Series(dtype=float))


def columns(kept: pd.DataFrame, found: pd.DataFrame) -> list[Column]:
    """The searched cells first, then the data sets. A method that trains nothing has no settings to search."""
    every, made = list((ROWS | FLOORS).values()), []
    for horizon in sorted(found["run/horizon"].unique()):
        runs = {each: select(found, each, SEARCHED_ON, horizon) for each in every}
        runs |= {each: select(kept, each, SEARCHED_ON, horizon) for each in FLOORS.values()}
        errors = {each: by_seed([of]) for each, of in runs.items()}
        made.append(Column(settings="searched", dataset=SEARCHED_ON, horizons=(horizon,), errors=errors))
    for dataset, horizons in HORIZONS.items():
        errors = {each: by_seed([select(kept, each, dataset, horizon) for horizon in horizons]) for each in every}
        made.append(Column(settings="published", dataset=dataset, horizons=tuple(horizons), errors=errors))
    return made


def main_table(kept: pd.DataFrame, found: pd.DataFrame) -> str:
    """One row per method with a result, then those that train nothing; the lowest mean of a column in bold.

    `found` are the runs with searched settings.
    """
    shown, lines = columns(kept, found), {}
    for name, variant in (ROWS | FLOORS).items():
        if any(len(column.errors[variant]) for column in shown):
            trained = variant not in FLOORS.values()
            lines[name] = [spread(column.errors[variant], column.seeds if trained else "") for column in shown]
    for place in range(len(shown)):
        printed = {name: re.match(r"[\d.]*", line[place])[0] for name, line in lines.items()}
        lowest = min(text for text in printed.values() if text)
        for name, text in printed.items():
            if text == lowest:
                lines[name][place] = f"**{text}**{lines[name][place].removeprefix(text)}"
    paper = paper_mse("table1_long_term.csv")
    rows = [["*the paper, Llama-2 7B*", *(column.papers(paper) for column in shown)]]
    rows += [[name, *line] for name, line in lines.items() if name not in FLOORS]
    rows += [["*untrained:*", *[""] * len(shown)], *([name, *lines[name]] for name in FLOORS if name in lines)]
    return table(["test MSE", *(column.head for column in shown)], rows)


def budget(kept: pd.DataFrame, found: pd.DataFrame) -> str:
    """How many windows a searched run sees, and how many the published ones of the same cells do."""
    of = kept[(kept["run/dataset"] == SEARCHED_ON) & kept["run/horizon"].isin(found["run/horizon"].unique())]
    of = of[(of["run/train_percent"] == 100) & of["run/variant"].isin(found["run/variant"].unique())]
    seen = of.apply(windows_seen, axis=1).groupby(of["run/variant"]).agg(["min", "max"])
    ours = seen.index.isin([METHODS[OURS], *IN_PLACE.values()])
    return (
        f"{CONFIG['experiments']['search']['samples']:,} windows a run. In the published runs of these two "
        "cells Time-LlaMA and its controls see "
        f"at most {seen[ours]['max'].max():,.0f} and the others at least {seen[~ours]['min'].min():,.0f}"
    )


def of_one_seed(kept: pd.DataFrame, found: pd.DataFrame) -> str:
    """What Time-LlaMA has with the seeds of the cells that have fewer seeds than it; empty if there are none."""
    said = []
    for column in columns(kept, found):
        ours = column.errors[METHODS[OURS]]
        fewer = {tuple(of.index) for variant, of in column.errors.items() if variant not in FLOORS.values() and len(of)}
        for seeds in sorted(fewer - {tuple(ours.index)}):
            there = f"{column.dataset} over {len(column.horizons)} horizons"
            said.append(f"On {there} Time-LlaMA has {ours[list(seeds)].mean():.3f} with {named_seeds(seeds)} alone.")
    return "".join(f" {each}" for each in said)


def worth() -> str:
    """The text under the figure of the language model's worth: in how many rows a control has the lower mean."""
    counts = r"(?:^|(?<=\. ))([^.]+): a lower mean than Time-LlaMA's in (\d+ of \d+) rows"
    found = dict(re.findall(counts, remark_on("llm_worth")))
    lower = [f"{said} in {found[name]}" for name, said in CONTROLS.items() if name in found]
    return (
        "Test MSE with the language model (Time-LlaMA), without it, with one attention layer in its place and with "
        "random weights (one draw) in it; published settings. Marks are means, thin lines single seeds. Of the rows "
        f"that have both, the mean is lower {listed(lower)}. This counts rows and tests nothing."
    )


def ranks() -> dict[str, str]:
    """The mean rank of each method in the table of ranks, best first."""
    page = (KEPT / "table_ranking.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| (\w[^|]*?) \| (\d+\.\d+) \|", page, flags=re.MULTILINE))


def _without_comma(names: str) -> str:
    for name, said in WITHOUT_COMMA.items():
        names = names.replace(name, said)
    return names


def ranking() -> str:
    """What the table of ranks shows, and what its diagram cannot show."""
    page = (KEPT / "table_ranking.md").read_text(encoding="utf-8")
    (cells,) = re.findall(r"on (\d+) cells", page)
    first = (
        f"Mean ranks by MSE over {cells} cells (data set and horizon) of {len(LONG_TERM)} data sets, published "
        f"settings: {listed([f'{_without_comma(name)} {rank}' for name, rank in ranks().items()])}."
    )
    lacking = re.search(r"(\d+) of (\d+) runs have no result", page)
    if lacking:
        failures = "docs/reference/cpu/table_failures.md"
        first += f" {lacking[1]} of {lacking[2]} planned runs [have no result]({failures})"
        methods = yaml.safe_load((ROOT / "config/methods.yaml").read_text(encoding="utf-8"))
        ranked = {variant for variant, entry in methods.items() if entry.get("label") in ranks()}
        first += "." if ranked & set(absent()["variant"]) else ", none of a ranked method."
    left_out = re.search(r"^Not ranked[^:]*: (.+)\.$", page, flags=re.MULTILINE)
    if left_out:
        names = re.split(r", | and ", _without_comma(left_out[1]))
        first += f" Not ranked, as they did not run on every data set: {listed(names)}."
    if "nothing is tested" in page:
        return (
            f"{first} The horizons of one data set are not counted as independent, and a test needs five data sets, so "
            "there are no bars, and no difference between ranks is called significant."
        )
    return f"{first} A bar joins methods of which no two differ significantly. Its units are data sets, not cells."


def verdicts() -> str:
    """How many of the paper's statements hold with what was run, and which do not."""
    now = current()
    changed = [each.number for each in changes()]
    return (
        f"{len(now)} statements of the paper were tested with SmolLM2-135M-Instruct (Q4_1), not Llama-2 "
        "7B ([rules](docs/claims.md), [verdicts](docs/reference/cpu/table_claims.md)): "
        f"{counted(now, named=UNDER)}. No verdict is on the paper's own runs. {len(changed)} verdicts differ "
        f"from the first edition, by other rules or more runs ({listed(changed)}; "
        "[why](docs/claims.md#verdicts-of-the-first-edition))."
    )


def results() -> str:
    """The block of README.md."""
    number, planned, _ = coverage()
    kept, found = kept_runs(), searched_runs()
    first = (
        f"{number} of {planned} results of `config/cpu.yaml`, with the first six blocks of SmolLM2-135M-Instruct "
        "(Q4_1) instead of the paper's Llama-2 7B. Test MSE on standardised values over every test window, mean ± "
        "standard deviation (n - 1) over seeds, the lowest printed mean of a column in bold. **The columns called "
        "searched** have settings that were [searched for with the same effort](docs/protocol.md#equal-search) for "
        f"each method: {budget(kept, found)}. **Those called published** have the settings of `config/cpu.yaml`: "
        "published ones where there are any, but with small and unequal budgets and a few other changes ([all of "
        "them](docs/reference/README.md#the-training-budgets-of-configcpuyaml)). These are means over all horizons of "
        f"the data set. A dash means not run, or not at every horizon.{of_one_seed(kept, found)}"
    )
    more = (
        "[Results](docs/results.md) has every horizon, 5 % of the training rows, M4 and the variants of the model; "
        "[the kept reference](docs/reference/cpu/README.md) leads from each number to its run, seeds, commit and data, "
        "and `make check-reference` rebuilds its tables."
    )
    pictures = (
        (worth(), "llm_worth", "Test MSE of Time-LlaMA and of its controls by data set and horizon"),
        (
            ranking(),
            "critical_difference",
            f"Critical-difference diagram: mean ranks of {len(ranks())} methods on one line",
        ),
    )
    blocks = [wrapped(first), main_table(kept, found), wrapped(more)]
    for words, name, about in pictures:
        blocks += [f"![{about}](docs/reference/cpu/figures/{name}.png)", wrapped(words)]
    return "\n\n".join([*blocks, wrapped(verdicts())])


WRITTEN = (
    (ROOT / "README.md", "results", results),
    (ROOT / "docs/results.md", "results", detailed),
    (ROOT / "docs/claims.md", "editions", editions),
    (ROOT / "docs/few_shot.md", "scales", scales),
    (ROOT / "docs/reference/README.md", "budgets", budgets),
    (ROOT / "docs/reference/README.md", "missing", missing),
    (ROOT / "docs/reference/README.md", "repeats", repeats),
    (ROOT / "docs/reference/README.md", "commits", commits),
    (ROOT / "docs/reference/README.md", "starts", starts),
)


if __name__ == "__main__":
    for path, name, block in WRITTEN:
        page = replaced(path.read_text(encoding="utf-8"), name, block)
        path.write_text(page, encoding="utf-8", newline="\n")
