"""Marks are at the hand-computed gaps."""

import numpy as np
import pandas as pd
import pytest

from tests import made_up
from timellama.reports.figures.paper_vs_ours import beside_paper, origin, paper_vs_ours


def row(variant, label, mse, **changes):
    row = made_up.row(variant, **{"label": label, "mse": mse, "settings": ""} | changes)
    return row | {"identity": str(sorted(row.items()))}


@pytest.fixture(scope="module")
def published(root):
    return root / "config/published"


def marks(axis):
    """Maps each name to the positions of its marks and to their line."""
    return {
        name: (np.round(np.asarray(bar.lines[0].get_xdata(), dtype=float), 6).tolist(), bar.lines[0])
        for bar, name in zip(*axis.get_legend_handles_labels(), strict=True)
    }


def test_a_mark_is_drawn_at_its_gap(published):
    rows = [
        row("time-llama", "Time-LlaMA", 0.377 * 1.1),  # the paper has 0.377
        row("time-llama", "Time-LlaMA", 0.377 * 1.2, seed=1),
        row("patchtst", "PatchTST", 0.378 * 0.9),  # and 0.378
        row("patchtst", "PatchTST", 0.378, context=336),
        row("rlinear", "RLinear", 0.4),
        row("time-llama", "Time-LlaMA", 0.4, dataset="Synthetic"),
        row("time-llama", "Time-LlaMA", 0.4, train_percent=10, horizon=192),
    ]
    part = beside_paper(pd.DataFrame(rows), "long_term", published=published)
    figure = paper_vs_ours({"long_term": part})
    axis = next(axis for axis in figure.get_axes() if axis.get_title().startswith("Table 1"))
    found = marks(axis)
    assert {name: places for name, (places, _) in found.items()} == {
        "Time-LlaMA": [15.0],
        "PatchTST": [-10.0],
        "PatchTST, T 336": [0.0],
    }
    assert [label.get_text() for label in axis.get_yticklabels()] == ["ETTh1 96"]
    usual, other = (found[name][1] for name in ("PatchTST", "PatchTST, T 336"))
    assert usual.get_color() == other.get_color() and other.get_markerfacecolor() == "white"
    text = origin({"long_term": part}, configuration="made-up", generated=())
    assert "made-up" in text and "Llama-2 7B" in text and "abcdef0" in text


def test_each_table_has_a_panel_and_a_variant_its_number(published):
    few = {"train_percent": 5, "horizon": 192}
    ablation = [row("time-llama", "Time-LlaMA", 0.685, **few), row("time-llama-3", "Time-LlaMA-3", 0.705 * 1.5, **few)]
    frames = {
        "long_term": [row("time-llama", "Time-LlaMA", 0.377)],
        "few_shot": [row("patchtst", "PatchTST", 0.748 * 2, **few)],
        "ablation": ablation,
    }
    parts = {name: beside_paper(pd.DataFrame(rows), name, published=published) for name, rows in frames.items()}
    axes = {axis.get_title()[:7]: axis for axis in paper_vs_ours(parts).get_axes() if axis.get_title()}
    assert list(axes) == ["Table 1", "Table 3", "Table 5"]
    assert marks(axes["Table 3"])["PatchTST"][0] == [100.0]
    places, line = marks(axes["Table 5"])["Time-LlaMA-3"]
    assert places == [50.0] and line.get_marker() == "$3$"


def test_a_figure_without_a_cell_of_the_paper_says_so(published):
    part = beside_paper(
        pd.DataFrame([row("time-llama", "Time-LlaMA", 0.4, dataset="Synthetic")]), "long_term", published=published
    )
    assert part.empty
    (text,) = paper_vs_ours({"long_term": part}).texts
    assert "no run has a result in a cell for which the paper has" in text.get_text()
