# ruff: noqa: RUF001 -- minus signs and dashes are what the table prints
"""The paper's numbers beside ours: hand-computed gaps in one line, what is left out, other settings, and its pages."""

import itertools
import json
import re
import shutil
import subprocess

import pytest

from tests.made_up import document
from timellama.reports.registry import built, reports
from timellama.reports.render.markup import to_latex, to_markdown
from timellama.reports.report import ReportContext

METHODS = {
    "time-llama": {"label": "Time-LlaMA", "floor": False},
    "time-llm": {"label": "Time-LLM", "floor": False},
    "dlinear": {"label": "DLinear", "floor": False},
    "rlinear": {"label": "RLinear", "floor": True},
}
PAPER = (  # the paper has neither RLinear nor ILI
    ("ETTh1", 96, "Time-LlaMA", 0.377, 0.398),
    ("ETTh1", 96, "Time-LLM", 0.386, 0.409),
    ("ETTh1", 96, "DLinear", 0.375, 0.399),
    ("ETTh1", 192, "DLinear", 0.405, 0.416),
)
SETTINGS = (("DLinear", "ETTh1", 336, "", ""), ("Time-LlaMA", "", "", "Llama-2-7B", 8))
BACKBONE = {"name": "SmolLM2-135M", "blocks": 6, "pin": "abc", "weights": "pretrained"}
CELL = ("ETTh1", 512, 96)


@pytest.fixture
def made(tmp_path):
    """The table from (data set, look-back, horizon, variant): MSE of each seed; the MAE is 0.1 higher."""
    published, settings = tmp_path / "table1_long_term.csv", tmp_path / "settings.csv"
    rows = [("dataset", "horizon", "method", "mse", "mae"), *PAPER]
    published.write_text("\n".join(",".join(map(str, row)) for row in rows), encoding="utf-8")
    lines = ["table,method,dataset,look_back,backbone,blocks,evidence"]
    lines += [",".join(map(str, ("table1_long_term", *of, "seen"))) for of in SETTINGS]
    settings.write_text("\n".join(lines), encoding="utf-8")

    def build(errors, *, planned=(), backbone=None, **facts):
        paths = []
        for (*cell, variant), of_seeds in errors.items():
            for seed, mse in enumerate(of_seeds):
                dataset, context, horizon = cell
                path = tmp_path / f"{len(paths)}.json"
                own = {"identity": path.stem, "mse": mse, "mae": mse + 0.1, "seed": seed, "backbone": backbone}
                run = {"dataset": dataset, "context": context, "horizon": horizon, "variant": variant}
                path.write_text(json.dumps(document(**run, **own, method=variant)), encoding="utf-8")
                paths.append(path)
        given = {"methods": METHODS, "not_run": [], "generated": [], "remark": "", "configuration": "cpu"}
        given |= {"planned": [*errors, *planned]} | facts
        report = reports({"long_term": {"datasets": {"ETTh1": {}}}})["table_reproduction"]
        files = {"long_term": paths}
        return built(ReportContext(report=report, files=files, published=[published, settings], facts=given))

    return build


def lines(table):
    """The cells of each line below the headings, by panel, and the headings."""
    found = {}
    for block in table.blocks:
        rows = [row for group in block.groups for entry in group for row in entry]
        found[block.title] = [[f"{cell.text}{cell.spread}" for cell in row] for row in rows]
    return found, [cell.text for cell in table.blocks[0].header[0] if cell.text]


def test_ours_the_papers_number_and_the_gap_are_side_by_side_in_one_panel_per_metric(made):
    found, names = lines(made({(*CELL, "time-llama"): (0.37, 0.41), (*CELL, "dlinear"): (0.36,)}))
    assert names == ["Time-LlaMA", "DLinear"] and list(found) == ["MSE", "MAE"]
    # The mean of 0.37 and 0.41 is 0.390, their deviation 0.04 / sqrt(2) = 0.028; 0.390 / 0.377 = 1.0345.
    assert found["MSE"] == [["ETTh1", "96", "512", "0.390±0.028", "0.377†", "+3.4", "0.360", "0.375†", "−4.0"]]
    # 0.490 / 0.398 = 1.2312 and 0.460 / 0.399 = 1.1529
    assert found["MAE"] == [["ETTh1", "96", "512", "0.490±0.028", "0.398†", "+23.1", "0.460", "0.399†", "+15.3"]]


