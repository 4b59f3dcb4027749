"""What each report of a plan is made from: which results, which of the paper's numbers, and what else it has to know.

Results are named by their paths (`results/...`). Those in `absent` have no result; reports show dashes for them.
"""

from collections.abc import Collection, Iterable
from typing import Any

from timellama.core.errors import InputError
from timellama.experiments.matrix import EFFICIENCY, Plan, dataset_row
from timellama.experiments.run import Run
from timellama.experiments.sweep import Sweep
from timellama.reports.claims.rules import PARTS
from timellama.reports.failures import remark

EFFICIENCY_FIGURES = ("latency", "memory_scaling")
CLAIMED = (*PARTS, EFFICIENCY)  # experiments that bear on the paper's claims
BESIDE_PAPER = ("long_term", "few_shot", "ablation")  # and those of the figure that has ours beside the paper's
VS_PAPER = "paper_vs_ours"
OF_SEVERAL = {"table_claims": CLAIMED, VS_PAPER: BESIDE_PAPER}  # the reports on several experiments
PUBLISHED_DATASETS = "config/published/table6_datasets.csv"
PUBLISHED_EFFICIENCY = "config/published/efficiency_traffic.csv"
PUBLISHED_TABLES = {
    "long_term": "config/published/table1_long_term.csv",
    "short_term": "config/published/table2_short_term_m4.csv",
    "few_shot": "config/published/table3_few_shot_5pct.csv",
    "backbones": "config/published/table4_backbones.csv",
    "backbones_few_shot": "config/published/table4_backbones.csv",
    "ablation": "config/published/table5_ablation_few_shot.csv",
}
PUBLISHED_FIGURES = {
    "active_loras": "config/published/figure2_active_loras.csv",
    "lora_distribution": "config/published/figure3_lora_distribution.csv",
}
PUBLISHED_CLAIMS = sorted({f"config/published/{part.published}" for part in PARTS.values()})
FIGURES = {  # what each figure reads of its runs
    "forecasts": "forecasts.npz",
    "learning_curves": "history.csv",
    "router_training": "router.csv",
    "router_heatmap": "metrics.json",
    "lora_distribution": "metrics.json",
    "active_loras": "metrics.json",
    "depth": "metrics.json",
    "prompts": "metrics.json",
}


def metrics_file(run: Run) -> str:
    """Where a run's numbers are, written last of its files."""
    return f"results/{run.folder}/metrics.json"


def sweep_file(sweep: Sweep) -> str:
    """Where a sweep's numbers are."""
    return f"results/{sweep.folder}.json"


def planned_files(plan: Plan, experiment: str) -> list[str]:
    """The results that an experiment has when it is complete; none for one that the plan does not have."""
    if experiment == EFFICIENCY:
        return [sweep_file(sweep) for sweep in plan.sweeps.values()]
    return [metrics_file(run) for run in plan.runs.get(experiment, [])]


def remark_on(files: Iterable[str], absent: Collection[str]) -> str:
    """What a report of `files` says where some of them are absent."""
    files = list(files)
    return remark(sum(file in absent for file in files), len(files))


def report_facts(plan: Plan, experiment: str, *, absent: Collection[str]) -> dict[str, Any]:
    """What a report has to know beside the results: the planned cells and how methods are called."""
    shown = ("label", "floor")
    return {
        "configuration": plan.config["name"],
        "backbone": "{name} x{blocks}".format(**plan.config["backbones"][0]),
        "planned": plan.cells(experiment) if experiment in plan.runs else [],
        "not_run": plan.not_run(experiment) if experiment in plan.runs else [],
        "methods": {name: {key: getattr(entry, key) for key in shown} for name, entry in plan.methods.items()},
        "remark": remark_on(planned_files(plan, experiment), absent),
        "generated": [name for name, entry in plan.datasets.items() if entry.generated],
    }


def facts_of_several(plan: Plan, names: Iterable[str], *, absent: Collection[str]) -> dict[str, Any]:
    """As `report_facts`, of all `names` that the plan has, with the results that are there in `files` by experiment."""
    planned = {name: planned_files(plan, name) for name in names if name in plan.config["experiments"]}
    files = {name: [file for file in of if file not in absent] for name, of in planned.items()}
    every = dict.fromkeys(file for of in planned.values() for file in of)
    return report_facts(plan, "", absent=absent) | {"remark": remark_on(every, absent), "files": files}


