"""Which language model a number was measured with: in column names, in the plan, and in the paper's settings."""

import pandas as pd
import pytest
import yaml

from tests.refusal import refused
from tests.test_tables import build, cell, rows_of
from timellama.experiments.matrix import make_matrix
from timellama.reports.catalogue import OWN
from timellama.reports.render.markup import to_markdown
from timellama.reports.render.origin import name_columns
from timellama.reports.render.paper_settings import read_paper_settings


def names(*cells):
    frame = pd.DataFrame(cells, columns=["variant", "label", "backbone"])
    return list(name_columns(frame))


def test_methods_on_different_language_models_are_named_with_them():
    ours, theirs, none = ("a", "Time-LlaMA", "Llama-2-7B x8"), ("b", "GPT4TS", "GPT-2 x6"), ("c", "DLinear", "")
    assert names(ours, theirs, none) == ["Time-LlaMA (Llama-2-7B x8)", "GPT4TS (GPT-2 x6)", "DLinear"]
    assert names(ours, ("b", "GPT4TS", "Llama-2-7B x8"), none) == ["Time-LlaMA", "GPT4TS", "DLinear"]
    assert names(ours, ("a", "Time-LlaMA", "Llama-2-7B x4")) == [
        "Time-LlaMA (Llama-2-7B x8)",
        "Time-LlaMA (Llama-2-7B x4)",
    ]


def test_random_weights_are_not_another_language_model_but_are_named_where_needed():
    ours, control = ("a", "Time-LlaMA", "A x6"), ("b", "Random", "A x6 (random weights)")
    assert names(ours, control) == ["Time-LlaMA", "Random"]
    assert names(ours, control, ("c", "GPT4TS", "B x6"))[:2] == ["Time-LlaMA (A x6)", "Random (A x6, random weights)"]
    assert names(ours, ("a", "Time-LlaMA", "A x6 (random weights)"))[1] == "Time-LlaMA (A x6, random weights)"


def test_the_papers_number_is_found_by_the_label_whatever_the_column_is_called():
    cells = [cell("time-llama", 0.4, 0.4), cell("gpt4ts", 0.4, 0.4, backbone="GPT-2 x6", label="GPT4TS")]
    planned = [("ETTh1", 512, 96, "time-llama"), ("ETTh1", 512, 96, "gpt4ts"), ("ETTh1", 512, 192, "gpt4ts")]
    table = build(cells, planned=planned, published={("ETTh1", 192, "GPT4TS"): {"mse": 0.416, "mae": 0.418}})
    lines = rows_of(to_markdown(table))
    assert lines[0][7] == "GPT4TS (GPT-2 x6) MSE"
    assert next(line for line in lines if line[4] == "paper")[7:9] == ["0.416", "0.418"]


NARROW = {"time-llm": {"options": {"features": 16}}}  # the tiny language models are 32 wide


@pytest.fixture
def planned(root):
    """The language models of each method, by variant."""
    smoke = yaml.safe_load((root / "config/smoke.yaml").read_text(encoding="utf-8"))
    grid = {
        "datasets": {"Synthetic": {"context": 96, "horizons": [24]}},
        "methods": ["time-llama", "time-llama-random-frozen", "time-llm", "gpt4ts", "dlinear"],
    }

    def of(*, section=None, **changes):
        config = smoke | {"overrides": NARROW, "experiments": {"long_term": grid | (section or {})}} | changes
        found = {}
        for run in make_matrix(config, root=root).experiment("long_term"):
            if run.backbone:
                described = (run.backbone.name, run.backbone.blocks, run.backbone.weights)
                found.setdefault(run.variant, set()).add(described)
        return found

    return of


def test_baselines_run_on_their_authors_language_model_only_when_requested(planned):
    without = planned()
    assert without == planned(authors_backbones=False)
    assert {models for of in without.values() for models in of if models[2] == "pretrained"} == {
        ("tiny-gpt2", 2, "pretrained")
    }
    own = planned(authors_backbones=True)
    assert own["gpt4ts"] == {("GPT-2", 6, "pretrained")} and own["time-llm"] == {("Llama-7B", 32, "pretrained")}
    for variant in ("time-llama", "time-llama-random-frozen"):
        assert own[variant] == without[variant]


def test_an_experiments_language_models_take_precedence_over_the_authors(planned):
    table_4 = {"backbones": [{"name": "tiny-llama", "blocks": 2, "rank": 4}]}
    found = planned(section=table_4, authors_backbones=True)
    assert found["gpt4ts"] == found["time-llm"] == {("tiny-llama", 2, "pretrained")}


@pytest.mark.parametrize(
    ("backbone", "named"),
    [
        ({}, ("half.backbone", "{}")),
        ({"name": "GPT-2"}, ("half.backbone.name", "blocks")),
        ({"blocks": 6}, ("half.backbone.name", "blocks")),
    ],
)
def test_an_incomplete_language_model_is_refused(planned, backbone, named):
    entry = {"label": "Half", "method": "gpt4ts", "options": {}, "training": {}, "datasets": {}, "source": "a test"}
    methods = {"half": entry | {"floor": False, "citation": "none", "backbone": backbone}}
    with refused(*named):
        planned(methods=methods)


def test_the_kept_settings_are_read_and_name_methods_of_their_table(root):
    path = root / "config/published/settings.csv"
    for table in set(pd.read_csv(path)["table"]):
        published = pd.read_csv(root / f"config/published/{table}.csv")
        found = read_paper_settings(path, table=table)
        assert found and {setting.method for setting in found} <= set(published["method"])
        assert {setting.dataset for setting in found} <= {"", *published["dataset"]}
        assert all(setting.evidence for setting in found)
    assert str(path.relative_to(root)) in next(r for r in OWN if r.name == "table_reproduction").needs.published


@pytest.mark.parametrize("line", ["t,DLinear,,,,,seen", "t,DLinear,,336,A,6,seen", "t,DLinear,,,A,,seen"])
def test_a_line_without_exactly_one_setting_is_refused(tmp_path, line):
    path = tmp_path / "settings.csv"
    path.write_text(f"table,method,dataset,look_back,backbone,blocks,evidence\n{line}\n", encoding="utf-8")
    with refused(path, "DLinear", "look_back", "backbone"):
        read_paper_settings(path, table="t")
