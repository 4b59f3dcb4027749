"""The metric of docs/adding.md, added to a configuration as printed on the page and run by the workflow."""

import json

import pytest
import torch
import yaml

from tests.printed import block
from timellama.data.series import load_series
from timellama.data.windows import prepare
from timellama.experiments.run import Run


def test_a_user_supplied_metric_is_measured_and_remeasured_when_it_changes(copy_of_finished):
    project = copy_of_finished()
    config = yaml.safe_load((project.folder / "config/smoke.yaml").read_text(encoding="utf-8"))
    datasets = {"Synthetic": {"context": 96, "horizons": [24]}}
    config["experiments"] = {"long_term": {"datasets": datasets, "methods": ["seasonal-naive"]}}
    file = project.folder / "config/config.yaml"
    report = "reports/table_long_term.md"
    [result] = project.folder.glob("results/long-term/Synthetic/seasonal-naive/*/metrics.json")
    before = json.loads(result.read_text(encoding="utf-8"))
    assert "metrics" not in before

    module = project.folder / "my_metrics.py"
    module.write_text(block("python", "NEAR = Metric"), encoding="utf-8")
    file.write_text(yaml.safe_dump(config | yaml.safe_load(block("yaml", "my_metrics"))), encoding="utf-8")
    done = project.snakemake(report)
    assert done.returncode == 0, done.stdout
    after = json.loads(result.read_text(encoding="utf-8"))
    assert after["identity"] == before["identity"] and [after[k] for k in ("mse", "mae")] == [
        before["mse"],
        before["mae"],
    ]

    run = Run.from_json(json.dumps(after["run"]))
    series = load_series(project.folder / "results/data/Synthetic/series.npz")
    windows = prepare(series, run.split, context=run.context, horizon=run.horizon, train_percent=100).test
    shares = []
    for place in range(len(windows)):
        x, y = windows.batch(torch.tensor([place]))
        repeated = x[:, -run.season :].repeat(1, -(-run.horizon // run.season), 1)[:, : run.horizon]
        shares.append(((repeated.double() - y.double()).abs() <= 0.5).double().mean().item())
    value = after["metrics"]["near"]["value"]
    assert value == pytest.approx(sum(shares) / len(shares), abs=1e-12) and 0 < value < 1
    assert f"{value:.2f}" in (project.folder / report).read_text(encoding="utf-8")

    folder = str(result.parent.relative_to(project.folder))
    made_again = [line for line in project.planned() if line.startswith(folder)]
    assert not made_again
    module.write_text(module.read_text(encoding="utf-8").replace("0.5", "0.25"), encoding="utf-8")
    assert [line for line in project.planned() if line.startswith(folder)]
