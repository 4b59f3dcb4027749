"""What a run and a report say about compiled steps."""

import dataclasses
import json

import pandas as pd

from tests import made_up
from timellama.experiments.run import Training
from timellama.reports.render.origin import describe_compiled


def test_a_run_records_how_its_steps_were_actually_made(sample_run, tmp_path, monkeypatch):
    """A plan for CUDA that runs without it gives the same as eager steps, and the run says so."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    eager = made_up.small(sample_run, training=Training(batch_size=16, max_steps=12))
    planned = dataclasses.replace(eager, compiled="graph")
    series = made_up.walk(tmp_path / "series.npz")
    found = [
        made_up.carry_out(run, tmp_path / run.compiled, series=series, kept=tmp_path / "kept")
        for run in (eager, planned)
    ]
    assert "compiled" not in found[0]["provenance"] and "compiled" not in found[0]["run"]
    assert found[1]["run"]["compiled"] == "graph" and found[0]["identity"] != found[1]["identity"]
    assert found[1]["provenance"]["compiled"] == {"steps": "off", "reason": "there is no CUDA here"}
    assert json.loads((tmp_path / "graph/metrics.json").read_text(encoding="utf-8")) == found[1]
    assert found[0]["mse"] == found[1]["mse"]


def test_a_caption_names_the_methods_whose_steps_were_compiled():
    rows = [("A", "graph"), ("B", "off"), ("C", "inductor"), ("D", "graph"), ("A", "graph")]
    summary = pd.DataFrame(rows, columns=["label", "compiled"])
    said = "Trained with steps compiled as CUDA graphs: A and D. Trained with steps compiled by torch.compile: C."
    assert describe_compiled(summary) == said
    assert describe_compiled(summary[summary["compiled"] == "off"]) == ""
