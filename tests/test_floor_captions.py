"""A table of errors says in its caption where no model beats the floor, and only there."""

import pandas as pd
import pytest

from tests import made_up
from tests.test_tables import build, cell, rows_of
from timellama.reports.render.floor import unbeaten
from timellama.reports.render.markup import to_markdown
from timellama.reports.render.origin import describe_seeds
from timellama.reports.tables.ablation import ablation_table
from timellama.training.scores.metric_objects import MSE, Metric


def said(*cells, metric=MSE):
    found = unbeaten(pd.DataFrame(cells), metric=metric)
    return found.datasets, found.all, found.best


def test_a_model_below_every_floor_in_one_row_beats_the_floor():
    lost = [cell("dlinear", 0.41, 0.3), cell("rlinear", 0.40, 0.9)]
    assert said(*lost) == (("ETTh1",), True, ("RLinear",))
    won = [cell("dlinear", 0.39, 0.9, horizon=192), cell("rlinear", 0.40, 0.3, horizon=192)]
    assert said(*lost, *won) == ((), False, ())


def test_the_best_floor_counts_and_a_tie_is_no_win():
    floors = [cell("rlinear", 0.42, 0.4), cell("look-back-mean", 0.40, 0.4, floor=True)]
    assert said(cell("dlinear", 0.41, 0.4), *floors) == (("ETTh1",), True, ("look-back-mean",))
    assert said(cell("dlinear", 0.40, 0.4), *floors)[0] == ("ETTh1",)
    assert said(cell("dlinear", 0.3999, 0.4), *floors)[0] == ()


def test_a_row_without_a_model_or_without_a_floor_says_nothing():
    assert said(cell("rlinear", 0.4, 0.4), cell("dlinear", 0.5, 0.4, horizon=192)) == ((), False, ())
    assert said(cell("rlinear", 0.4, 0.4), cell("dlinear", float("nan"), 0.4)) == ((), False, ())
    assert said(cell("rlinear", 0.4, 0.4), cell("dlinear", 0.5, 0.4, context=336)) == ((), False, ())


def test_where_higher_is_better_the_floor_is_the_highest():
    share = Metric(name="mse", label="Share", direction="higher", unit="1", decimals=3)
    assert said(cell("dlinear", 0.5, 0), cell("rlinear", 0.4, 0), metric=share)[0] == ()
    assert said(cell("dlinear", 0.3, 0), cell("rlinear", 0.4, 0), metric=share)[0] == ("ETTh1",)


def test_a_table_of_methods_names_the_data_sets():
    lost = [cell("dlinear", 0.41, 0.3), cell("rlinear", 0.40, 0.9)]
    won = [cell("dlinear", 0.39, 0.9, dataset="ILI"), cell("rlinear", 0.40, 0.3, dataset="ILI")]
    assert "values; no model beats the floor. Bold" in build(lost).caption
    both = build([*lost, *won])
    assert "values; on ETTh1 no model beats the floor. Bold" in both.caption
    assert any("none has a better MSE" in note and "(RLinear)" in note for note in both.notes)
    alone = build(won)
    assert "floor" not in alone.caption and not any("No model" in note for note in alone.notes)


def runs(variant, errors, **changes):
    more = {"label": variant, "n_windows": 2785, "settings": "{}"} | changes
    return [made_up.row(variant, seed=seed, mse=error, **more) for seed, error in enumerate(errors)]


def variants(full, floor):
    frame = pd.DataFrame(
        [
            *runs("time-llama", full, backbone="SmolLM2-135M x6"),
            *runs("time-llama-3", [error + 0.1 for error in full], backbone="SmolLM2-135M x6"),
            *runs("seasonal-naive", [floor], floor=True),
        ]
    )
    names = ("time-llama", "time-llama-3", "seasonal-naive", "look-back-mean")
    return ablation_table(
        frame,
        title="Ablation.",
        label="tab:x",
        reference="time-llama",
        configuration="cpu",
        planned=[("ETTh1", 512, 96, name) for name in names],
        labels={"look-back-mean": "Look-back mean"},
        floors=("seasonal-naive", "look-back-mean"),
    )


@pytest.mark.parametrize(("floor", "beaten"), [(0.3, False), (0.5, True)])
def test_a_table_of_variants_has_its_floors_last_after_a_rule(floor, beaten):
    table = variants([0.4, 0.42], floor)
    models, floors = table.blocks[0].groups
    assert [entry[0][0].text for entry in models] == ["time-llama", "time-llama-3"]
    assert [entry[0][0].text for entry in floors] == ["seasonal-naive", "Look-back mean"]
    mark = f"<u>{floor:.3f}</u>" if beaten else f"**{floor:.3f}**"
    assert rows_of(to_markdown(table))[4][2] == mark, "marks rank models and floors together"
    assert ("Ablation; no model beats the floor." in table.caption) is not beaten


def test_methods_without_training_do_not_change_the_seeds_described():
    trained = [cell("dlinear", 0.4, 0.4, seeds=(0, 1, 2))]
    floor = [cell("seasonal-naive", 0.4, 0.4, seeds=(0,))]
    assert describe_seeds(pd.DataFrame(trained + floor)) == "Seeds: 0, 1 and 2."
    assert describe_seeds(pd.DataFrame(floor)) == "Seed: 0."
