"""One job per run: train, choose by validation, evaluate every test window; and a search's choice among its trials."""


rule choose:
    input:
        trials_of,
    output:
        layout.CHOICE,
    log:
        layout.CHOICE_LOG,
    resources:
        runtime=5,
        mem_mb=megabytes(300),
    params:
        code=code_of("timellama.training.choice:choose"),
    script:
        "../scripts/choose.py"


rule train:
    input:
        series=layout.SERIES,
        backbone=backbone_files,
        choice=choice_file,
    output:
        metrics=f"{layout.RUN}/{layout.METRICS}",
        weights=f"{layout.RUN}/{layout.WEIGHTS}",
        history=f"{layout.RUN}/{layout.HISTORY}",
        router=f"{layout.RUN}/{layout.ROUTER}",
        forecasts=f"{layout.RUN}/{layout.FORECASTS}",
        windows=f"{layout.RUN}/{layout.WINDOWS}",
    log:
        layout.TRAIN_LOG,
    benchmark:
        layout.BENCHMARK
    threads: training_threads
    resources:
        runtime=training_minutes,
        mem_mb=training_memory,
        vram_mb=training_gpu_memory,
        gpu=int(GPU),
    params:
        run=lambda wildcards: run_of(wildcards).to_json(),
        code=training_code,
        metrics=training_metrics,
        # Not an output: Snakemake deletes the outputs of a failed job, and the next start resumes from these files.
        checkpoints=layout.CHECKPOINTS,
    script:
        "../scripts/train.py"
