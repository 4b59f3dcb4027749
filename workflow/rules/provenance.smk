"""The index of where every number in the reports came from."""


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
        mem_mb=megabytes(300),
    params:
        reports=reports_and_results,
        configuration=config["name"],
        code=code_of("timellama.reports.provenance_index"),
    script:
        "../scripts/provenance.py"
