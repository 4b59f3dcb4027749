"""Time and memory: one job per method and backbone, with nothing else running beside it."""


rule measure:
    input:
        backbone=lambda wildcards: prepared_files(sweep_of(wildcards).run.backbone),
    output:
        layout.SWEEP,
    log:
        layout.SWEEP_LOG,
    benchmark:
        layout.SWEEP_BENCHMARK
    # After the trainings, which may share the machine with each other but not with a measurement.
    priority: -1
    threads: all_threads
    resources:
        runtime=600,
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        gpu=int(GPU),
    params:
        sweep=lambda wildcards: sweep_of(wildcards).to_json(),
        code=sweep_code,
    script:
        "../scripts/measure.py"
