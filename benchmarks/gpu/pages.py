"""Writes `docs/reference/gpu/README.md` from the kept `results.jsonl`: `python -m benchmarks.gpu.pages`."""

import csv
import json
import statistics
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks.gpu.record import ROOT, Record

FOLDER = ROOT / "docs/reference/gpu"
KEPT = ROOT / "docs/reference/cpu/metrics.csv"
PAPER = {"time-llama": 10.47, "patchtst": 13.24, "time-llm": 3.51}  # section 4.6: samples a second, Traffic
BEGIN, END = "<!-- gpu: begin -->", "<!-- gpu: end -->"
LABELS = {
    "time-llama": "Time-LlaMA",
    "time-llama-3": "Time-LlaMA-3 (frozen)",
    "time-llama-4": "Time-LlaMA-4 (all LoRA on)",
    "patchtst": "PatchTST",
    "time-llm": "Time-LLM",
    "gpt4ts": "GPT4TS",
    "itransformer": "iTransformer",
    "dlinear": "DLinear",
}


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table; numbers have four significant digits."""
    header = list(header)
    lines = [header, ["---"] + ["---:"] * (len(header) - 1)]
    lines += [[_spelled(cell) for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _spelled(cell: object) -> str:
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.4g}"


def reference_errors(variant: str) -> list[float]:
    """Test MSE of the kept CPU runs of a method on ETTh1, H 96, all training rows, one per seed."""
    plan = json.loads(KEPT.with_name("plan.json").read_text(encoding="utf-8"))
    shown = set(plan["experiments"]["long_term"]["results"])  # a search has more runs of a method
    with KEPT.open(encoding="utf-8", newline="") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if (row["dataset"], row["horizon"], row["run/task"], row["run/variant"])
            == ("ETTh1", "96", "long-term", variant)
            and row["result"] in shown
        ]
    return [float(row["mse"]) for row in sorted(rows, key=lambda row: int(row["run/seed"]))]


def rate(row: dict) -> float:
    """Samples per second, by the median of the calls."""
    return 1e3 * row["batch"] / row["median_ms"]


def share(row: dict) -> float:
    """Share of the matrix product's rate, also by the median: the kept rows use the upper of two middle calls."""
    return row["share_of_peak"] * rate(row) / row["samples_per_second"]


def gigabytes(row: dict) -> object:
    """Peak memory in GB."""
    return row["peak_bytes"] / 1e9 if row.get("peak_bytes") else ""


def named(row: dict) -> str:
    """The method and its language model."""
    backbone = row.get("backbone")
    return LABELS[row["method"]] + (f", {backbone.removesuffix(', random weights')}" if backbone else "")


def cells(rows: list[dict], render: Callable[[dict], list[object]]) -> list[list[object]]:
    """One line per measured cell, and one for each cell that ran out of memory, which says so."""
    lines = []
    for row in rows:
        if "median_ms" in row:
            lines.append([named(row), row["batch"], *render(row)])
        elif row.get("status", "").startswith("out of memory"):
            lines.append([named(row), row["batch"], "out of memory"])
    width = max(map(len, lines))
    return [line + [""] * (width - len(line)) for line in lines]


