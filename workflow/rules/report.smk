"""Results -> tables and figures. `timellama/report_tables.py` and `report_figures.py` say what is made of what.

Memory: our choice, twice the 139 MB that a figure of nine plots was measured at.
"""


rule table:
    input:
        metrics=lambda wildcards: metrics_of(wildcards.experiment),
        published=published_numbers,
    output:
        tex=report("reports/table_{experiment}.tex", category="Tables", labels={"table": "{experiment}"}),
        md="reports/table_{experiment}.md",
    log:
        "results/logs/report/table_{experiment}.log",
    resources:
        runtime=5,
        mem_mb=megabytes(300),
    params:
        facts=lambda wildcards: report_facts(wildcards.experiment),
        code=code_of("timellama.report_tables", "timellama.markup"),
    script:
        "../scripts/table.py"


rule table_datasets:
    input:
        published="config/published/table6_datasets.csv",
    output:
        tex=report("reports/table_datasets.tex", category="Tables", labels={"table": "datasets"}),
        md="reports/table_datasets.md",
    log:
        "results/logs/report/table_datasets.log",
    resources:
        runtime=5,
        mem_mb=megabytes(300),
    params:
        rows=dataset_rows(),
        code=code_of("timellama.dataset_table", "timellama.markup"),
    script:
        "../scripts/table_datasets.py"


rule figure:
    input:
        files=files_of_figure,
        published=published_curve,
    output:
        pdf="reports/figures/{figure}.pdf",
        png=report("reports/figures/{figure}.png", category="Figures", labels={"figure": "{figure}"}),
    log:
        "results/logs/report/{figure}.log",
    resources:
        runtime=5,
        mem_mb=megabytes(300),
    params:
        facts=lambda wildcards: figure_facts(wildcards.figure),
        code=code_of("timellama.report_figures", "timellama.style"),
    script:
        "../scripts/figure.py"


rule table_efficiency:
    input:
        sweeps=sweep_files,
        published="config/published/efficiency_traffic.csv",
    output:
        tex=report("reports/table_efficiency.tex", category="Tables", labels={"table": "efficiency"}),
        md="reports/table_efficiency.md",
    log:
        "results/logs/report/table_efficiency.log",
    resources:
        runtime=5,
        mem_mb=megabytes(300),
    params:
        facts=report_facts("efficiency"),
        code=code_of("timellama.efficiency_table", "timellama.failures", "timellama.markup"),
    script:
        "../scripts/table_efficiency.py"


rule figure_efficiency:
    input:
        sweeps=sweep_files,
    output:
        pdf="reports/figures/{efficiency}.pdf",
        png=report("reports/figures/{efficiency}.png", category="Figures", labels={"figure": "{efficiency}"}),
    log:
        "results/logs/report/{efficiency}.log",
    wildcard_constraints:
        efficiency="|".join(EFFICIENCY_FIGURES),
    resources:
        runtime=5,
        mem_mb=megabytes(300),
    params:
        facts=report_facts("efficiency"),
        code=code_of("timellama.efficiency_figures", "timellama.tables", "timellama.style"),
    script:
        "../scripts/figure_efficiency.py"


rule table_failures:
    input:
        every_result(),
    output:
        tex=report("reports/table_failures.tex", category="Tables", labels={"table": "failures"}),
        md="reports/table_failures.md",
    log:
        "results/logs/report/table_failures.log",
    resources:
        runtime=5,
        mem_mb=megabytes(300),
    params:
        failures=[dataclasses.asdict(failure) for failure in ABSENT.values()],
        configuration=config["name"],
        planned=len(RUNS) + len(SWEEPS),
        code=code_of("timellama.failures", "timellama.markup"),
    script:
        "../scripts/table_failures.py"
