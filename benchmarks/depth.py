"""What the language model's blocks do to the tokens before anything is trained, block by block.

`python -m benchmarks.depth` needs `results/data/ETTh1/series.npz` and the prepared language model of
`config/cpu.yaml`. It runs the model of ETTh1, horizon 96, seed 0, with its initial weights, and writes
docs/depth: a table and a figure. A second table and figure show tokens that are multiplied before they enter the
blocks (`token_scale`), beside the test errors of the experiment `tokens` that docs/reference/cpu keeps.

At each depth it measures the variates' tokens [B, N, D]: the norm of all tokens, of the first, and of the last, which
the router pools; the share of the squared norm in one coordinate; and how much of the variate's last day a linear map
reads from a token (R2 on validation windows, ridge regression on training windows).
"""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from timellama.core import layout
from timellama.core.schema import read_yaml
from timellama.data.series import load_series
from timellama.data.windows import prepare
from timellama.experiments.matrix import Matrix, make_matrix
from timellama.experiments.run import Run
from timellama.methods.time_llama.tokens import instance_normalise
from timellama.reports.render import style
from timellama.reports.render.markup import MISSING, write_files
from timellama.training.build import build
from timellama.training.scores.predictions import spread

OUT = Path("docs/depth")
KEPT = Path("docs/reference/cpu/metrics.csv")
SCALES = {"time-llama-zero-head": 1} | {f"time-llama-scale-{scale}": scale for scale in (5, 20, 60, 100, 300)}
DATASET, HORIZON, SEED = "ETTh1", 96, 0
WINDOWS = 600  # our choice, per part: 4 200 tokens determine a map from 576 numbers
RIDGE = 1e-3  # our choice, relative to the mean squared standardised coordinate
NAMES = ("aligned tokens", *(f"after block {block}" for block in range(1, 7)), "head's input")


def measure(root: Path) -> tuple[list[dict], list[dict]]:
    """One row per depth, and one per scale. Raises InputError if the series or the language model is not prepared."""
    matrix = make_matrix(read_yaml(root / "config/cpu.yaml"), root=root)
    run, model = _untrained(matrix, "long_term", "time-llama", root)
    series = load_series(root / layout.SERIES.format(dataset=DATASET))
    parts = prepare(series, run.split, context=run.context, horizon=HORIZON, train_percent=100)
    found = {}
    for part in ("train", "validation"):
        windows = getattr(parts, part)
        x, _ = windows.batch(spread(len(windows), WINDOWS))
        days = instance_normalise(x).values[:, -run.season :].transpose(1, 2).flatten(0, 1)  # [B N, a day]
        found[part] = (x, days)
    states = {part: (_states(model, x), days) for part, (x, days) in found.items()}
    rows = [_row(name, place, states) for place, name in enumerate(NAMES)]
    _, scaled = _untrained(matrix, "tokens", "time-llama-zero-head", root)
    return rows, [_scaled(scaled, scale, found) for scale in SCALES.values()]


def _untrained(matrix: Matrix, experiment: str, variant: str, root: Path) -> tuple[Run, torch.nn.Module]:
    """A run of an experiment, and its model with the initial weights."""
    wanted = (DATASET, HORIZON, variant, SEED)
    runs = matrix.experiment(experiment)
    run = next(run for run in runs if (run.dataset, run.horizon, run.variant, run.seed) == wanted)
    torch.manual_seed(SEED)
    return run, build(run, backbone_folder=root / layout.backbone_folder(run.backbone)).eval()


def _scaled(model: torch.nn.Module, scale: float, found: dict[str, tuple[Tensor, Tensor]]) -> dict:
    """How much of a scaled token is left in the residual stream after the last block, and what the head can read."""
    model.token_scale = scale
    states = {part: (_states(model, x), days) for part, (x, days) in found.items()}
    model.token_scale = 1.0
    before, *_, after, _ = states["train"][0]
    return {
        "scale": scale,
        "norm": before.norm(dim=2).mean().item(),
        "blocks": share_of_blocks(before, after),
        "r2": _row("head's input", -1, states)["r2"],
    }


