"""Intervals around the forecasts of a finished run, calibrated on its validation windows: no training is repeated."""


rule calibrate:
    input:
        metrics=f"{layout.RUN}/{layout.METRICS}",
        weights=f"{layout.RUN}/{layout.WEIGHTS}",
        series=layout.SERIES,
        backbone=backbone_files,
    output:
        scores=f"{layout.RUN}/{layout.INTERVALS}",
        widths=f"{layout.RUN}/{layout.INTERVAL_WIDTHS}",
    log:
        layout.CALIBRATE_LOG,
    threads: training_threads
    # A forecast takes no more than a training, whose test runs over the same windows.
    resources:
        runtime=training_minutes,
        mem_mb=calibration_memory,
        vram_mb=training_gpu_memory,
        gpu=int(GPU),
    params:
        code=calibration_code,
    script:
        "../scripts/calibrate.py"