def dataset_rows(plan: Plan) -> list[dict[str, object]]:
    """The catalogue's facts for the table of data sets, with the horizons that the configuration asks for."""
    horizons = {name: set() for name in plan.datasets}
    for run in plan.every_run().values():
        horizons[run.dataset].add(run.horizon)
    return [dataset_row(entry, horizons=sorted(horizons[name])) for name, entry in plan.datasets.items()]


def figure_names(plan: Plan) -> list[str]:
    """The figures of a configuration."""
    experiments = plan.config["experiments"]
    names = [name for name in ("active_loras", "depth", "prompts") if name in experiments]
    names += ["lora_distribution"] if "active_loras" in experiments else []
    names += EFFICIENCY_FIGURES if EFFICIENCY in experiments else []
    if "long_term" in experiments:
        names += ["router_heatmap", "router_training", "learning_curves"]
        names += [f"forecasts_{name}" for name in experiments["long_term"]["datasets"]]
    return names + ([VS_PAPER] if set(BESIDE_PAPER) & set(experiments) else [])


def figure_and_dataset(figure: str) -> tuple[str, str | None]:
    """`forecasts_ETTh1` is the figure `forecasts` of `ETTh1`; the others are of one experiment."""
    name = "forecasts" if figure.startswith("forecasts_") else figure
    if name not in FIGURES:
        raise InputError(f"there is no figure {figure!r}; there are forecasts_<data set>, {', '.join(FIGURES)}")
    return name, figure.removeprefix("forecasts_") if name == "forecasts" else None


def runs_of_figure(plan: Plan, figure: str) -> list[Run]:
    """The runs that a figure shows. One of a single data set shows its first horizon and its own look-back.

    Raises InputError for a figure that there is not, and for one that this configuration has no runs of.
    """
    name, dataset = figure_and_dataset(figure)
    if name in ("depth", "prompts", "active_loras"):
        return plan.experiment(name)
    if name == "lora_distribution":
        return [run for run in plan.experiment("active_loras") if run.variant == "time-llama"]
    runs, settings = plan.experiment("long_term"), plan.config["experiments"]["long_term"]["datasets"]
    # A run under `also` may be of another look-back, or of a data set that the grid does not have.
    shown = {(of, setting["horizons"][0], setting["context"]) for of, setting in settings.items()}
    runs = [run for run in runs if (run.dataset, run.horizon, run.context) in shown]
    if name == "router_heatmap":
        return [run for run in runs if run.variant == "time-llama"]
    dataset = dataset or next(iter(settings))
    if dataset not in settings:
        raise InputError(
            f"configuration {plan.config['name']!r} has no data set {dataset!r} under experiments.long_term"
        )
    runs = [run for run in runs if run.dataset == dataset]
    if name == "router_training":
        return [run for run in runs if run.variant == "time-llama"][:1]
    if name == "learning_curves":
        return [run for run in runs if run.training is not None]
    first_seed = {(run.variant, run.backbone): run for run in reversed(runs)}
    return list(reversed(first_seed.values()))


def files_of_figure(plan: Plan, figure: str, *, absent: Collection[str]) -> list[str]:
    """The files of the runs that a figure is drawn from. Raises InputError as `runs_of_figure` does."""
    name, _ = figure_and_dataset(figure)
    runs = [run for run in runs_of_figure(plan, figure) if metrics_file(run) not in absent]
    return [f"results/{run.folder}/{FIGURES[name]}" for run in runs]


def figure_facts(plan: Plan, figure: str, *, absent: Collection[str]) -> dict[str, Any]:
    """What a figure has to know beside its files. Raises InputError as `runs_of_figure` does."""
    name, dataset = figure_and_dataset(figure)
    if name in ("learning_curves", "router_training"):
        dataset = next(iter(plan.config["experiments"].get("long_term", {"datasets": {"": {}}})["datasets"]))
    methods = report_facts(plan, "long_term", absent=absent)["methods"]
    wanted = [metrics_file(run) for run in runs_of_figure(plan, figure)]
    return {"figure": name, "dataset": dataset, "methods": methods, "remark": remark_on(wanted, absent)}
