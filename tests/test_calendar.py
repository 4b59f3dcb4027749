"""The calendar from a configuration to a run: which methods get it, under which identity, in parts and in memory."""

import dataclasses
import json

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from tests import made_up
from tests.refusal import refused
from timellama.core.schema import load_yaml
from timellama.cost import job_limits, workload
from timellama.cost.flops import count
from timellama.data.catalogue.calendar import features_of
from timellama.data.catalogue.entries import Datasets
from timellama.data.windows import SplitWindows
from timellama.experiments import matrix as plan_module
from timellama.experiments.matrix import make_matrix
from timellama.experiments.memory import Fit, pass_bytes, weight_bounds
from timellama.experiments.run import Run
from timellama.methods.forecaster import as_forecaster
from timellama.methods.itransformer import ITransformerOptions
from timellama.methods.timesnet import TimesNetOptions
from timellama.reports.failures import with_remarks
from timellama.reports.render.cells import Table
from timellama.reports.report_facts import report_facts
from timellama.training.build import build
from timellama.training.scores.evaluation import evaluate
from timellama.training.scores.predictions import predictions
from timellama.training.steps.step import gradients

HOURLY = features_of("h")
METHODS = ["itransformer", "timesnet", "dlinear", "patchtst"]


@pytest.fixture
def plan(root, monkeypatch):
    """The plan of four methods on ETTh1, with `setting` in the configuration and `entry` in the catalogue."""
    config = yaml.safe_load((root / "config/smoke.yaml").read_text(encoding="utf-8"))
    load = plan_module.load_datasets

    def made(setting: dict | None = None, entry: dict | None = None, dataset: str = "ETTh1", **sizes):
        sizes = {"context": 96, "horizons": [24]} | sizes | (setting or {})
        section = {"datasets": {dataset: sizes}, "methods": METHODS}
        catalogue = load(root)
        catalogue[dataset] = dataclasses.replace(catalogue[dataset], **entry or {})
        monkeypatch.setattr(plan_module, "load_datasets", lambda _: catalogue)
        return make_matrix(config | {"seeds": [0], "experiments": {"long_term": section}}, root=root)

    return made


def test_only_methods_that_read_the_calendar_become_other_runs(plan):
    without, off, on = (
        {run.variant: run for run in plan(setting).every_run().values()}
        for setting in ({}, {"calendar": False}, {"calendar": True})
    )
    assert without == off and not any("calendar" in run.to_json() for run in off.values())
    changed = {variant for variant, run in on.items() if run.folder != off[variant].folder}
    assert changed == {"itransformer", "timesnet"}
    assert on["itransformer"].calendar == HOURLY and on["itransformer"].columns == 7 + 4
    assert Run.from_json(on["timesnet"].to_json()) == on["timesnet"]


def test_the_catalogues_setting_applies_where_the_configuration_has_none(plan):
    entry = {"calendar": True}
    of_setting, of_entry = ({**plan(setting=entry).every_run()}, {**plan(entry=entry).every_run()})
    assert list(of_setting) == list(of_entry)
    assert list(plan({"calendar": False}, entry).every_run()) == list(plan().every_run())
    assert any(run.calendar for run in of_entry.values())


def test_another_zone_is_another_run(plan):
    from timellama.data.catalogue.reading import Reading

    runs = [plan({"calendar": True}, {"reading": Reading(zone=zone)}).every_run() for zone in ("UTC", "Europe/Berlin")]
    first, second = ({run.variant: run for run in each.values()}["itransformer"] for each in runs)
    assert (first.zone, second.zone) == ("UTC", "Europe/Berlin") and first.digest != second.digest


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (
            {"dataset": "M4-Hourly", "context": 96, "horizons": [48]},
            ("M4-Hourly",),
        ),
        ({"entry": {"frequency": "step"}}, ("ETTh1",)),
        ({"entry": {"frequency": "YE"}}, ("ETTh1", "'YE'")),
    ],
)
def test_data_without_a_calendar_are_refused_with_the_remedy(plan, given, named):
    with refused("experiments.long_term", "calendar", "false", *named):
        plan({"calendar": True}, **given)


