"""The tables of docs/results.md, docs/few_shot.md and docs/reference/README.md, from kept numbers."""

import json
import re
from collections import Counter
from collections.abc import Sequence

import pandas as pd

from docs.kept_numbers import (
    FLOORS,
    HORIZONS,
    KEPT,
    LONG_TERM,
    METHODS,
    ROOT,
    by_seed,
    coverage,
    kept_runs,
    means,
    most_seeds,
    named_seeds,
    paper_mse,
    searched_runs,
    select,
    spread,
    table,
    tested,
    there,
    wrapped,
)
from timellama.reports.render.markup import listed
from timellama.reports.tables.ablation import pooled

# What the path of a run's result contains.
PLACE = (
    r"results/(?P<task>[^/]+)/(?P<dataset>[^/]+)/(?P<variant>[^/]+)/"
    r"H(?P<horizon>\d+)-T\d+-s(?P<seed>\d+)-(?:(?P<model>.+-x\d+)-)?\w+/"
)
IN_PLACE = {
    "the language model with random weights, frozen": "time-llama-random-frozen",
    "one attention layer in its place": "time-llama-attention",
    "nothing in its place": "time-llama-none",
}
AT_ONE_CELL = {  # variants that were run on ETTh1 at 96 only
    "the language model with random weights, trained": "time-llama-random-trained",
    "straight-through gates": "time-llama-st",
    "scaled gates": "time-llama-scaled",
}
FEW_SHOT = {
    "Time-LlaMA": "time-llama",
    "Time-LlaMA-1, no alignment": "time-llama-1",
    "Time-LlaMA-2, prompt as a prefix": "time-llama-2",
    "Time-LlaMA-3, frozen blocks": "time-llama-3",
    "Time-LlaMA-4, static LoRA": "time-llama-4",
    "Time-LlaMA-5, AdaLoRA": "time-llama-5",
    "Time-LlaMA-6, MOELoRA": "time-llama-6",
    "random weights in the blocks, frozen": "time-llama-random-frozen",
    "one attention layer in place of the blocks": "time-llama-attention",
    "nothing in place of the blocks": "time-llama-none",
    "PatchTST": "patchtst",
    "DLinear": "dlinear",
    "RLinear": "rlinear",
    "hour-of-day mean, untrained": "hour-of-day-mean",
}
M4 = ("Hourly", "Weekly")  # the frequencies that were run
# Of ETTh1, 5 % of the rows are too few for a horizon of 720.
CELLS = (
    *(("ETTh1", horizon) for horizon in (96, 192, 336)),
    *(("Weather", horizon) for horizon in (96, 192, 336, 720)),
)
SEARCHED = {"Time-LlaMA": "time-llama"} | IN_PLACE | METHODS  # of which only the searched ones are shown


def long_term(kept: pd.DataFrame) -> str:
    """One row per data set and horizon, one column per method that was run."""
    paper, rows, columns = paper_mse("table1_long_term.csv"), [], there(kept, METHODS | FLOORS)
    for dataset in LONG_TERM:
        of = kept[(kept["run/dataset"] == dataset) & (kept["run/train_percent"] == 100)]
        for horizon in sorted(of["run/horizon"].unique()):
            cells = [select(kept, variant, dataset, horizon) for variant in columns.values()]
            published = paper.get((dataset, horizon), "none")
            rows.append([f"{dataset}, H {horizon}", *tested(cells), published, *means(cells, "mse")])
    return table(["MSE", "windows", "seeds", "Time-LlaMA, paper", *columns], rows)


def first_seed(kept: pd.DataFrame) -> str:
    """Time-LlaMA's errors with seed 0 in the cells in which a trained method has only that seed; empty without any."""
    said = []
    for dataset in LONG_TERM:
        of = kept[(kept["run/dataset"] == dataset) & (kept["run/train_percent"] == 100)]
        of = of[of["run/variant"].isin(METHODS.values())]
        for horizon, runs in of.groupby("run/horizon"):
            if any(set(seeds) == {0} for _, seeds in runs.groupby("run/variant")["run/seed"]):
                error = by_seed([select(kept, METHODS["Time-LlaMA"], dataset, horizon)])[0]
                said.append(f"{error:.3f} on {dataset} at {horizon}")
    return f" Beside a cell of seed 0, compare Time-LlaMA's seed 0: {listed(said)}." if said else ""