def test_what_the_paper_has_no_number_for_is_only_among_the_flat_numbers(made):
    errors = {(*CELL, "dlinear"): (0.36,), (*CELL, "rlinear"): (0.37,), ("ILI", 96, 24, "dlinear"): (2.0,)}
    why = {"experiment": "long_term", "reason": "ILI is short", "remedy": "none", "backbone": "", "of_data": False}
    cell = {"dataset": "ILI", "context": 96, "horizon": 36, "variant": "dlinear", "label": "DLinear"}
    table = made(errors, impossible=[why | cell])
    found, names = lines(table)
    assert names == ["DLinear"] and [line[0] for line in found["MSE"]] == ["ETTh1"]
    assert not any("ILI" in note for note in table.notes)
    kept = {(row["data_set"], row["method"], row["metric"]): row for row in table.numbers}
    assert len(kept) == 6 and kept["ILI", "DLinear", "mse"]["mean"] == 2.0
    assert kept["ETTh1", "DLinear", "mae"]["published"] == 0.399


def test_a_planned_cell_without_a_result_is_a_dash_beside_the_papers_number(made):
    planned = [(*CELL, "time-llm"), ("ETTh1", 512, 192, "dlinear")]
    errors = {(*CELL, "dlinear"): (0.36,)}
    for facts in ({}, {"not_run": ["Time-LLM"]}):
        table = made(errors, planned=planned, **facts)
        found, names = lines(table)
        assert names == ["DLinear", "Time-LLM"]
        assert found["MSE"][0][6:] == ["–", "0.386", "–"]
        # The paper has no number of Time-LLM at 192 among these.
        assert found["MSE"][1] == ["", "192", "512", "–", "0.405†", "–", "–", "–", "–"]
        heavy = "Not run: Time-LLM, too heavy for this configuration."
        assert (heavy in table.notes) == bool(facts)


def test_a_cell_outside_the_configuration_has_the_papers_number_too(made):
    found, names = lines(made({(*CELL, "time-llama"): (0.39,), ("ETTh1", 512, 192, "dlinear"): (0.4,)}))
    assert names == ["Time-LlaMA", "DLinear"]
    assert found["MSE"][0][3:] == ["0.390", "0.377†", "+3.4", "–", "0.375†", "–"]
    assert found["MSE"][1][3:] == ["–", "–", "–", "0.400", "0.405†", "−1.2"]


def test_a_method_at_another_look_back_has_its_own_columns_in_the_same_line(made):
    errors = {(*CELL, "time-llama"): (0.39,), (*CELL, "dlinear"): (0.36,), ("ETTh1", 336, 96, "dlinear"): (0.375,)}
    found, names = lines(made(errors))
    assert names == ["Time-LlaMA", "DLinear", "DLinear, T 336"]
    assert found["MSE"] == [
        ["ETTh1", "96", "512", "0.390", "0.377†", "+3.4", "0.360", "0.375†", "−4.0", "0.375", "0.375", "0.0"]
    ]


def test_a_paper_number_at_another_look_back_or_with_another_language_model_is_marked_and_explained(made):
    table = made({(*CELL, "time-llama"): (0.39,)}, backbone=BACKBONE, planned=[(*CELL, "dlinear")])
    assert lines(table)[0]["MSE"][0][3:] == ["0.390", "0.377†", "+3.4", "–", "0.375†", "–"]
    [note] = [note for note in table.notes if note.startswith("†")]
    assert "Time-LlaMA with Llama-2-7B x8 (seen)" in note and "DLinear on ETTh1 at look-back 336 (seen)" in note
    same = made({(*CELL, "time-llama"): (0.39,)}, backbone=BACKBONE | {"name": "Llama-2-7B", "blocks": 8})
    assert "†" not in to_markdown(same)
    # Without a run of ours there is no language model of ours to differ from.
    absent = made({("ETTh1", 336, 96, "dlinear"): (0.36,)}, planned=[("ETTh1", 336, 96, "time-llama")])
    assert lines(absent)[0]["MSE"][0][3:] == ["0.360", "0.375", "−4.0", "–", "0.377", "–"]