def test_an_entry_that_cannot_have_a_calendar_is_refused(root, tmp_path):
    content = yaml.safe_load((root / "config/datasets.yaml").read_text(encoding="utf-8"))
    content["datasets"] = {name: content["datasets"][name] | {"calendar": True} for name in ("ETTh1", "M4-Weekly")}
    path = tmp_path / "datasets.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with refused("datasets.M4-Weekly.calendar", "false") as told:
        load_yaml(path, Datasets)
    assert "ETTh1" not in str(told.value)


def test_a_table_says_which_methods_were_given_the_calendar(plan):
    bare = Table(columns="l", blocks=(), notes=("Before.",), caption="", label="")
    facts = report_facts(plan({"calendar": True}), "long_term", absent=())
    said = "Also given calendar features: iTransformer (ETTh1); TimesNet (ETTh1)."
    assert with_remarks(bare, facts | {"remark": ""}).notes == ("Before.", said)
    assert "calendar" not in report_facts(plan(), "long_term", absent=())


def test_memory_and_work_count_the_tokens_of_the_calendar(plan):
    off, on = (
        {run.variant: run for run in plan({"calendar": wanted}).every_run().values()} for wanted in (False, True)
    )
    plain, run = off["itransformer"], on["itransformer"]
    options = run.options
    # A layer has 7 + 4 tokens, each with 10 D + 4 F numbers and a score for each pair in each head, four bytes each.
    kept = 10 * options.width + 4 * options.feed_forward + 4 * options.heads * (7 + 4)
    window = (7 + 4) * kept * 4
    assert pass_bytes(run, width=None, fit=Fit(forecast_windows=1, recompute=True)) >= window
    forecasts = dataclasses.replace(run, training=None)
    assert pass_bytes(forecasts, width=None, fit=Fit(forecast_windows=3)) == 3 * window
    costs = {
        each: count(workload.shape_run(each), shape=None) for each in (plain, run, off["timesnet"], on["timesnet"])
    }
    # Embedding takes T D products per token, and all B (N + C) tokens pass through it and the layers.
    assert costs[run].trained == costs[plain].trained and costs[run].forecast.flops > costs[plain].forecast.flops * 1.4
    of_map = 4 * on["timesnet"].options.width
    assert costs[on["timesnet"]].trained - costs[off["timesnet"]].trained == of_map
    bounds = [weight_bounds(each["timesnet"], width=None)[1] for each in (off, on)]
    assert bounds[1] - bounds[0] == 9 * 4 * of_map  # nine numbers of four bytes per trained parameter
    asked = [job_limits.memory(each, rows=10**6, width=None, cuda=False)["host"] for each in (plain, run)]
    assert asked[1] - asked[0] >= 4 * 3 * 8  # MB: four columns of a million rows


class Alone(nn.Module):
    """A method from outside the package that forecasts each variate from itself and the calendar."""

    def __init__(self, *, context: int, horizon: int, calendar: int):
        super().__init__()
        self.calendar_columns = calendar
        self.values, self.marks = nn.Linear(context, horizon), nn.Linear(context * calendar, horizon)

    def forward(self, x):
        values, marks = x[..., : x.shape[2] - self.calendar_columns], x[..., x.shape[2] - self.calendar_columns :]
        return self.values(values.transpose(1, 2)).transpose(1, 2) + self.marks(marks.flatten(1))[..., None]


@pytest.fixture
def windows() -> SplitWindows:
    torch.manual_seed(0)
    return SplitWindows(rows=torch.randn(60, 3 + 4), context=10, horizon=6, calendar=4)


