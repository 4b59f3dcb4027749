"""The index of where every number in the reports came from."""


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


rule provenance:
    input:
        reports=every_report(),
        results=every_result(),
    output:
        "reports/provenance.json",
    log:
        "results/logs/report/provenance.log",
    resources:
        runtime=10,
        mem_mb=1000,
    params:
        reports=reports_and_results,
        configuration=config["name"],
        code=code_of("timellama.provenance_index"),
    script:
        "../scripts/provenance.py"
