"""What the rules of the reports share: for a report's wildcard, what `timellama/reports/registry.py` says about it.

A mistake in a request becomes one message of the workflow.
"""

from timellama.reports import report_facts as report_plan
from timellama.reports import planned, registry
from timellama.core.shipped import shipped
from timellama.reports.catalogue import PUBLISHED_CLAIMS

NAMED = 3  # our choice: the most methods that a label names; of more it gives the number


def asked(function, *arguments, **settings):
    """What the registry says, with a mistake reported in one message."""
    try:
        return function(*arguments, **settings)
    except InputError as error:
        raise WorkflowError(str(error)) from None


REPORTS = asked(registry.of_configuration, config)


def report_of(wildcards):
    """The report that a file of `reports/` belongs to."""
    name = wildcards.get("table") or wildcards.get("figure")
    if name not in REPORTS:
        raise WorkflowError(
            f"configuration {config['name']!r} has no report {name!r} (it has {', '.join(REPORTS)}): "
            f"{registry.why_not(name, config)}{did_you_mean(name, REPORTS)}"
        )
    return REPORTS[name]


def results_of_report(wildcards):
    """The existing results of those that a report is made from."""
    return asked(planned.results_of, report_of(wildcards), MATRIX, absent=ABSENT)


def read_by_report(wildcards):
    """The files of those results that a figure draws."""
    files = asked(planned.files_of, report_of(wildcards), MATRIX, absent=ABSENT)
    return list(dict.fromkeys(file for of in files.values() for file in of))


def published_of_report(wildcards):
    """The paper's numbers that a report is compared with."""
    return [str(shipped(path)) for path in report_of(wildcards).needs.published]


# What a report's job receives, by parameter name.
params_of_report = {
    "files": lambda wildcards: asked(planned.files_of, report_of(wildcards), MATRIX, absent=ABSENT),
    "published": published_of_report,
    "facts": lambda wildcards: asked(planned.facts_of, report_of(wildcards), MATRIX, absent=ABSENT),
    "caption": lambda wildcards: report_of(wildcards).caption,
    "code": lambda wildcards: asked(planned.code_of, report_of(wildcards)),
}


def title_of_report(wildcards):
    """The title of a report, which is also its place on the page."""
    return report_of(wildcards).title


def labels_of_report(wildcards):
    """The configuration, and the data sets, horizons, methods and seeds that a report shows."""
    runs = planned.runs_of(report_of(wildcards), MATRIX)
    methods = list(dict.fromkeys(MATRIX.methods[run.variant].label for run in runs))
    labels = {
        "configuration": config["name"],
        "data set": ", ".join(dict.fromkeys(run.dataset for run in runs)),
        "horizon": ", ".join(str(horizon) for horizon in sorted({run.horizon for run in runs})),
        "method": ", ".join(methods) if len(methods) <= NAMED else f"{len(methods)} methods",
        "seed": ", ".join(str(seed) for seed in sorted({run.seed for run in runs})),
    }
    return {name: text for name, text in labels.items() if text}


def every_report():
    """The files of all reports of the active configuration."""
    files = [file for report in REPORTS.values() for file in registry.outputs(report)]
    return [*files, "reports/README.md"]


def reports_and_results(wildcards):
    """Every report with the results that it was made from."""
    made_from = {"reports/README.md": every_result()}
    for report in REPORTS.values():
        results = asked(planned.results_of, report, MATRIX, absent=ABSENT)
        made_from |= {file: results for file in registry.outputs(report)}
    return made_from
