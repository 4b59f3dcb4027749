"""How long and how much memory: a job a method and backbone, which measures alone; then its table and figures."""


rule measure:
    input:
        backbone=lambda wildcards: prepared_files(sweep_of(wildcards).run.backbone),
    output:
        SWEEP_FILE,
    log:
        "results/logs/efficiency/{variant}/{identity}.log",
    benchmark:
        "results/benchmarks/efficiency/{variant}/{identity}.tsv"
    # After the trainings, which may share the machine with each other but not with a measurement.
    priority: -1
    threads: all_threads
    resources:
        runtime=600,
        mem_mb=8000,
        gpu=int(config["device"].startswith("cuda")),
    params:
        sweep=lambda wildcards: sweep_of(wildcards).to_json(),
        code=sweep_code,
    script:
        "../scripts/measure.py"


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
        mem_mb=1000,
    params:
        facts=report_facts("efficiency"),
        code=code_of("timellama.efficiency_table", "timellama.markup"),
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
        mem_mb=1000,
    params:
        facts=report_facts("efficiency"),
        code=code_of("timellama.efficiency_figures", "timellama.style"),
    script:
        "../scripts/figure_efficiency.py"
