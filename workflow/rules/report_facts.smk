"""What the rules of the reports share: which results a report reads, and what else it has to know.

`timellama/reports/report_facts.py` tells it of a plan; here a slip in what was asked for becomes one message of the workflow.
"""

from timellama.reports import report_facts as report_plan
from timellama.reports.report_facts import (
    BESIDE_PAPER,
    CLAIMED,
    EFFICIENCY_FIGURES,
    OF_SEVERAL,
    PUBLISHED_CLAIMS,
    PUBLISHED_FIGURES,
    PUBLISHED_TABLES,
)

TABLE_FILES = ["tex", "md", "html"]


def asked(function, *arguments):
    """What `report_plan` says of a report of this plan, with a name that it does not know told in one message."""
    try:
        return function(PLAN, *arguments, absent=ABSENT)
    except InputError as error:
        raise WorkflowError(str(error)) from None


def report_facts(experiment):
    """What a report has to know beside the results."""
    return report_plan.report_facts(PLAN, experiment, absent=ABSENT)


def facts_of(names):
    """What a report on several experiments has to know, with the results that are there by experiment."""
    return report_plan.facts_of_several(PLAN, names, absent=ABSENT)


def results_of(names):
    """The results of several experiments that are there; they may share some."""
    return list(dict.fromkeys(file for files in facts_of(names)["files"].values() for file in files))


def published_numbers(wildcards):
    """The paper's table that an experiment is compared with."""
    return PUBLISHED_TABLES.get(wildcards.experiment, [])


def published_curve(wildcards):
    """The paper's figure that a figure is compared with."""
    return PUBLISHED_FIGURES.get(wildcards.figure, [])


def files_of_figure(wildcards):
    """The files of the runs that a figure is drawn from."""
    return asked(report_plan.files_of_figure, wildcards.figure)


def metrics_of_figure(wildcards):
    """The `metrics.json` beside each of them, which the remark below the figure is made from."""
    return sorted({str(Path(file).with_name("metrics.json")) for file in files_of_figure(wildcards)})


def figure_facts(figure):
    """What a figure has to know beside its files."""
    return asked(report_plan.figure_facts, figure)


def every_report():
    """All reports of the active configuration."""
    stems = [f"reports/table_{name}" for name in [*config["experiments"], "claims", "datasets", "failures"]]
    targets = [f"{stem}.{ending}" for stem in stems for ending in TABLE_FILES]
    figures = report_plan.figure_names(PLAN)
    targets += [f"reports/figures/{name}.{ending}" for name in figures for ending in ("pdf", "png")]
    return [*targets, "reports/README.md"]


def results_of_report(report):
    """The results that a report was made from; a report on the whole configuration has them all."""
    stem = Path(report).stem
    if stem in OF_SEVERAL:
        return results_of(OF_SEVERAL[stem])
    experiment = stem.removeprefix("table_")
    if experiment == "efficiency" or stem in EFFICIENCY_FIGURES:
        return sweep_files(None)
    if stem != experiment and experiment in PLAN.runs:
        return metrics_of(experiment)
    if Path(report).parent.name == "figures":
        found = [metrics_file(run) for run in report_plan.runs_of_figure(PLAN, stem)]
        return [file for file in found if file not in ABSENT]
    return [] if stem == "table_datasets" else every_result()


def reports_and_results(wildcards):
    """Every report with the results that it was made from."""
    return {report: results_of_report(report) for report in every_report()}
