"""What the language model's blocks do to the tokens before anything is trained, block by block.

`python -m benchmarks.depth` needs `results/data/ETTh1/series.npz` and the prepared language model of
`config/cpu.yaml`. It runs the model of ETTh1, horizon 96, seed 0, with its initial weights, and writes
docs/depth: a table and a figure.

At each depth, of the variates' tokens [B, N, D]: the norm, that of the first token, and of the last, which the router
pools; the share of the squared norm in one coordinate; and how much of the variate's last day a linear map reads from a
token (R2 on validation windows, ridge regression on training windows).
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from timellama.core import layout
from timellama.core.schema import read_yaml
from timellama.data.series import load_series
from timellama.data.windows import prepare
from timellama.experiments.matrix import make_matrix
from timellama.methods.time_llama.tokens import instance_normalise
from timellama.reports.render import style
from timellama.reports.render.markup import write_files
from timellama.training.build import build
from timellama.training.predictions import spread

OUT = Path("docs/depth")
DATASET, HORIZON, SEED = "ETTh1", 96, 0
WINDOWS = 600  # our choice: of each part; 4 200 tokens determine a map from 576 numbers
RIDGE = 1e-3  # our choice: of the mean squared standardised coordinate
NAMES = ("aligned tokens", *(f"after block {block}" for block in range(1, 7)), "head's input")


def measure(root: Path) -> list[dict]:
    """A row a depth. Raises InputError where the series or the language model is not prepared."""
    matrix = make_matrix(read_yaml(root / "config/cpu.yaml"), root=root)
    run = next(
        run
        for run in matrix.runs["long_term"]
        if (run.dataset, run.horizon, run.variant, run.seed) == (DATASET, HORIZON, "time-llama", SEED)
    )
    torch.manual_seed(SEED)
    model = build(run, backbone_folder=root / layout.backbone_folder(run.backbone)).eval()
    series = load_series(root / layout.SERIES.format(dataset=DATASET))
    parts = prepare(series, run.split, context=run.context, horizon=HORIZON, train_percent=100)
    found = {}
    for part in ("train", "validation"):
        windows = getattr(parts, part)
        x, _ = windows.batch(spread(len(windows), WINDOWS))
        days = instance_normalise(x).values[:, -run.season :].transpose(1, 2).flatten(0, 1)  # [B N, a day]
        found[part] = (_states(model, x), days)
    return [_row(name, place, found) for place, name in enumerate(NAMES)]


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


def write(rows: list[dict], folder: Path) -> None:
    """The table, the figure and the numbers."""
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
    write_files(
        {
            folder / "README.md": text + "\n".join(lines) + "\n",
            folder / "depth.json": json.dumps(rows, indent=1) + "\n",
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


if __name__ == "__main__":
    write(measure(Path()), OUT)
