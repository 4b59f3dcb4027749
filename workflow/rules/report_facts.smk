"""What the rules of the reports share: which results a report reads, and what else it has to know."""

TABLE_FILES = ["tex", "md", "html"]
EFFICIENCY_FIGURES = ["latency", "memory_scaling"]
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


def report_facts(experiment):
    """What a report has to know beside the results: the planned cells and how methods are called."""
    shown = ("label", "floor")
    return {
        "configuration": config["name"],
        "backbone": "{name} x{blocks}".format(**config["backbones"][0]),
        "planned": PLAN.cells(experiment) if experiment in PLAN.runs else [],
        "not_run": PLAN.not_run(experiment) if experiment in PLAN.runs else [],
        "methods": {name: {key: entry[key] for key in shown} for name, entry in PLAN.methods.items()},
        "remark": remark_on(planned_files(experiment)),
        "generated": [name for name, entry in PLAN.datasets.items() if entry.generated],
    }


def planned_files(experiment):
    """The results that an experiment has when it is complete."""
    if experiment == "efficiency":
        return [sweep_file(sweep) for sweep in SWEEPS.values()]
    return [metrics_file(run) for run in PLAN.runs.get(experiment, [])]


def remark_on(files):
    """What a report of `files` says where some of them are absent."""
    return remark(sum(file in ABSENT for file in files), len(files))


def published_numbers(wildcards):
    """The paper's table that an experiment is compared with."""
    return PUBLISHED_TABLES.get(wildcards.experiment, [])


def published_curve(wildcards):
    """The paper's figure that a figure is compared with."""
    return PUBLISHED_FIGURES.get(wildcards.figure, [])


def runs_of_figure(name, dataset):
    """The runs that a figure shows. One of a single data set shows its first horizon and its own look-back."""
    if name in ("depth", "prompts", "active_loras"):
        return PLAN.experiment(name)
    if name == "lora_distribution":
        return [run for run in PLAN.experiment("active_loras") if run.variant == "time-llama"]
    runs, settings = PLAN.experiment("long_term"), config["experiments"]["long_term"]["datasets"]
    if name == "router_heatmap":
        return [run for run in runs if run.variant == "time-llama" and run.horizon == first_horizon(run.dataset)]
    dataset = dataset or next(iter(settings))
    if dataset not in settings:
        raise InputError(f"configuration {config['name']!r} has no data set {dataset!r} under experiments.long_term")
    runs = [run for run in runs if run.dataset == dataset and run.horizon == first_horizon(dataset)]
    runs = [run for run in runs if run.context == settings[dataset]["context"]]
    if name == "router_training":
        return [run for run in runs if run.variant == "time-llama"][:1]
    if name == "learning_curves":
        return [run for run in runs if run.training is not None]
    first_seed = {(run.variant, run.backbone): run for run in reversed(runs)}
    return list(reversed(first_seed.values()))


def first_horizon(dataset):
    """The horizon that figures of one data set show."""
    return config["experiments"]["long_term"]["datasets"][dataset]["horizons"][0]


def files_of_figure(wildcards):
    """The files of the runs that a figure is drawn from."""
    name, dataset = figure_and_dataset(wildcards.figure)
    try:
        runs = runs_of_figure(name, dataset)
    except InputError as error:
        raise WorkflowError(str(error)) from None
    return [f"results/{run.folder}/{FIGURES[name]}" for run in runs if metrics_file(run) not in ABSENT]


def figure_and_dataset(figure):
    """`forecasts_ETTh1` is the figure `forecasts` of `ETTh1`; the others are of one experiment."""
    name = "forecasts" if figure.startswith("forecasts_") else figure
    if name not in FIGURES:
        raise WorkflowError(f"there is no figure {figure!r}; there are forecasts_<data set>, {', '.join(FIGURES)}")
    return name, figure.removeprefix("forecasts_") if name == "forecasts" else None


def figure_facts(figure):
    """What a figure has to know beside its files."""
    name, dataset = figure_and_dataset(figure)
    if name in ("learning_curves", "router_training"):
        dataset = next(iter(config["experiments"].get("long_term", {"datasets": {"": {}}})["datasets"]))
    facts = {"figure": name, "dataset": dataset, "methods": report_facts("long_term")["methods"]}
    try:
        return facts | {"remark": remark_on([metrics_file(run) for run in runs_of_figure(name, dataset)])}
    except InputError as error:
        raise WorkflowError(str(error)) from None


def dataset_rows():
    """The catalogue's facts for the table of data sets, with the horizons that the configuration asks for."""
    horizons = {name: set() for name in PLAN.datasets}
    for run in RUNS.values():
        horizons[run.dataset].add(run.horizon)
    return [dataset_row(entry, horizons=sorted(horizons[name])) for name, entry in PLAN.datasets.items()]


def every_report():
    """All reports of the active configuration."""
    experiments = config["experiments"]
    stems = [f"reports/table_{name}" for name in [*experiments, "datasets", "failures"]]
    targets = [f"{stem}.{ending}" for stem in stems for ending in TABLE_FILES]
    figures = [name for name in ("active_loras", "depth", "prompts") if name in experiments]
    figures += ["lora_distribution"] if "active_loras" in experiments else []
    figures += EFFICIENCY_FIGURES if "efficiency" in experiments else []
    if "long_term" in experiments:
        figures += ["router_heatmap", "router_training", "learning_curves"]
        figures += [f"forecasts_{name}" for name in experiments["long_term"]["datasets"]]
    return targets + [f"reports/figures/{name}.{ending}" for name in figures for ending in ("pdf", "png")]


def results_of_report(report):
    """The results that a report was made from; a report on the whole configuration has them all."""
    stem = Path(report).stem
    experiment = stem.removeprefix("table_")
    name, dataset = ("forecasts", stem.removeprefix("forecasts_")) if stem.startswith("forecasts_") else (stem, None)
    if experiment == "efficiency" or stem in EFFICIENCY_FIGURES:
        return sweep_files(None)
    if stem != experiment and experiment in PLAN.runs:
        return metrics_of(experiment)
    if Path(report).parent.name == "figures" and name in FIGURES:
        found = [metrics_file(run) for run in runs_of_figure(name, dataset)]
        return [file for file in found if file not in ABSENT]
    return [] if stem == "table_datasets" else every_result()


def reports_and_results(wildcards):
    """Every report with the results that it was made from."""
    return {report: results_of_report(report) for report in every_report()}
