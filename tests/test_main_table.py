"""The main table: all methods side by side, hand-computed averages, marks that include the controls, one page."""

import json
import shutil
import subprocess

import pytest

from tests.made_up import document
from timellama.reports.registry import built, reports
from timellama.reports.render.markup import to_latex, to_markdown
from timellama.reports.render.table_pdf import compiled
from timellama.reports.report import ReportContext

METHODS = {
    "time-llama": {"label": "Time-LlaMA", "floor": False},
    "dlinear": {"label": "DLinear", "floor": False},
    "rlinear": {"label": "RLinear", "floor": True},
}
MSE = {("time-llama", 96): 0.375, ("time-llama", 192): 0.425, ("dlinear", 96): 0.380, ("rlinear", 96): 0.370}
FACTS = {
    "configuration": "cpu",
    "backbone": "SmolLM2-135M x6",
    "methods": METHODS,
    "planned": [("ETTh1", 512, horizon, variant) for horizon in (96, 192) for variant in METHODS],
    "not_run": [],
    "generated": [],
    "remark": "",
}


@pytest.fixture
def table(tmp_path):
    paths = []
    for (variant, horizon), mse in MSE.items():
        path = tmp_path / f"{variant}-{horizon}.json"
        made = document(variant=variant, method=variant, horizon=horizon, identity=path.stem, mse=mse, mae=mse + 0.1)
        path.write_text(json.dumps(made), encoding="utf-8")
        paths.append(path)
    report = reports({"long_term": {}})["table_long_term"]
    return built(ReportContext(report=report, files={"long_term": paths}, facts=FACTS))


def lines(table):
    rows = [line for line in to_markdown(table).splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_rows_are_horizons_and_their_mean_where_none_is_missing(table):
    first, second, average = lines(table)
    assert first[:3] == ["ETTh1", "96", "512"] and second[:3] == ["", "192", "512"] and average[:2] == ["", "Avg"]
    # Columns: MSE and MAE of Time-LlaMA, DLinear and, after the rule, RLinear.
    assert first[3::2] == ["<u>0.375</u>", "0.380", "**0.370**"]
    assert second[3::2] == ["0.425", "\N{EN DASH}", "\N{EN DASH}"]
    assert average[3::2] == ["0.400", "\N{EN DASH}", "\N{EN DASH}"], "(0.375 + 0.425) / 2; one horizon has no average"
    assert table.rule == 7 and table.columns == "lrr" + "rr" * 3


def test_a_note_appears_only_where_the_table_has_what_it_explains(table, tmp_path):
    whole = " ".join([table.caption, *table.notes])
    parts = ("Avg:", "Right of the rule", "Bold is", "table_reproduction")
    assert [part in whole for part in parts] == [True, True, True, False], "one seed, and no number of the paper"
    paths = [tmp_path / "time-llama-96.json", tmp_path / "dlinear-96.json"]
    methods = {name: METHODS[name] for name in ("time-llama", "dlinear")}
    facts = FACTS | {"methods": methods, "planned": [("ETTh1", 512, 96, variant) for variant in methods]}
    report = reports({"long_term": {}})["table_long_term"]
    two = built(ReportContext(report=report, files={"long_term": paths}, facts=facts))
    one = built(ReportContext(report=report, files={"long_term": paths[:1]}, facts=facts))
    assert [part in " ".join([two.caption, *two.notes]) for part in parts] == [False, False, True, False]
    assert "Bold is" not in one.caption


def test_the_table_says_where_deviations_and_the_papers_numbers_are(tmp_path):
    paths = [tmp_path / f"{seed}.json" for seed in (0, 1)]
    for seed, path in enumerate(paths):
        path.write_text(json.dumps(document(seed=seed, identity=path.stem)), encoding="utf-8")
    published = tmp_path / "published.csv"
    published.write_text("dataset,horizon,method,mse,mae\nETTh1,96,DLinear,0.4,0.4\n", encoding="utf-8")
    report = reports({"long_term": {}})["table_long_term"]
    for files, given, there in ((paths, [], [True, False]), (paths[:1], [published], [False, True])):
        made = built(ReportContext(report=report, files={"long_term": files}, published=given, facts=FACTS))
        assert [part in made.notes[-1] for part in ("table_long_term.csv", "table_reproduction")] == there


def test_a_language_model_that_the_table_names_has_a_note(tmp_path):
    backbone = {"name": "SmolLM2-135M", "blocks": 6, "pin": "abc", "weights": "pretrained"}
    facts = FACTS | {"models": {"SmolLM2-135M": "a stand-in.", "Llama-2-7B": "the paper's."}}
    report = reports({"long_term": {}})["table_long_term"]
    for variant, of, notes in (("time-llama", backbone, 1), ("dlinear", None, 0)):
        path = tmp_path / f"{variant}.json"
        path.write_text(json.dumps(document(variant=variant, method=variant, backbone=of)), encoding="utf-8")
        made = built(ReportContext(report=report, files={"long_term": [path]}, facts=facts))
        assert [note for note in made.notes if " is " in note].count("SmolLM2-135M is a stand-in.") == notes
        assert not any("Llama-2-7B" in note for note in made.notes)


@pytest.mark.skipif(shutil.which("pdflatex") is None or shutil.which("pdfinfo") is None, reason="needs pdflatex")
def test_the_table_is_one_landscape_page(table, tmp_path):
    (tmp_path / "a.tex").write_text(to_latex(table), encoding="utf-8")
    compiled(tmp_path / "a.tex", tmp_path / "a.pdf")
    facts = subprocess.run(["pdfinfo", tmp_path / "a.pdf"], capture_output=True, text=True, check=True).stdout
    size = next(line for line in facts.splitlines() if line.startswith("Page size")).split()
    assert "Pages:           1" in facts and float(size[2]) > float(size[4])


def test_controls_of_the_language_model_follow_the_rule_under_short_names(tmp_path):
    control = {"time-llama-none": {"label": "Time-LlaMA, no LLM", "floor": False}}
    methods = {"time-llama": METHODS["time-llama"]} | control | METHODS
    paths = []
    for place, variant in enumerate(methods):
        path = tmp_path / f"{variant}.json"
        path.write_text(json.dumps(document(variant=variant, method=variant, identity=variant, mse=0.3 + place / 100)))
        paths.append(path)
    report = reports({"long_term": {}})["table_long_term"]
    planned = [("ETTh1", 512, 96, variant) for variant in methods]
    facts = FACTS | {"methods": methods, "planned": planned}
    made = built(ReportContext(report=report, files={"long_term": paths}, facts=facts))
    assert [cell.text for cell in made.blocks[0].header[0][3:]] == ["Time-LlaMA", "DLinear", "no LLM", "RLinear"]
    assert made.rule == 7 and lines(made)[0][3::2] == ["**0.300**", "0.320", "<u>0.310</u>", "0.330"]