def test_parts_of_a_batch_have_the_calendar_of_their_windows(windows):
    model = as_forecaster(Alone(context=10, horizon=6, calendar=4), calendar=4)
    given = {"indices": torch.arange(20), "batch_size": 8, "device": "cpu", "precision": "float32"}
    whole, parts = (
        torch.cat([forecast for _, forecast, _, _ in predictions(model, windows, **given, fit=fit)])
        for fit in (Fit(), Fit(forecast_series=5))
    )
    assert whole.shape == (20, 6, 3)
    torch.testing.assert_close(parts, whole)
    x, y = windows.batch(torch.arange(7))
    found = []
    for series in (None, 4):
        model.zero_grad()
        settings = {"loss": "mse", "balance_weight": 0.0, "device": "cpu", "precision": "float32"}
        loss, _ = gradients(model, x, y, series=series, **settings)
        found.append([loss, *(parameter.grad.clone() for parameter in model.parameters())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
    assert found[0][-1].abs().sum() > 0


def test_a_user_supplied_network_that_requests_a_calendar_gets_one():
    from timellama.methods.registry import method_of

    found = method_of(f"{__name__}:Alone")
    assert found.calendar and found.options() == type(found.options())()


def test_errors_and_shown_forecasts_cover_only_the_variates():
    """Two variates and four calendar columns: none of the columns may be shown as a third variate."""
    torch.manual_seed(0)
    windows = SplitWindows(rows=torch.randn(60, 2 + 4), context=10, horizon=6, calendar=4)
    model = as_forecaster(Alone(context=10, horizon=6, calendar=4), calendar=4)
    made = evaluate(model, windows, columns=["a", "b"], batch_size=16, device="cpu", precision="float32")
    assert {name: made.shown[name].shape for name in ("context", "truth", "forecast")} == {
        "context": (3, 10, 2),
        "truth": (3, 6, 2),
        "forecast": (3, 6, 2),
    }
    x, y = windows.batch(torch.arange(len(windows)))
    with torch.no_grad():
        assert made.errors["mse"] == pytest.approx((model(x) - y).double().square().mean().item(), rel=1e-6)


@pytest.mark.parametrize(("method", "options"), [("itransformer", ITransformerOptions), ("timesnet", TimesNetOptions)])
def test_a_run_learns_what_only_the_calendar_shows(sample_run, tmp_path, method, options):
    """Both series are noise that falls by six deviations at noon: six hours do not show when, but the clock does."""
    rows = 24 * 100
    time = np.datetime64("2024-01-01", "s") + np.arange(rows) * np.timedelta64(3600, "s")
    hour = np.arange(rows) % 24
    noise = np.random.default_rng(0).normal(size=(rows, 2))
    values = noise + np.where(hour < 12, 6.0, 0.0)[:, None]
    series = made_up.walk(tmp_path / "series.npz", rows, values=values, time=time, sha256=sample_run.data_sha256)
    small = {"width": 16, "feed_forward": 16} | (
        {"layers": 1, "kernels": 2, "periods": 2} if method == "timesnet" else {}
    )
    plain = made_up.small(
        sample_run, variant=method, method=method, options=options(**small), context=6, horizon=4, season=24
    )
    training = dataclasses.replace(
        plain.training, max_steps=300, learning_rate=0.005, batch_size=32, schedule="constant"
    )
    errors = []
    for calendar in ((), HOURLY):
        run = dataclasses.replace(plain, calendar=calendar, training=training)
        made_up.carry_out(run, tmp_path / run.digest, series=series, kept=tmp_path / f"kept-{run.digest}")
        metrics = json.loads((tmp_path / run.digest / "metrics.json").read_text(encoding="utf-8"))
        errors.append(metrics["mse"])
        assert metrics["run"].get("calendar", []) == list(calendar)
    assert errors[1] < 0.85 * errors[0], errors


def test_without_a_calendar_a_network_has_no_calendar_weights(sample_run):
    run = made_up.small(sample_run, method="timesnet", options=TimesNetOptions())
    torch.manual_seed(0)
    model = build(run, backbone_folder=None)
    assert model.calendar == 0 and not any("marks" in name for name in model.state_dict())