def in_place(kept: pd.DataFrame) -> str:
    """What replaces the language model: the errors of each cell, then the differences over the cells of a data set."""
    columns, rows = {"Time-LlaMA": METHODS["Time-LlaMA"]} | IN_PLACE, []
    for dataset, horizons in HORIZONS.items():
        for horizon in horizons:
            cells = [select(kept, variant, dataset, horizon) for variant in columns.values()]
            rows.append([f"{dataset}, H {horizon}", most_seeds(cells).split(" ", 1)[1], *means(cells, "mse")])
    words = wrapped(
        "The same as a difference from Time-LlaMA in per cent of its error, above 0 where Time-LlaMA is better: the "
        "mean over seeds and then over cells, with its 95 % t interval over the seeds of each data set. In brackets: "
        "pairs of runs. A star: different from 0 at a level of 5 %, corrected for the three of a line."
    )
    return "\n\n".join([table(["MSE, all training rows", "seeds", *columns], rows), words, differences(kept)])


def differences(kept: pd.DataFrame) -> str:
    """Each control's difference from Time-LlaMA over the cells of each data set, and over all of them."""
    shown = {"Time-LlaMA": METHODS["Time-LlaMA"]} | IN_PLACE
    runs = kept[kept["run/variant"].isin(shown.values()) & (kept["run/train_percent"] == 100)]
    names = ("variant", "dataset", "horizon", "context", "train_percent", "seed")
    frame = pd.DataFrame({name: runs[f"run/{name}"] for name in names} | {"mse": runs["mse"]})
    frame = frame.assign(backbone="", paired="")
    papers = sorted({dataset for dataset, _ in paper_mse("table1_long_term.csv")} & set(HORIZONS))
    parts = {dataset: frame[frame["dataset"] == dataset] for dataset in HORIZONS}
    parts["the paper's " + listed(papers)] = frame[frame["dataset"].isin(papers)]
    parts["all four"] = frame[frame["dataset"].isin(HORIZONS)]
    rows = []
    for name, of in parts.items():
        found = pooled(of, reference=METHODS["Time-LlaMA"])
        cells = [found.get((variant, "")) for variant in IN_PLACE.values()]
        rows.append([name, *("not run" if cell is None else cell.text for cell in cells)])
    return table(["difference, %", *IN_PLACE], rows)


def at_one_cell(kept: pd.DataFrame) -> str:
    """The errors of the variants that only one cell has."""
    said = [f"{name} {select(kept, variant, 'ETTh1', 96)['mse'].mean():.3f}" for name, variant in AT_ONE_CELL.items()]
    return f"On ETTh1 at 96 there are three more: {listed(said)}."


def few_shot(kept: pd.DataFrame) -> str:
    """One row per method or variant, one column per data set and horizon."""
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
    for name in M4:
        cells = [select(kept, (METHODS | FLOORS)[method], f"M4-{name}", None) for method in methods]
        rows.append([name, *tested(cells), *means(cells, "owa")])
    return table(["M4, OWA", "series", "seeds", *methods], rows)


def searched(kept: pd.DataFrame) -> str:
    """Published and searched settings of each method that has both; empty before there is a search."""
    found = searched_runs()
    rows, horizons, seeds = [], sorted(found["run/horizon"].unique()), named_seeds(set(found["run/seed"]))
    for name, variant in SEARCHED.items():
        if variant in set(found["run/variant"]):
            cells = [select(of, variant, "ETTh1", horizon) for horizon in horizons for of in (kept, found)]
            rows.append([name, *(spread(by_seed([runs]), seeds) for runs in cells)])
    head = [f"H {horizon}, {which}" for horizon in horizons for which in ("published", "searched")]
    return table([f"MSE, ETTh1, all training rows, {seeds}", *head], rows) if horizons else ""


def detailed() -> str:
    """The block of docs/results.md."""
    kept, (number, planned, commits) = kept_runs(), coverage()
    first = (
        f"{number} of {planned} results of `config/cpu.yaml`, with the first six blocks of SmolLM2-135M-Instruct "
        f"(Q4_1) instead of the paper's Llama-2 7B, from commits {listed(commits)}. [The kept reference]"
        "(reference/cpu/README.md) has every table and figure, and leads from each number to its run, seeds and data "
        "digest; `make check-reference` rebuilds the tables from the kept numbers. Test errors are means over the "
        "seeds that are named (a method that trains nothing has none), of every test window, look-back 512 (ILI 96). "
        "A cell with other seeds says so."
    )
    tables = (
        (
            "Long-term forecasts",
            "Settings of `config/cpu.yaml`: published ones where there are any, but with smaller budgets and a few "
            "other changes ([all of them](reference/README.md#the-training-budgets-of-configcpuyaml)). [Table "
            "1](reference/cpu/table_reproduction.md) has the paper's numbers of the other methods, and MAE."
            f"{first_seed(kept)}",
            long_term(kept),
        ),
        (
            "In place of the language model",
            "Time-LlaMA with something simpler instead of its language model. The random weights are one draw, the "
            f"same for each seed. {at_one_cell(kept)} The last two are other ways to [train the router's gates]"
            "(open_questions.md).",
            in_place(kept),
        ),
        (
            "Published and searched settings",
            "The settings of `config/cpu.yaml`, called published here, beside settings that were searched for with the "
            "same effort for each method ([protocol](protocol.md#equal-search), [choices]"
            "(reference/cpu/table_search.md)). Mean and standard deviation (n - 1) over seeds:",
            searched(kept),
        ),
        (
            "With 5 % of the training rows",
            "[Few-shot](few_shot.md) says why ETTh1 is so far from the paper's numbers.",
            few_shot(kept),
        ),
        ("M4", "[M4](short_term.md) says how its forecasts are scored.", short_term(kept)),
    )
    shown = [f"## {title}\n\n{wrapped(about)}\n\n{of}" for title, about, of in tables if of]
    return "\n\n".join([wrapped(first), *shown])


