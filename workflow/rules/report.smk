"""Results -> tables and figures."""


rule table_long_term:
    input:
        metrics=lambda wildcards: metrics_of("long_term"),
        published="config/published/table1_long_term.csv",
    output:
        tex=report("reports/table_long_term.tex", category="Tables", labels={"table": "1, long-term"}),
        md="reports/table_long_term.md",
    log:
        "results/logs/report/table_long_term.log",
    resources:
        runtime=5,
        mem_mb=1000,
    params:
        facts=lambda wildcards: report_facts("long_term"),
        code=code_of("timellama.tables"),
    script:
        "../scripts/table_long_term.py"


rule figure_forecasts:
    input:
        shown_forecasts,
    output:
        pdf="reports/figures/forecasts_{dataset}.pdf",
        png=report(
            "reports/figures/forecasts_{dataset}.png", category="Figures", labels={"figure": "forecasts, {dataset}"}
        ),
    log:
        "results/logs/report/forecasts_{dataset}.log",
    resources:
        runtime=5,
        mem_mb=1000,
    params:
        facts=lambda wildcards: report_facts("long_term"),
        code=code_of("timellama.figures"),
    script:
        "../scripts/figure_forecasts.py"