def page(rows: list[dict]) -> str:
    """The whole page."""

    def of(part: str, what: str) -> list[dict]:
        return [row for row in rows if row["part"] == part and row.get("what") == what]

    [machine] = of("machine", "machine")
    commits = ", ".join(row["git_commit"][:7] for row in of("calls", "commit"))
    ceilings = {row["dtype"]: row["tflops"] for row in of("machine", "matmul")}
    [copy] = of("machine", "copy")
    tests = of("tests", "test")
    failed = [row for row in tests if row["verdict"] != "passed"]
    apart = [float(row["forecast_float32"]) for row in tests if "forecast_float32" in row]
    halves = [float(row["forecast_bfloat16"]) for row in tests if "forecast_bfloat16" in row]
    runs = of("training", "run")
    lines = []
    for row in runs:
        kept = reference_errors(row["method"])
        mean, spread = statistics.mean(kept), statistics.stdev(kept)
        lines.append(
            [
                f"{LABELS[row['method']]}, seed {row['seed']}, {row['precision']}"
                + (", CUDA graph" if row.get("compiled", "off") != "off" else ""),
                f"{row['mse']:.4f}",
                f"{kept[row['seed']]:.4f}",
                f"{mean:.4f} ± {spread:.4f}",
                row["train_seconds"],
            ]
        )
    [kernels] = of("kernels", "a training step")
    forecasts = of("efficiency", "forecast")
    best = {}
    for row in forecasts:
        if "samples_per_second" in row:
            best[named(row)] = max(best.get(named(row), 0.0), rate(row))
    claim = {
        row["method"]: row
        for row in forecasts
        if row.get("batch") == 1 and row["method"] in PAPER and "Llama-3.2" not in (row["backbone"] or "")
    }

    def times(other: str) -> float:
        """How many times as fast as another method Time-LlaMA is."""
        return rate(claim["time-llama"]) / rate(claim[other])

    sections = [
        "# One GPU",
        f"Measured by `make gpu-check` on one {machine['device']} ({machine['host']}, {machine['cores']} cores, "
        f"Python {machine['python']}, torch {machine['torch']}, CUDA {machine['cuda']}), commits {commits}. Every "
        "number is in [results.jsonl](results.jsonl), from which `python -m benchmarks.gpu.pages` writes this page.",
        f"A matrix product of 8192 reaches {ceilings['float32']:.0f} TFLOP/s in float32, "
        f"{ceilings['float32 by TF32']:.0f} by TF32 and {ceilings['bfloat16']:.0f} in bfloat16; a copy within the "
        f"device's memory moves {copy['gigabytes_per_second'] / 1e3:.1f} TB/s.",
        "## The paper's claim of efficiency",
        "Forecasts of Traffic's shape (862 variates, T 512, H 96), bfloat16, batch 1, in samples a second. Language "
        "models have random weights in the published shapes, which does not change the time. The paper measured on an "
        "NVIDIA L20.",
        table(
            ["samples a second", "paper", "here", "here, largest over all batches"],
            [
                [(name := named(claim[method])), published, rate(claim[method]), best[name]]
                for method, published in PAPER.items()
            ],
        ),
        f"The paper has Time-LlaMA {PAPER['time-llama'] / PAPER['time-llm']:.1f} times as fast as Time-LLM; here it is "
        f"{times('time-llm'):.0f} times as fast. The paper has it {PAPER['time-llama'] / PAPER['patchtst']:.2f} times "
        f"as fast as PatchTST; here it is {times('patchtst'):.2f} times as fast.",
        "## Forecasts of Traffic's shape",
        "GFLOP are counted; the share is that of the matrix product's rate in bfloat16.",
        table(
            ["method", "batch", "ms", "p95, ms", "samples a second", "GFLOP", "share, %", "peak memory, GB"],
            cells(
                forecasts,
                lambda row: [
                    row["median_ms"],
                    row["p95_ms"],
                    rate(row),
                    row["gflop"],
                    100 * share(row),
                    gigabytes(row),
                ],
            ),
        ),
        "## Training steps of Traffic's shape",
        "Forward, loss, backward, clipping and Adam; bfloat16.",
        table(
            ["method", "batch", "ms", "p95, ms", "peak memory, GB"],
            cells(of("traffic", "training step"), lambda row: [row["median_ms"], row["p95_ms"], gigabytes(row)]),
        ),
        "## Whole trainings",
        "ETTh1, H 96, T 512, the settings of `config/cpu.yaml`, SmolLM2-135M-Instruct (Q4_1), first six blocks, all "
        f"{len(runs)} at once on the one GPU. The test MSE beside that of the kept runs on a CPU.",
        table(["run", "GPU", "CPU, same seed", "CPU, mean ± standard deviation (n - 1)", "training, s"], lines),
        "## Training steps of ETTh1's shape",
        f"Time-LlaMA with the same blocks. One eager step makes {kernels['operations']:.0f} operations and starts "
        f"{kernels['kernels']:.0f} kernels, which keep the GPU busy for {1e3 * kernels['kernel_seconds']:.1f} of "
        f"{1e3 * kernels['seconds']:.0f} ms. As one CUDA graph the step has no launches to wait for. Trainings "
        "[make it one](../../scaling.md#compiled-steps) where `compile` asks for it, which came after this page was "
        "measured and has not been run on CUDA.",
        table(
            ["how", "precision", "batch", "ms", "p95, ms", "losses of 20 steps apart"],
            [
                [
                    row["how"],
                    row["precision"],
                    row["batch"],
                    row["median_ms"],
                    row["p95_ms"],
                    row.get("losses_apart", ""),
                ]
                for row in [*of("steps", "step"), *of("compiled", "step")]
                if "median_ms" in row
            ],
        ),
        "`compiled` is torch.compile, whose first step took "
        f"{next(row['first_seconds'] for row in of('compiled', 'step') if 'first_seconds' in row):.0f} s. Why "
        "some losses are apart was not traced; rounding alone grows as far: on a CPU one weight that is moved by a "
        "millionth moves the loss by 1e-7 at first and by 1e-2 seven steps later. "
        "Eager steps are limited by the host and vary with it.",
        "Several processes at once, each making eager steps of batch 16:",
        table(
            ["processes", "steps a second together"],
            [[row["processes"], row["steps_per_second"]] for row in of("sharing", "processes")],
        ),
        "## The plan's prediction",
        "What `timellama plan` predicts from steps that it times here, beside the trainings above. The trainings "
        f"shared the GPU and the host's cores among {len(runs)} processes; the timed steps had both alone.",
        table(
            ["run", "training predicted, s", "measured, s", "memory predicted, MB", "measured, MB"],
            [
                [
                    f"{LABELS[row['method']]}, seed {row['seed']}, {row['precision']}",
                    row["predicted_train_seconds"],
                    row["measured_train_seconds"],
                    row["predicted_most_bytes"] / 1e6,
                    row["measured_bytes"] / 1e6,
                ]
                for row in of("calibration", "plan")
            ],
        ),
        "## Equal to a CPU",
        f"{len(tests) - len(failed)} of {len(tests)} tests passed. Forecasts of every method and variant in float32 "
        f"are at most {max(apart):.1g} of their norm from the CPU's, in bfloat16 at most {max(halves):.1g}. A training "
        "that is stopped and resumed, and one with the same seed twice, end with the same bits (Time-LlaMA, "
        "Time-LlaMA-5, PatchTST).",
    ]
    for row in failed:
        if "planned_bytes" not in row:
            sections.append(f"Failed: `{row['name']}`.")
            continue
        planned, measured = (float(row[key]) / 1e6 for key in ("planned_bytes", "measured_bytes"))
        sections.append(
            f"Failed: `{row['name']}`. The plan has {planned:.0f} MB, {measured:.0f} MB were taken. The plan "
            "counts tensors alone; how much of the rest is a library's workspace was not measured."
        )
    return "\n\n".join(sections) + "\n"