def share_of_blocks(before: Tensor, after: Tensor) -> float:
    """The share that the blocks add to the squared norm of their input tokens [B, N, D] and of the addition."""
    added = (after - before).square().sum(dim=2)
    return (added / (added + before.square().sum(dim=2))).mean().item()


def _states(model: torch.nn.Module, x: Tensor) -> list[Tensor]:
    """The tokens [B, N, D] at each depth."""
    states, block = [], model.backbone.block

    def recorded(index: int, h: Tensor, **settings: object) -> Tensor:
        if index == 0:
            states.append([h])
        out = block(index, h, **settings)
        states[-1].append(out)
        return out

    model.backbone.block = recorded
    handle = model.backbone.norm.register_forward_hook(lambda *call: states[-1].append(call[-1]))
    with torch.no_grad():
        for batch in x.split(50):
            model(batch)
    handle.remove()
    model.backbone.block = block
    return [torch.cat(parts) for parts in zip(*states, strict=True)]


def _row(name: str, place: int, found: dict[str, tuple[list[Tensor], Tensor]]) -> dict:
    tokens, days = found["train"][0][place], found["train"][1]
    squares = tokens.flatten(0, 1).double().square()
    held, truth = found["validation"][0][place].flatten(0, 1), found["validation"][1]
    return {
        "depth": name,
        "norm": tokens.norm(dim=2).mean().item(),
        "first_token": tokens[:, 0].norm(dim=1).mean().item(),
        "last_token": tokens[:, -1].norm(dim=1).mean().item(),
        "one_coordinate": (squares.max(dim=1).values / squares.sum(dim=1)).mean().item(),
        "r2": _read(tokens.flatten(0, 1), days)(held, truth),
    }


def _read(tokens: Tensor, days: Tensor) -> Callable[[Tensor, Tensor], float]:
    """Fits the linear map; the result scores it on other tokens."""
    mean, deviation, middle = tokens.double().mean(0), tokens.double().std(0) + 1e-12, days.double().mean(0)
    a = (tokens.double() - mean) / deviation
    inner = a.T @ a + RIDGE * len(a) * torch.eye(a.shape[1], dtype=torch.float64)
    weight = torch.linalg.solve(inner, a.T @ (days.double() - middle))

    def score(others: Tensor, truth: Tensor) -> float:
        error = (others.double() - mean) / deviation @ weight + middle - truth.double()
        return 1 - (error.square().sum() / (truth.double() - truth.double().mean(0)).square().sum()).item()

    return score


def errors(kept: Path) -> dict[int, list[float]]:
    """The test errors that a reference keeps for each scale, one per seed; an empty list where it keeps none."""
    found: dict[int, list[float]] = {scale: [] for scale in SCALES.values()}
    with kept.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            cell = (row["run/dataset"], row["run/horizon"], row["run/train_percent"])
            if cell == (DATASET, str(HORIZON), "5") and row["run/variant"] in SCALES:
                found[SCALES[row["run/variant"]]].append(float(row["mse"]))
    return found


