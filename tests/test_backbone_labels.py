"""Which language model a number was measured with: in column names, in the plan, and on the paper's numbers."""

import pandas as pd
import pytest
import yaml

from tests.refusal import refused
from tests.test_tables import build, cell, rows_of
from timellama.experiments.matrix import make_matrix
from timellama.reports.catalogue import OWN
from timellama.reports.render.markup import to_latex, to_markdown
from timellama.reports.render.origin import name_columns
from timellama.reports.render.paper_settings import PaperSetting, read_paper_settings


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


SETTINGS = (
    PaperSetting(method="DLinear", dataset="ETTh1", look_back=336, backbone="", evidence="seen"),
    PaperSetting(method="Time-LlaMA", dataset="", look_back=None, backbone="Llama-2-7B x8", evidence="said"),
)
PAPER = {"mse_paper": 0.375, "mae_paper": 0.399, "mse_gap": 1.0, "mae_gap": 1.0}


def paper_line(*cells, **changes):
    table = build(list(cells), settings=SETTINGS, **changes)
    return table, [line[5:] for line in rows_of(to_markdown(table)) if line[4] == "paper"]


def test_a_paper_number_at_another_look_back_is_marked_and_explained():
    table, lines = paper_line(cell("dlinear", 0.3, 0.3, **PAPER), cell("dlinear", 0.3, 0.3, context=336, **PAPER))
    assert lines == [["0.375<sub>†</sub>", "0.399<sub>†</sub>"], ["0.375", "0.399"]]
    [note] = [note for note in table.notes if note.startswith("†")]
    assert "DLinear on ETTh1 at look-back 336 (seen)" in note and "Llama" not in note
    assert r"\ensuremath{\dagger}" in to_latex(table)


def test_a_paper_number_with_another_language_model_is_marked_and_explained():
    table, lines = paper_line(cell("time-llama", 0.3, 0.3, **PAPER))
    assert lines == [["0.375<sub>†</sub>", "0.399<sub>†</sub>"]]
    assert any("Time-LlaMA with Llama-2-7B x8 (said)" in note for note in table.notes)
    same, lines = paper_line(cell("time-llama", 0.3, 0.3, backbone="Llama-2-7B x8", **PAPER))
    assert lines == [["0.375", "0.399"]] and not any("†" in note for note in same.notes)


def test_a_paper_number_without_a_run_of_ours_is_marked_only_by_its_look_back():
    numbers = {("ETTh1", 96, name): {"mse": 0.375, "mae": 0.399} for name in ("DLinear", "Time-LlaMA")}
    planned = [("ETTh1", 512, 96, name) for name in ("rlinear", "DLinear", "Time-LlaMA")]
    _, lines = paper_line(cell("rlinear", 0.3, 0.3), planned=planned, published=numbers)
    assert lines[0] == ["0.375<sub>†</sub>", "0.399<sub>†</sub>", "0.375", "0.399"]


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
