"""Hand-made rows of efficiency sweeps, as `measure_sweep` writes them."""

import json
from pathlib import Path

import pytest

METHODS = {
    "time-llama": {"label": "Time-LlaMA", "floor": False},
    "patchtst": {"label": "PatchTST", "floor": False},
    "time-llm": {"label": "Time-LLM", "floor": False},
}
BACKBONE = {"name": "SmolLM2-135M", "blocks": 6, "pin": "ab", "weights": "pretrained"}
MACHINE = {
    "dtype": "float32",
    "threads": 2,
    "processor": "A processor",
    "versions": {"python": "3.11.7", "torch": "2.13.0", "transformers": "5.23.0"},
    "limit_bytes": 8_000_000_000,
}


class Made:
    """Makers of rows and of the files that hold them."""

    methods = METHODS
    backbone = BACKBONE

    @staticmethod
    def measured(variates: int, batch_size: int, *, seconds: float, megabytes: float = 500) -> dict:
        """A row with everything measured: 2 GFLOP per call, 100 GFLOP per second, a training step of three calls."""
        stage = {"first": seconds, "seconds": seconds, "p95": 2 * seconds, "calls": 30, "reserved": None}
        stage |= {"now": 1, "peak": int(megabytes * 1e6)}
        return MACHINE | {
            "variates": variates,
            "batch_size": batch_size,
            "forward_status": "measured",
            "training_status": "measured",
            "forward_predicted": None,
            "training_predicted": None,
            "device": "cpu",
            "device_free_bytes": None,
            "loaded_bytes": 400_000_000,
            "parameters": {"total": 25_000_000, "trainable": 1_250_000, "adapters": None},
            "forward": stage,
            "training": stage | {"seconds": 3 * seconds, "peak": int(2 * megabytes * 1e6)},
            "flops": 2_000_000_000,
            "uncounted": {"_softmax": 6},
            "matmul_flops_per_second": 100e9,
            "samples_per_second": batch_size / seconds,
            "peak_share": 2e9 / seconds / 100e9,
        }

    @staticmethod
    def not_run(variates: int, batch_size: int, *, why: str, seconds: float, gigabytes: float) -> dict:
        """A row of a cell that was not started."""
        predicted = {"seconds": seconds, "bytes": gigabytes * 1e9}
        return MACHINE | {
            "variates": variates,
            "batch_size": batch_size,
            "forward_status": why,
            "training_status": why,
            "forward_predicted": predicted,
            "training_predicted": None,
        }

    @staticmethod
    def write_sweep(folder: Path, variant: str, rows: list[dict], *, backbone: dict | None = None) -> Path:
        """A result file with these rows."""
        run = {"variant": variant, "context": 512, "horizon": 96, "dataset": "Traffic", "device": "auto"}
        document = {
            "sweep": {"run": run | {"backbone": backbone}},
            "rows": rows,
            "provenance": {"git_commit": "0123456789", "git_dirty": False},
        }
        name = variant if backbone is None else f"{variant}-{backbone['name']}"
        path = folder / f"{name}.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        return path


@pytest.fixture(scope="session")
def made() -> type[Made]:
    return Made
