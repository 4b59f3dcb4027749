"""One job a run: train, choose by validation, evaluate every test window."""


rule train:
    input:
        series=layout.SERIES,
        backbone=backbone_files,
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
        # No output: Snakemake deletes the outputs of a job that fails, and this is what the next start goes on from.
        checkpoints=layout.CHECKPOINTS,
    script:
        "../scripts/train.py"
