"""Results -> tables and figures. `timellama/report_tables.py` and `report_figures.py` say what is made of what."""


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
        mem_mb=1000,
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
        mem_mb=1000,
    params:
        rows=dataset_rows(),
        code=code_of("timellama.tables", "timellama.markup"),
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
        mem_mb=1000,
    params:
        facts=lambda wildcards: figure_facts(wildcards.figure),
        code=code_of("timellama.report_figures", "timellama.style"),
    script:
        "../scripts/figure.py"
