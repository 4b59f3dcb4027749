"""Results -> tables and figures. `timellama/reports/catalogue.py` lists them with what each is made from.

Memory: our choice, several times the 139 MB measured for a figure of nine plots; the claims read every result.
"""


rule table:
    input:
        results=results_of_report,
        files=read_by_report,
        published=published_of_report,
    output:
        tex="reports/{table}.tex",
        md="reports/{table}.md",
        csv="reports/{table}.csv",
        html=report(
            "reports/{table}.html",
            caption="../report/report.rst",
            category="Tables",
            subcategory=title_of_report,
            labels=labels_of_report,
        ),
    log:
        "results/logs/report/{table}.log",
    resources:
        runtime=5,
        mem_mb=megabytes(1000),
    params:
        **params_of_report,
    script:
        "../scripts/table.py"


# Only on request: `all` needs no LaTeX.
rule table_pdf:
    input:
        "reports/{table}.tex",
    output:
        "reports/{table}.pdf",
    log:
        "results/logs/report/{table}_pdf.log",
    resources:
        runtime=5,
        mem_mb=megabytes(300),
    params:
        code=code_of("timellama.reports.render.table_pdf"),
    script:
        "../scripts/table_pdf.py"


rule figure:
    input:
        results=results_of_report,
        files=read_by_report,
        published=published_of_report,
    output:
        pdf="reports/figures/{figure}.pdf",
        txt="reports/figures/{figure}.txt",
        png=report(
            "reports/figures/{figure}.png",
            caption="../report/figure.rst",
            category="Figures",
            subcategory=title_of_report,
            labels=labels_of_report,
        ),
    log:
        "results/logs/report/{figure}.log",
    resources:
        runtime=5,
        mem_mb=megabytes(1000),
    params:
        **params_of_report,
    script:
        "../scripts/figure.py"


rule run_page:
    input:
        results=every_result(),
        published=[str(shipped(path)) for path in PUBLISHED_CLAIMS],
    output:
        report(
            "reports/README.md",
            caption="../report/abstract.rst",
            category="Abstract",
            labels={"configuration": config["name"]},
        ),
    log:
        "results/logs/report/README.log",
    resources:
        runtime=5,
        mem_mb=megabytes(1000),
    params:
        files=planned.files_of(REPORTS[REPORT], MATRIX, absent=ABSENT),
        facts=planned.facts_of_page(MATRIX, absent=ABSENT),
        remark=report_plan.remark_on(PLANNED, ABSENT),
        settings={key: config.get(key) for key in ("device", "precision", "backbones", "seeds")},
        planned={name: len(report_plan.planned_files(MATRIX, name)) for name in config["experiments"]},
        reports=[*every_report(), "reports/provenance.json"],
        code=code_of("timellama.reports.run_page", "timellama.reports.render.markup"),
    script:
        "../scripts/run_page.py"
