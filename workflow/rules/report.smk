"""Results -> tables and figures. `timellama/reports/report_tables.py` and `report_figures.py` say what is made of what.

Memory: our choice, twice the 139 MB that a figure of nine plots was measured at.
"""


rule table:
    input:
        metrics=lambda wildcards: metrics_of(wildcards.experiment),
        published=published_numbers,
    output:
        tex="reports/table_{experiment}.tex",
        md="reports/table_{experiment}.md",
        html=report(
            "reports/table_{experiment}.html",
            caption="../report/table.rst",
            **on_page("table_{experiment}"),
        ),
    log:
        "results/logs/report/table_{experiment}.log",
    resources:
        runtime=5,
        mem_mb=megabytes(300),
    params:
        facts=lambda wildcards: report_facts(wildcards.experiment),
        code=code_of("timellama.reports.report_tables", "timellama.reports.render.markup"),
    script:
        "../scripts/table.py"


rule table_datasets:
    input:
        published=report_plan.PUBLISHED_DATASETS,
    output:
        tex="reports/table_datasets.tex",
        md="reports/table_datasets.md",
        html=report(
            "reports/table_datasets.html",
            caption="../report/table_datasets.rst",
            **on_page("table_datasets"),
        ),
    log:
        "results/logs/report/table_datasets.log",
    resources:
        runtime=5,
        mem_mb=megabytes(300),
    params:
        rows=report_plan.dataset_rows(PLAN),
        code=code_of("timellama.reports.dataset_table", "timellama.reports.render.markup"),
    script:
        "../scripts/table_datasets.py"


rule figure:
    input:
        files=files_of_figure,
        metrics=metrics_of_figure,
        published=published_curve,
    output:
        pdf="reports/figures/{figure}.pdf",
        png=report(
            "reports/figures/{figure}.png",
            caption="../report/figure.rst",
            **on_page("{figure}"),
        ),
    log:
        "results/logs/report/{figure}.log",
    resources:
        runtime=5,
        mem_mb=megabytes(300),
    params:
        facts=lambda wildcards: figure_facts(wildcards.figure),
        code=code_of("timellama.reports.report_figures", "timellama.reports.render.style"),
    script:
        "../scripts/figure.py"


rule table_efficiency:
    input:
        sweeps=sweep_files,
        published=report_plan.PUBLISHED_EFFICIENCY,
    output:
        tex="reports/table_efficiency.tex",
        md="reports/table_efficiency.md",
        html=report(
            "reports/table_efficiency.html",
            caption="../report/table_efficiency.rst",
            **on_page("table_efficiency"),
        ),
    log:
        "results/logs/report/table_efficiency.log",
    resources:
        runtime=5,
        mem_mb=megabytes(300),
    params:
        facts=report_facts("efficiency"),
        code=code_of("timellama.reports.report_tables", "timellama.reports.render.markup"),
    script:
        "../scripts/table_efficiency.py"


rule figure_efficiency:
    input:
        sweeps=sweep_files,
    output:
        pdf="reports/figures/{efficiency}.pdf",
        png=report(
            "reports/figures/{efficiency}.png",
            caption="../report/figure_efficiency.rst",
            **on_page("{efficiency}"),
        ),
    log:
        "results/logs/report/{efficiency}.log",
    wildcard_constraints:
        efficiency="|".join(EFFICIENCY_FIGURES),
    resources:
        runtime=5,
        mem_mb=megabytes(300),
    params:
        facts=report_facts("efficiency"),
        code=code_of("timellama.reports.report_figures", "timellama.reports.render.style"),
    script:
        "../scripts/figure_efficiency.py"


rule table_failures:
    input:
        every_result(),
    output:
        tex="reports/table_failures.tex",
        md="reports/table_failures.md",
        html=report(
            "reports/table_failures.html",
            caption="../report/table_failures.rst",
            **on_page("table_failures"),
        ),
    log:
        "results/logs/report/table_failures.log",
    resources:
        runtime=5,
        mem_mb=megabytes(300),
    params:
        failures=[dataclasses.asdict(failure) for failure in ABSENT.values()],
        configuration=config["name"],
        planned=len(RUNS) + len(SWEEPS),
        code=code_of("timellama.reports.failures", "timellama.reports.render.markup"),
    script:
        "../scripts/table_failures.py"


rule table_claims:
    input:
        results=results_of(CLAIMED),
        published=PUBLISHED_CLAIMS,
    output:
        tex="reports/table_claims.tex",
        md="reports/table_claims.md",
        html=report(
            "reports/table_claims.html",
            caption="../report/table_claims.rst",
            **on_page("table_claims"),
        ),
    log:
        "results/logs/report/table_claims.log",
    resources:
        runtime=5,
        mem_mb=1000,
    params:
        facts=facts_of(CLAIMED),
        code=code_of("timellama.reports.claims.table", "timellama.reports.render.markup"),
    script:
        "../scripts/table_claims.py"


rule paper_vs_ours:
    input:
        results=results_of(BESIDE_PAPER),
        published=PUBLISHED_CLAIMS,
    output:
        pdf="reports/figures/paper_vs_ours.pdf",
        png=report(
            "reports/figures/paper_vs_ours.png",
            caption="../report/paper_vs_ours.rst",
            **on_page("paper_vs_ours"),
        ),
    log:
        "results/logs/report/paper_vs_ours.log",
    resources:
        runtime=5,
        mem_mb=1000,
    params:
        facts=facts_of(BESIDE_PAPER),
        code=code_of("timellama.reports.figures.paper_vs_ours", "timellama.reports.render.style"),
    script:
        "../scripts/paper_vs_ours.py"


rule run_page:
    input:
        results=every_result(),
        published=PUBLISHED_CLAIMS,
    output:
        "reports/README.md",
    log:
        "results/logs/report/README.log",
    resources:
        runtime=5,
        mem_mb=1000,
    params:
        facts=facts_of(list(config["experiments"])),
        planned={name: len(report_plan.planned_files(PLAN, name)) for name in config["experiments"]},
        reports=[*every_report(), "reports/provenance.json"],
        code=code_of("timellama.reports.run_page", "timellama.reports.render.markup"),
    script:
        "../scripts/run_page.py"