def test_a_run_that_the_paper_has_no_number_for_gives_no_empty_panels(made):
    table = made({("ILI", 96, 24, "dlinear"): (2.0,)})
    assert len(table.blocks) == 1 and "no number" in to_markdown(table) and len(table.numbers) == 2
    none = made({}, remark="NOT COMPLETE: 1 of 1 runs have no result.")
    main = reports({"long_term": {}})["table_long_term"]
    facts = {"remark": "NOT COMPLETE: 1 of 1 runs have no result."}
    assert none.label != built(ReportContext(report=main, files={}, facts=facts)).label


def test_a_configuration_without_the_papers_data_has_no_such_table():
    assert "table_reproduction" not in reports({"long_term": {"datasets": {"Synthetic": {}}}})


def pages(text, folder) -> list[str]:
    """The size of each page that a table's LaTeX compiles to, and that nothing runs off one."""
    (folder / "a.tex").write_text(text, encoding="utf-8")
    for _ in range(2):
        command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "a.tex"]
        subprocess.run(command, cwd=folder, capture_output=True, check=True, timeout=120)
    log = (folder / "a.log").read_text(errors="replace")
    assert not re.findall(r"^Overfull.*|.*too large for page.*", log, flags=re.MULTILINE)
    given = ["pdfinfo", "-l", "9", folder / "a.pdf"]
    told = subprocess.run(given, capture_output=True, text=True, check=True).stdout
    return re.findall(r"^Page +\d+ size: +(.*?) pts", told, flags=re.MULTILINE)


@pytest.mark.skipif(shutil.which("pdflatex") is None or shutil.which("pdfinfo") is None, reason="needs pdflatex")
def test_the_kept_table_is_one_landscape_page_and_the_papers_whole_table_two(root, tmp_path):
    kept = (root / "docs/reference/cpu/table_reproduction.tex").read_text(encoding="utf-8")
    (first,) = pages(kept, tmp_path)
    width, height = map(float, first.split(" x "))
    assert width > height
    labels = {"time-llama": "Time-LlaMA", "time-llm": "Time-LLM", "gpt4ts": "GPT4TS", "patchtst": "PatchTST"}
    labels |= {"dlinear": "DLinear", "timesnet": "TimesNet"}
    datasets, horizons = ("ETTh1", "ETTm1", "Weather", "ECL", "Traffic"), (96, 192, 336, 720)
    planned = list(itertools.product(datasets, [512], horizons, labels))
    planned += [("ETTh1", 336, horizon, "dlinear") for horizon in horizons]
    paths = []
    for number, ((dataset, context, horizon, variant), seed) in enumerate(itertools.product(planned, (0, 1))):
        path = tmp_path / f"{number}.json"
        run = {"dataset": dataset, "context": context, "horizon": horizon, "variant": variant, "method": variant}
        backbone = BACKBONE | {"name": f"Of {variant}"} if variant in ("time-llama", "time-llm", "gpt4ts") else None
        run |= {"seed": seed, "backbone": backbone, "identity": path.stem}
        path.write_text(json.dumps(document(**run, mse=0.4 + seed / 10)), encoding="utf-8")
        paths.append(path)
    facts = {"methods": {name: {"label": label, "floor": False} for name, label in labels.items()}, "planned": planned}
    facts |= {"not_run": [], "generated": [], "remark": "", "configuration": "paper"}
    report = reports({"long_term": {}})["table_reproduction"]
    published = [root / path for path in report.needs.published]
    table = built(ReportContext(report=report, files={"long_term": paths}, published=published, facts=facts))
    text = to_latex(table)
    assert len(pages(text, tmp_path)) == 2
    assert text.count("Traffic &") == 2 and text.count("{MAE}") == 1, "a panel is not split"