def budgets() -> str:
    """For each trained method the step whose weights were kept, and the number of steps: means over seeds.

    The last column has the windows of all variates seen for the first horizon, each counted as often as it was seen.
    """
    kept, rows = kept_runs(), []
    data = HORIZONS | {f"M4-{name}": [None] for name in M4}
    for name, variant in there(kept, METHODS).items():
        for dataset, horizons in data.items():
            cells = [select(kept, variant, dataset, horizon) for horizon in horizons]
            steps = [
                "not run" if runs.empty else f"{runs['best_step'].mean():.0f} of {runs['steps'].mean():.0f}"
                for runs in cells
            ]
            seen = f"{cells[0].apply(windows_seen, axis=1).mean():,.0f}" if len(cells[0]) else "not run"
            steps += [""] * (4 - len(steps))
            rows += [[name, dataset, *steps, seen]] if any(len(runs) for runs in cells) else []
    head = ["method", "data set", "H 96 (ILI 24, M4)", "192 (36)", "336 (48)", "720 (60)", "windows seen, first H"]
    return table(head, rows, texts=2)


def windows_seen(run: pd.Series) -> float:
    """Windows of all variates in a training's batches, each taken as full; N single series make one window."""
    alone = run["run/training/sampling"] == "variates"
    return run["steps"] * run["run/training/batch_size"] / (run["run/variates"] if alone else 1)


def absent() -> pd.DataFrame:
    """The parts of `PLACE` of each planned result that is missing."""
    file = KEPT / "absent.csv"
    places = pd.read_csv(file)["result"] if file.is_file() else pd.Series(dtype=str)
    return places.str.extract(PLACE)


def missing() -> str:
    """Planned results that are missing, with the time of such a run: the longest that is kept, wherever it ran."""
    kept = pd.read_csv(KEPT / "metrics.csv", low_memory=False)
    parts = absent().fillna({"model": ""})
    place = ["task", "dataset", "variant", "model"]
    seeds_of_cell = parts.groupby([*place, "horizon"])["seed"].transform(lambda seeds: named_seeds(seeds.astype(int)))
    rows = []
    for (task, dataset, variant, model, seeds), runs in parts.groupby([*place, seeds_of_cell], sort=False):
        alike = kept[(kept["run/task"] == task) & (kept["run/dataset"] == dataset) & (kept["run/variant"] == variant)]
        if model:
            alike = alike[
                alike["run/backbone/name"] + "-x" + alike["run/backbone/blocks"].astype("Int64").astype(str) == model
            ]
        hours = f"{alike['seconds/total'].max() / 3600:.1f}" if len(alike) else "none is kept"
        horizons = ", ".join(sorted(set(runs["horizon"]), key=int))
        name = f"{variant} on {model}" if model else variant
        rows.append([name, dataset, task, f"H {horizons}; {seeds}", str(len(runs)), hours])
    if not rows:
        return "Nothing is missing."
    return table(["variant", "data set", "task", "which", "results", "such a run took, h"], rows, texts=4)