def section(rows: list[dict]) -> str:
    """The section of the project's README about the GPU."""
    [machine] = [row for row in rows if (row["part"], row["what"]) == ("machine", "machine")]
    chosen = {}
    for row in rows:
        if row["part"] == "efficiency" and "samples_per_second" in row and "3.2" not in (row["backbone"] or ""):
            chosen.setdefault(row["method"], {})[row["batch"]] = row
    lines = [
        [
            named(of[1]),
            of[1]["median_ms"],
            rate(of[1]),
            max(rate(row) for row in of.values()),
            gigabytes(of[1]),
            PAPER.get(method, ""),
        ]
        for method, of in chosen.items()
    ]
    steps = {row["how"]: row for row in rows if row["part"] == "steps" and row.get("batch") == 16}
    graph, eager, from_host = (
        steps[how]["median_ms"]
        for how in ("CUDA graph", "eager, batches on the device", "eager, batches from the host")
    )
    [kernels] = [row for row in rows if (row["part"], row["what"]) == ("kernels", "a training step")]
    apart = [
        abs(row["mse"] - reference_errors(row["method"])[row["seed"]])
        for row in rows
        if row["part"] == "training" and row["what"] == "run" and row["precision"] == "float32"
    ]
    above = (
        f"Forecasts of the same shape in bfloat16 on one {machine['device']} (torch {machine['torch']}), at the "
        "paper's size: random weights in the shape of the first eight blocks of Llama-2-7B, which take the time of "
        "trained ones. Time-LLM was measured before it computed the beginning that its prompts share once, which "
        "halves its operations."
    )
    below = (
        f"In float32 {len(apart)} trainings on ETTh1 end within {max(apart):.4f} of the test MSE that the CPU gives "
        f"with the same seed. A training step of ETTh1's shape, batch 16, takes {eager:.0f} ms in bfloat16 "
        f"({from_host:.0f} with batches from the host) and {graph:.1f} ms as one CUDA graph, an option (`compile`) "
        "that no training on CUDA has used yet: in float32 "
        f"the GPU works {100 * kernels['busy_share']:.0f} % of a step. "
        "[One GPU](docs/reference/gpu/README.md) has all of it; `make gpu-check` measures a machine of yours."
    )
    header = ["method", "ms", "samples a second", "at its best batch", "peak memory, GB", "paper, samples a second"]
    return "\n\n".join([textwrap.fill(above, 130), table(header, lines), textwrap.fill(below, 130)])


def with_section(readme: str, text: str) -> str:
    """The README with `text` between its markers."""
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}"


def main() -> None:
    """Write the page and its section of the README."""
    rows, readme = Record.read(FOLDER), ROOT / "README.md"
    (Path(FOLDER) / "README.md").write_text(page(rows), encoding="utf-8")
    readme.write_text(with_section(readme.read_text(encoding="utf-8"), section(rows)), encoding="utf-8")


if __name__ == "__main__":
    main()