def write(rows: list[dict], scaled: list[dict], tested: dict[int, list[float]], folder: Path) -> None:
    """Write the tables, the figures and the numbers."""
    lines = ["| depth | norm of a token | of the first | of the last | in one coordinate, % | last day readable, R2 |"]
    lines += ["|---|---:|---:|---:|---:|---:|"]
    for row in rows:
        norms = " | ".join(f"{row[key]:.1f}" for key in ("norm", "first_token", "last_token"))
        lines.append(f"| {row['depth']} | {norms} | {row['one_coordinate'] * 100:.0f} | {row['r2']:.2f} |")
    text = (
        "# What the blocks do to the tokens\n\nWritten by `python -m benchmarks.depth`: Time-LlaMA on ETTh1, horizon "
        f"96, before any training (seed {SEED}), means over the tokens of {WINDOWS} windows. R2 is of a ridge "
        "regression from a token to its variate's last day, fitted on training windows and scored on validation "
        "windows. The language model is SmolLM2-135M-Instruct in 4 bits (Q4_1), its first six blocks.\n\n"
        "![depth](depth.png)\n\n"
    )
    of_scales = [
        "| tokens times | norm of a token | added by the blocks, % | last day readable, R2 | test MSE, mean (seeds) |",
        "|---:|---:|---:|---:|---:|",
    ]
    for row in scaled:
        of_scale = tested[row["scale"]]
        error = f"{fmean(of_scale):.3f} ({len(of_scale)})" if of_scale else MISSING
        share = f"{row['blocks'] * 100:.1f}"
        of_scales.append(f"| {row['scale']} | {row['norm']:.0f} | {share} | {row['r2']:.2f} | {error} |")
    text_of_scales = (
        "\n## Tokens that are multiplied\n\nThe same model with TSEmb of two layers and a head of zeros, its tokens "
        "multiplied before they enter the blocks. Added by the blocks: of the squared norm of the tokens and of what "
        "six blocks add to them, the part that the blocks add. R2 is of the head's input. Test errors are those of the "
        "experiment `tokens` of `config/cpu.yaml`, trained on 5 % of the rows.\n\n![scale](scale.png)\n\n"
    )
    write_files(
        {
            folder / "README.md": text + "\n".join(lines) + "\n" + text_of_scales + "\n".join(of_scales) + "\n",
            folder / "depth.json": json.dumps(rows, indent=1) + "\n",
            folder / "scale.json": json.dumps(scaled, indent=1) + "\n",
        }
    )
    with style.theme():
        figure = style.canvas(style.PAGE, 2.2)
        left, middle, right = figure.subplots(1, 3)
        places = np.arange(len(rows))
        for axis, keys, title in (
            (left, ("norm", "first_token", "last_token"), "Norm of a token"),
            (middle, ("one_coordinate",), "Share in one coordinate"),
            (right, ("r2",), "Last day readable, R2"),
        ):
            for key, label, look in zip(keys, ("mean", "first", "last"), ("o-", "^:", "s--"), strict=False):
                axis.plot(places, [row[key] for row in rows], look, label=label)
            axis.set_title(title)
            axis.set_xticks(places, ["in", *map(str, range(1, len(rows) - 1)), "head"])
            axis.set_xlabel("block")
        left.set_yscale("log")
        left.legend()
        middle.set_ylim(0, 1)
        right.set_ylim(0, 1.05)
    style.save(figure, folder / "depth.pdf", folder / "depth.png")
    (folder / "depth.pdf").unlink()
    _draw_scales(scaled, tested, folder)


def _draw_scales(scaled: list[dict], tested: dict[int, list[float]], folder: Path) -> None:
    scales = [row["scale"] for row in scaled]
    with style.theme():
        figure = style.canvas(style.PAGE, 2.2)
        left, middle, right = figure.subplots(1, 3)
        points = [(scale, error) for scale in scales for error in tested[scale]]
        if points:
            left.plot(*zip(*points, strict=True), "o", color=style.BLUE, markersize=3)
        there = [scale for scale in scales if tested[scale]]
        left.plot(there, [fmean(tested[scale]) for scale in there], "-", color=style.BLUE)
        left.set_title("Test MSE, 5 % of the rows")
        middle.plot(scales, [row["blocks"] for row in scaled], "o-")
        middle.set_title("Added by the blocks")
        middle.set_ylim(0, 1.05)
        right.plot(scales, [row["r2"] for row in scaled], "o-")
        right.set_title("Last day readable, R2")
        right.set_ylim(0, 1.05)
        for axis in (left, middle, right):
            axis.set_xscale("log")
            axis.set_xlabel("tokens times")
    style.save(figure, folder / "scale.pdf", folder / "scale.png")
    (folder / "scale.pdf").unlink()


if __name__ == "__main__":
    write(*measure(Path()), errors(KEPT), OUT)