def repeats() -> str:
    """What `timellama reference compare --json` printed on another processor: the runs that differ, and the others."""
    found = pd.DataFrame(json.loads((ROOT / "docs/reference/repeats.json").read_text(encoding="utf-8")))
    found = found.join(found["result"].str.extract(PLACE)).sort_values(["dataset", "variant", "seed"])
    few = found["task"].str.extract(r"few-shot-(\d+)pct", expand=False)
    found["cell"] = found["dataset"] + ", " + found["horizon"] + (", " + few + " % of the rows").fillna("")
    apart = (found["here"] - found["kept"]).abs()
    found = found.assign(percent=100 * apart / found["kept"], of_seeds=apart / found["spread"])
    other, same = found[~found["same_bits"]], found[found["same_bits"]]
    rows = [
        [
            *(run.variant, run.cell, run.seed, f"{run.kept:.5f}", f"{run.here:.5f}"),
            *(f"{run.percent:.2g}", "one seed" if pd.isna(run.of_seeds) else f"{run.of_seeds:.2g}"),
        ]
        for run in other.sort_values("percent", ascending=False).itertuples()
    ]
    alike = [f"{variant} ({', '.join(of['dataset'])})" for variant, of in same.groupby("variant")]
    head = ["variant", "data set, horizon", "seed", "kept", "here", "apart, %", "of the sd over the kept seeds"]
    words = f"The other {len(same)} of {len(found)} have the same bits: {listed(alike)}."
    means = [
        [
            *(variant, cell, named_seeds(map(int, of["seed"])).split(" ", 1)[1]),
            *(spread(of.set_index("seed")[place], "", 4) for place in ("kept", "here")),
        ]
        for (variant, cell), of in found.groupby(["variant", "cell"])
        if len(of) > 1
    ]
    over = table(["variant", "data set, horizon", "seeds", "kept", "here"], means, texts=3)
    return "\n\n".join([table(head, rows, texts=3), wrapped(words), "Means over seeds:", over])


def commits() -> str:
    """For each commit that kept results come from, how many of its short runs the present code repeats."""
    found = json.loads((ROOT / "docs/reference/commits.json").read_text(encoding="utf-8"))["commits"]
    others = [[run for run in each["apart"] if not run["began"]] for each in found]
    counted = [
        (each["rows"], each["runs"], each["same"], len(each["apart"]) - len(other), len(other))
        for each, other in zip(found, others, strict=True)
    ]
    rows = [[f"`{each['commit'][:7]}`", *map(str, of)] for each, of in zip(found, counted, strict=True)]
    total = ["all", *(str(sum(column)) for column in zip(*counted, strict=True))]
    head = ["commit", "kept results", "short runs", "same bits", "kept its start now", "otherwise apart"]
    variants = Counter(run["run"].split("/")[2] for other in others for run in other)
    named = listed([f"{variant} ({count})" for variant, count in sorted(variants.items())])
    return "\n\n".join([table(head, [*rows, total], texts=1), wrapped(f"Otherwise apart: {named}.")])


def starts() -> str:
    """Kept trainings that never validated their untrained model: how far their best loss is below that model's."""
    found = pd.read_csv(ROOT / "docs/reference/starts.csv")
    found = found.join(found["result"].str.extract(PLACE))
    found = found.assign(over=found["start"] / found["best"], again=found["validations_to_below"].notna())
    rows = [
        [
            dataset,
            re.sub(r"-(\d+)pct", r", \1 % of the rows", task),
            *(str(n) for n in (len(of), of["again"].sum())),
            f"{of['over'].min():.2f}",
        ]
        for (task, dataset), of in found.groupby(["task", "dataset"])
    ]
    rows.append(["all", "", str(len(found)), str(found["again"].sum()), f"{found['over'].min():.2f}"])
    head = ["data set", "task", "trainings", "trained again", "least loss of a start over the best one"]
    return table(head, rows, texts=2)


def scales() -> str:
    """Few-shot on ETTh1 at horizon 96 by `token_scale`, from its own head to no language model."""
    kept = pd.read_csv(KEPT / "metrics.csv", low_memory=False)
    plan = json.loads((KEPT / "plan.json").read_text(encoding="utf-8"))["experiments"]
    shown = kept[kept["result"].isin(plan["tokens"]["results"])]
    controls = kept[kept["result"].isin(plan["few_shot"]["results"])]
    measured = {row["scale"]: row for row in json.loads((ROOT / "docs/depth/scale.json").read_text(encoding="utf-8"))}

    def line(name: str, runs: pd.DataFrame, before: Sequence[str] = ("", "", "")) -> list[str]:
        losses = by_seed([runs], "validation_loss")
        return [name, *before, f"{losses.min():.2f} to {losses.max():.2f}", spread(by_seed([runs]))]

    rows = [line("1, head of its own start", select(shown, "time-llama", "ETTh1", 96, 5))]
    for scale, row in measured.items():
        variant = "time-llama-zero-head" if scale == 1 else f"time-llama-scale-{scale:.0f}"
        before = (f"{row['norm']:.0f}", f"{100 * row['blocks']:.1f}", f"{row['r2']:.2f}")
        rows.append(line(f"{scale:.0f}, head of zeros", select(shown, variant, "ETTh1", 96, 5), before))
    rows.append(line("no language model, head of its own start", select(controls, "time-llama-none", "ETTh1", 96, 5)))
    head = ("norm of a token", "added by the blocks, %", "R2 of the last day", "validation loss", "test MSE")
    return table(["`token_scale`", *head], rows)
