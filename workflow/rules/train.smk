"""One job a run: train, choose by validation, evaluate every test window."""


rule train:
    input:
        series="results/data/{dataset}/series.npz",
        backbone=backbone_files,
    output:
        metrics=f"{RUN_FOLDER}/metrics.json",
        weights=f"{RUN_FOLDER}/weights.safetensors",
        history=f"{RUN_FOLDER}/history.csv",
        router=f"{RUN_FOLDER}/router.csv",
        forecasts=f"{RUN_FOLDER}/forecasts.npz",
    log:
        "results/logs/train/{task}/{dataset}/{variant}/{identity}.log",
    benchmark:
        "results/benchmarks/{task}/{dataset}/{variant}/{identity}.tsv"
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
        checkpoints="results/checkpoints/{task}/{dataset}/{variant}/{identity}",
    script:
        "../scripts/train.py"
