# ruff: noqa: RUF001 -- minus signs and dashes are what the tables print
"""Tables show hand-computed numbers, marks, gaps and provenance, the same in LaTeX and Markdown."""

import itertools
import json
import math
import re
import shutil
import subprocess

import pandas as pd
import pytest

from tests import made_up
from tests.refusal import refused
from timellama.experiments.impossible_cells import ImpossibleCell
from timellama.reports.render.cells import Table
from timellama.reports.render.dashes import Reasons
from timellama.reports.render.markup import to_latex, to_markdown
from timellama.reports.render.table_model import errors_table, marks, panels, short_term
from timellama.reports.tables.ablation import ablation_table, collapsed, pooled, speed, trainable
from timellama.reports.tables.datasets import dataset_table
from timellama.reports.tables.experiment import FEW_SHOT, LONG_TERM
from timellama.reports.tables.of_experiments import of_whole_series, with_overall

NAN = math.nan
LABELS = {"time-llama": "Time-LlaMA", "dlinear": "DLinear", "patchtst": "PatchTST", "rlinear": "RLinear"}
needs_latex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")


def cell(variant, mse, mae, **changes):
    """One row of a summary."""
    named = {"label": LABELS.get(variant, variant), "floor": variant == "rlinear"}
    named["backbone"] = "SmolLM2-135M x6" if variant == "time-llama" else ""
    return made_up.summary(variant, mse=mse, mae=mae, **named | changes)


def rows_of(markdown):
    """The cells of each line of the tables in a Markdown text, marks and spreads kept."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return [[text.strip() for text in line.strip("|").split("|")] for line in lines]


def build(cells, planned=None, **changes):
    planned = planned or [(c["dataset"], c["context"], c["horizon"], c["variant"]) for c in cells]
    given = {"heading": LONG_TERM, "configuration": "cpu"} | changes
    return errors_table(pd.DataFrame(cells), planned=planned, **given)


def told(table):
    """Caption and notes as one text."""
    return "\n".join([table.caption, *table.notes])


def test_marks_are_on_the_best_and_the_second_best():
    assert marks(["0.2", "0.1", "0.3"]) == ["second", "best", ""]
    assert marks(["0.1", "0.1", "0.2", "0.2", "0.3"]) == ["best", "best", "second", "second", ""]
    assert marks(["–", "0.2", "0.1"]) == ["", "second", "best"]
    assert marks(["0.1", "–"]) == ["", ""]
    assert marks(["−0.1", "0.1"]) == ["best", "second"]


def test_panels_are_balanced():
    assert panels(list("abcde"), 4) == [["a", "b"], ["c", "d", "e"]]
    assert panels(list("abcd"), 4) == [list("abcd")]
    assert panels([], 4) == []


def test_marks_count_the_floor_and_compare_what_is_printed():
    table = build([cell("time-llama", 0.3771, 0.4), cell("dlinear", 0.3769, 0.39), cell("rlinear", 0.371, 0.38)])
    header, _, ours, *_, floor = rows_of(to_markdown(table))
    assert header[5:] == ["Time-LlaMA MSE", "Time-LlaMA MAE", "DLinear MSE", "DLinear MAE"]
    assert ours[:5] == ["ETTh1", "96", "512", "2785", "ours"]
    assert ours[5:] == [
        "<u>0.377</u><sub>±0.001</sub>",
        "0.400<sub>±0.003</sub>",
        "<u>0.377</u><sub>±0.001</sub>",
        "<u>0.390</u><sub>±0.003</sub>",
    ]
    assert floor[5:] == ["**0.371**<sub>±0.001</sub>", "**0.380**<sub>±0.003</sub>", "", ""]


def test_paper_and_gap_lines_appear_only_where_the_paper_has_a_number():
    paper = {"mse_paper": 0.375, "mae_paper": 0.4, "mse_gap": 4.04, "mae_gap": -0.02}
    table = build([cell("time-llama", 0.39, 0.4), cell("dlinear", 0.39015, 0.39, **paper), cell("rlinear", 0.4, 0.4)])
    lines = rows_of(to_markdown(table))
    assert lines[3] == ["", "", "", "", "paper", "–", "–", "0.375", "0.400"]
    assert lines[4] == ["", "", "", "", "gap %", "–", "–", "+4.0", "0.0"]
    assert [line[4] for line in lines].count("paper") == 1


def test_one_seed_shows_no_spread():
    table = build([cell("time-llama", 0.39, 0.4, mse_std=NAN, mae_std=NAN, seeds=(3,))])
    assert "±" not in to_markdown(table)
    assert "Seed: 3." in told(table)


def test_missing_and_extra_cells_are_dashes():
    planned = [("ETTh1", 512, 96, v) for v in ("time-llama", "dlinear", "patchtst")] + [("ETTh1", 336, 96, "dlinear")]
    table = build([cell("time-llama", 0.39, 0.4), cell("dlinear", 0.38, 0.41, context=336)], planned)
    header, _, main, extra = rows_of(to_markdown(table))
    assert header[5::2] == ["Time-LlaMA MSE", "DLinear MSE", "patchtst MSE"]
    assert main[2] == "512"
    assert main[5:] == ["0.390<sub>±0.001</sub>", "0.400<sub>±0.003</sub>", "–", "–", "–", "–"]
    assert extra[:5] == ["", "96", "336", "2785", "ours"]
    assert extra[5:] == ["–", "–", "0.380<sub>±0.001</sub>", "0.410<sub>±0.003</sub>", "–", "–"]
    assert table.notes[:2] == (
        "Not complete: 2 of 4 planned cells have no result. No result yet: DLinear and patchtst on ETTh1 (T 512). "
        "See table_failures.",
        "Not in this configuration: Time-LlaMA and patchtst on ETTh1 (T 336).",
    )


def test_a_method_that_is_too_heavy_is_shown_as_not_run_where_others_have_results():
    planned = [("ETTh1", 512, h, v) for h in (96, 720) for v in ("time-llama", "Time-LLM", "dlinear")]
    cells = [cell("time-llama", 0.39, 0.4), cell("dlinear", 0.38, 0.41)]
    window = {"experiment": "long_term", "dataset": "ETTh1", "context": 512, "horizon": 720, "of_data": True}
    why = {"reason": "ETTh1 has no window", "remedy": "more rows"}
    reasons = Reasons(impossible=[ImpossibleCell(**window, **why, variant="dlinear", label="DLinear")])
    table = build(cells, planned, not_run=["Time-LLM"], reasons=reasons)
    short, long = rows_of(to_markdown(table))[2:]
    assert [short[5], *short[7:10]] == ["<u>0.390</u><sub>±0.001</sub>", "not run", "", "**0.380**<sub>±0.001</sub>"]
    assert long[3:] == ["–", "ours", *["–"] * 6], "too few rows for a window is another reason"
    assert table.notes[0] == "Not run: Time-LLM, too heavy for this configuration."
    assert table.notes[1] == "Not possible. Every method: ETTh1 has no window."
    assert not any("Not complete" in note or "Not in this" in note for note in table.notes)
    assert r"\multicolumn{2}{l}{not run}" in to_latex(table)


def test_the_papers_numbers_are_shown_even_where_ours_are_missing():
    planned = [("ETTh1", 512, 96, v) for v in ("time-llama", "Time-LLM", "PatchTST")]
    planned += [("ETTh1", 336, 96, "PatchTST")]
    published = {
        ("ETTh1", 96, name): {"mse": mse, "mae": 0.409} for name, mse in (("Time-LLM", 0.386), ("PatchTST", 0.378))
    }
    table = build(
        [cell("time-llama", 0.39, 0.4, mse_paper=0.377, mae_paper=0.4, mse_gap=3.4, mae_gap=0.0)],
        planned,
        not_run=["Time-LLM"],
        published=published,
    )
    assert "Paper: its table 1" in told(table)
    ours, paper, gap, other, below = rows_of(to_markdown(table))[2:7]
    assert ours[7:11] == ["not run", "", "–", "–"]
    assert paper[4:11] == ["paper", "0.377", "0.400", "0.386", "0.409", "0.378", "0.409"]
    assert gap[4:] == ["gap %", "+3.4", "0.0", "–", "–", "–", "–"]
    assert other[2:] == ["336", "2785", "ours", *["–"] * 6]
    assert below[4:] == ["paper", "–", "–", "–", "–", "0.378", "0.409"], "there is no gap without a result of ours"


def test_rows_follow_the_plan():
    cells = [cell("dlinear", 0.1, 0.1, dataset=d, horizon=h) for d in ("Weather", "ETTh1") for h in (720, 96)]
    lines = rows_of(to_markdown(build(cells)))[2:]
    assert [line[:2] for line in lines] == [["Weather", "96"], ["", "720"], ["ETTh1", "96"], ["", "720"]]


def test_panels_of_a_long_floor_have_distinct_headings():
    floor = [cell(f"floor-{number}", 0.4, 0.4, floor=True) for number in range(9)]
    titles = [block.title for block in build([cell("dlinear", 0.1, 0.1), *floor]).blocks]
    assert len(titles) == 4 == len(set(titles))


def test_more_than_four_methods_are_split_into_panels():
    names = [f"m{number}" for number in range(6)]
    table = build([cell(name, 0.1 * number + 0.1, 0.5) for number, name in enumerate(names)])
    assert len(table.blocks) == 2
    assert table.columns == "lrrrl" + "l" * 6
    ours = [line for line in rows_of(to_markdown(table)) if "ours" in line]
    assert [line[5].split("<sub>")[0] for line in ours] == ["**0.100**", "0.400"]
    assert "0.200" in ours[0][7]
    assert "<u>" in ours[0][7]


def test_several_backbones_are_separate_columns():
    cells = [cell("time-llama", 0.3, 0.3, backbone=b) for b in ("gpt2 x2", "tiny x2 (random weights)")]
    table = build(cells)
    header = rows_of(to_markdown(table))[0]
    assert header[5::2] == ["Time-LlaMA (gpt2 x2) MSE", "Time-LlaMA (tiny x2, random weights) MSE"]
    # Beside a pretrained one, random weights are a control and not a test of the code.
    assert "has learned no language" not in told(table)
    assert "has learned no language" in told(build(cells[1:]))


def test_two_variants_with_the_same_label_are_distinguished():
    table = build([cell("a", 0.3, 0.3, label="Same"), cell("b", 0.4, 0.3, label="Same")])
    assert rows_of(to_markdown(table))[0][5::2] == ["Same (a) MSE", "Same (b) MSE"]


def test_the_notes_say_where_the_numbers_come_from():
    cells = [
        cell("time-llama", 0.3, 0.3, dataset="Made_up", commits=("abcdef0 + uncommitted changes", "1234567")),
        cell("rlinear", 0.3, 0.3, dataset="Made_up", seeds=(0,), context=336),
    ]
    text = told(build(cells, generated=["Made_up", "Other"], configuration="my_own"))
    for sentence in (
        "Configuration: my_own.",
        "Backbone (name x blocks): SmolLM2-135M x6.",
        "Generated data, not measurements: Made_up.",
        "Look-back T: 336 and 512 steps.",
        "Seeds: 0 and 1 (Time-LlaMA); 0 (RLinear).",
        "Precision: float32, on cpu.",
        "Code: these runs come from 3 different versions: commits 1234567, abcdef0 and abcdef0 + uncommitted changes.",
        "standard deviation (n − 1)",
    ):
        assert sentence in text
    seeds = told(build([cell("dlinear", 1, 1), cell("rlinear", 1, 1), cell("dlinear", 1, 1, horizon=192, seeds=(1,))]))
    assert "Seeds: 0 and 1 (DLinear in some rows and RLinear); 1 (DLinear in some rows)." in seeds
    table = build(
        [
            *(cell(variant, 1, 1, dataset="ETTh1") for variant in ("dlinear", "rlinear")),
            *(cell(variant, 1, 1, dataset="Weather", seeds=(0,)) for variant in ("dlinear", "rlinear")),
            cell("seasonal-naive", 1, 1, dataset="ETTh1", seeds=(0,)),  # trains nothing, so it has no seed to name
        ]
    )
    assert "Seeds: 0 and 1 (ETTh1); 0 (Weather)." in told(table)
    assert "Gap" not in text  # no number of the paper is in this table
    assert "Gap: (ours − paper) / paper in per cent" in told(build([cell("dlinear", 1, 1, mse_paper=1.0, mse_gap=0.0)]))


def test_a_note_appears_only_where_the_table_has_what_it_explains(tmp_path):
    alone, two = (build([cell(v, 0.3, 0.3) for v in names]) for names in (("dlinear",), ("dlinear", "patchtst")))
    assert "Bold" not in told(alone) and "alike" not in told(alone)
    assert "Bold is the lowest mean of a row (not tested); underlined the next." in told(two)
    assert "Gap" not in told(two)
    many = told(build([cell(f"m{number}", 0.3, 0.3) for number in range(5)]))
    assert "Bold is the lowest mean of a row over all panels" in many
    published = tmp_path / "published.csv"
    published.write_text("dataset,horizon,method,mse,mae\nETTh1,96,Other,0.4,0.4\n", encoding="utf-8")
    text = told(ablation([run("time-llama", seed, 0.3) for seed in (0, 1)]))
    assert "Bold" not in text and "star" not in text and "significant" not in text
    close = [
        run(variant, seed, 0.3 + seed * step)
        for variant, step in (("time-llama", 0), ("time-llama-1", 0.1))
        for seed in (0, 1)
    ]
    assert "and no difference is significant at a family-wise level of 5 %" in told(ablation(close))
    assert "Paper" not in told(ablation(close, published=published, source="table 5"))


def test_tex_and_markdown_hold_the_same_numbers():
    paper = {"mse_paper": 0.375, "mae_paper": 0.4, "mse_gap": -4.04, "mae_gap": 2.5}
    cells = [cell(v, 0.1 + 0.01 * h / 96, 0.2, horizon=h, **paper) for h in (96, 192) for v in LABELS]
    table = build(cells)
    number = r"\d+\.\d+"
    tex = to_latex(table).split(r"\toprule", 1)[1].split(r"\bottomrule")[0].replace(r"\ensuremath{-}", "−")
    tex = re.sub(r"\\addlinespace\[2pt\]", "", tex)
    md = "\n".join("|".join(row) for row in rows_of(to_markdown(table)))
    assert re.findall(number, tex) == re.findall(number, md)
    assert len(re.findall(number, md)) == 2 * 4 * 2 * 2 + 2 * 4 * 2 * 2
    assert tex.count("−4.0") == md.count("−4.0") == 8


def test_runs_with_different_training_shares_are_refused():
    with refused("train_percent", 5, 100):
        build([cell("dlinear", 0.1, 0.1), cell("dlinear", 0.1, 0.1, train_percent=5)])


def test_few_shot_and_short_term_tables_have_their_caption_and_decimals():
    few = errors_table(
        pd.DataFrame([cell("dlinear", 0.1, 0.1, train_percent=5)]),
        heading=FEW_SHOT,
        configuration="cpu",
        planned=[("ETTh1", 512, 96, "dlinear")],
    )
    assert "trained on 5 % of the rows" in few.caption
    errors = {f"{m}_{k}": v for m in ("smape", "mase", "owa") for k, v in (("mean", 11.964), ("std", NAN))}
    short = short_term(
        pd.DataFrame([cell("dlinear", 0.1, 0.1, **errors)]),
        configuration="cpu",
        planned=[("ETTh1", 512, 96, "dlinear")],
    )
    assert rows_of(to_markdown(short))[2][5:] == ["11.96", "11.964", "11.964"]


FACTS = {"variates": 7, "horizons": "96|192", "train": 8033, "val": 2785, "test": 2785, "frequency": "1 hour"}


def test_the_table_of_data_sets_shows_our_numbers_and_the_papers(root):
    rows = [{"dataset": name, "domain": "x|y", **FACTS} for name in ("ETTh1", "ECL", "NYCWeather")]
    lines = rows_of(to_markdown(dataset_table(rows, published=root / "config/published/table6_datasets.csv")))[2:]
    assert [line[:2] for line in lines] == [
        ["ETTh1", "ours"],
        ["", "paper"],
        ["ECL", "ours"],
        ["", "paper"],  # Electricity in the paper's table 6
        ["NYCWeather", "ours"],
    ]
    assert lines[0][3:] == ["96, 192", "8033", "2785", "2785", "1 hour", "x, y"]
    assert lines[1][4:7] == ["8545", "2881", "2881"]
    assert lines[3][2] == "321"
    with refused("ETTh1", "domain"):
        dataset_table([{"dataset": "ETTh1", **FACTS}], published=root / "config/published/table6_datasets.csv")


def run(variant, seed, mse, **changes):
    """One row of a frame of runs."""
    row = cell(variant, 0, 0) | {"seed": seed, "mse": mse, "mae": mse, "commit": "abcdef0", "device": "cpu"}
    row |= {"settings": json.dumps(variant), "path": f"{variant}-{seed}", "identity": f"{variant}-{seed}"}
    row |= {"collapsed_blocks": NAN, "routed_blocks": NAN, "parameters_trainable": 12345} | changes
    return row | {"paired": made_up.paired(row)}


def ablation(runs, **changes):
    frame = pd.DataFrame(runs)
    planned = [("ETTh1", 512, 96, v) for v in ("time-llama", "dlinear", "patchtst")]
    chosen = {"title": "Ablation.", "label": "tab:x", "reference": "time-llama", "configuration": "cpu"}
    return ablation_table(frame, **(chosen | {"planned": planned} | changes))


def test_rows_of_one_variant_are_ordered_by_their_number_of_blocks():
    runs = [run("time-llama", 0, 0.4, backbone=f"SmolLM2-135M x{blocks}") for blocks in (16, 1, 2)]
    table = ablation(runs, planned=[("ETTh1", 512, 96, "time-llama")], backbone="SmolLM2-135M x1")
    assert [line[0].rpartition(" ")[2] for line in rows_of(to_markdown(table))[2:]] == ["x1)", "x2)", "x16)"]


def test_paired_differences_and_their_interval_match_hand_computed_values():
    runs = [run("time-llama", s, 0.4) for s in (0, 1, 2)]
    runs += [run("dlinear", s, 0.4 + d) for s, d in ((0, 0.1), (1, 0.2), (2, 0.3))] + [run("patchtst", 0, 0.9)]
    table = ablation(runs)
    lines = rows_of(to_markdown(table))
    assert lines[0] == ["Variant", "", "ETTh1, H 96 MSE", "ETTh1, H 96 difference"]
    assert lines[2] == ["Time-LlaMA", "ours", "**0.400**<sub>±0.000</sub>", "–"]
    # 4.302653 * 0.1 / sqrt(3) = 0.2484; 0.2 is less, so 0 is inside
    assert lines[3] == ["DLinear", "ours", "<u>0.600</u><sub>±0.100</sub>", "+0.2000<sub>±0.2484</sub>"]
    assert lines[4] == ["PatchTST", "ours", "0.900", "–"]
    assert "2785 for ETTh1, H 96" in told(table)
    assert "from Time-LlaMA with the same seeds" in table.caption


def test_a_star_marks_an_interval_that_excludes_zero():
    runs = [run("time-llama", s, 0.4) for s in (0, 1, 2)] + [run("dlinear", s, 0.2 + s / 1e4) for s in (0, 1, 2)]
    difference = rows_of(to_markdown(ablation(runs)))[3][3]
    assert difference == r"−0.1999\*<sub>±0.0002</sub>"


def test_a_variant_is_compared_on_its_own_backbone():
    runs = [run("time-llama", s, m, backbone=b) for s in (0, 1) for b, m in (("a", 0.4), ("b", 0.6))]
    runs += [run("frozen", s, 0.7 + s / 1e3, backbone=b, label="Frozen") for s in (0, 1) for b in ("a", "b")]
    lines = rows_of(to_markdown(ablation(runs, planned=[])))
    differences = {line[0]: line[3].split("<")[0] for line in lines[2:]}
    assert differences == {
        "Frozen (a)": r"+0.3005\*",
        "Frozen (b)": r"+0.1005\*",
        "Time-LlaMA (a)": "–",
        "Time-LlaMA (b)": "–",
    }


def test_variants_show_the_papers_numbers_and_extra_columns(tmp_path):
    csv = tmp_path / "paper.csv"
    csv.write_text("variant,dataset,horizon,mse\nTime-LlaMA,ETTh1,96,0.531\nDLinear,ETTh1,96,0.538\n")
    runs = [run("time-llama", s, 0.4, collapsed_blocks=c, routed_blocks=6) for s, c in ((0, 0), (1, 2))]
    runs += [run("dlinear", s, 0.4, parameters_trainable=n) for s, n in ((0, 1000), (1, 2500))]
    frame = pd.DataFrame(runs)
    extras = {"collapsed": collapsed(frame), "trained, thousands": trainable(frame)}
    lines = rows_of(to_markdown(ablation(runs, published=csv, source="table 5", extras=extras)))
    assert lines[0][-2:] == ["collapsed", "trained, thousands"]
    assert lines[2][-2:] == ["0 to 2 of 6", "12.3"]
    assert lines[3][1:4] == ["paper", "0.531", "–"]
    assert lines[4][-2:] == ["–", "1.0 to 2.5"]
    assert lines[5][1:4] == ["paper", "0.538", "+0.007"]
    assert lines[6][0] == "patchtst"  # planned, without a run
    assert lines[6][2] == "–"


def test_the_difference_over_all_cells_counts_each_pair_once():
    cells = [(96, 0, 0.1), (96, 1, 0.2), (192, 0, 0.3), (192, 1, 0.4)]
    runs = [run("time-llama", seed, 0.4, horizon=horizon) for horizon, seed, _ in cells]
    runs += [run("dlinear", seed, 0.4 * (1 + more), horizon=horizon) for horizon, seed, more in cells]
    runs += [run("patchtst", 0, 0.5, horizon=96)]
    # Means of 20 and 30 % over the cells of a seed: 25 % on average, and 12.7062 * 7.071 / sqrt(2) = 63.5.
    [(row, cell)] = pooled(pd.DataFrame(runs), reference="time-llama").items()
    assert row == ("dlinear", "") and cell.text == "+25.0 ±63.5 (4)" and cell.value == pytest.approx(25)


def test_stars_are_corrected_over_the_table():
    # t with two degrees of freedom: 0.01 / (0.001 / sqrt(3)) = 17.3, p 0.0033; with a deviation of 0.003, p 0.0287.
    sure, less = (0.409, 0.410, 0.411), (0.407, 0.410, 0.413)
    runs = [run("time-llama", seed, 0.4, horizon=horizon) for horizon in (96, 192) for seed in range(3)]
    runs += [run("dlinear", seed, error) for seed, error in enumerate(less)]
    alone = to_markdown(ablation(runs, planned=[]))
    runs += [run("dlinear", seed, error, horizon=192) for seed, error in enumerate(sure)]
    runs += [run("patchtst", seed, 0.4 + (seed - 1) / 10, horizon=192) for seed in range(3)]
    together = to_markdown(ablation(runs, planned=[]))
    assert alone.count(r"+0.0100\*") == 1, "0.0287 is the only one of its family"
    assert together.count(r"+0.0100\*") == 1 and together.count("+0.0100") == 2, "twice 0.0287 is too much"


def test_a_data_set_with_one_seed_gives_no_interval_over_all_cells():
    runs = [run("time-llama", seed, 0.4) for seed in (0, 1)] + [run("time-llama", 0, 0.4, dataset="Weather")]
    runs += [run("dlinear", seed, 0.5) for seed in (0, 1)] + [run("dlinear", 0, 0.6, dataset="Weather")]
    [cell] = pooled(pd.DataFrame(runs), reference="time-llama").values()
    assert cell.text == "+37.5 (3)"


def test_variants_show_the_papers_numbers_in_planned_cells_without_ours(tmp_path):
    csv = tmp_path / "paper.csv"
    lines = ("Time-LlaMA,ETTh1,96,0.531", "PatchTST,ETTh1,96,0.540", "PatchTST,ETTh1,192,0.7", "RLinear,ETTh1,96,0.9")
    csv.write_text("\n".join(("variant,dataset,horizon,mse", *lines)))
    table = ablation([run("time-llama", 0, 0.4)], published=csv, source="table 5", labels=LABELS)
    found = {line[0] or "paper": line[2:4] for line in rows_of(to_markdown(table))[4:]}
    assert found == {"DLinear": ["–", "–"], "PatchTST": ["–", "–"], "paper": ["0.540", "+0.009"]}


@pytest.mark.parametrize("absent", [None, *range(4)])
def test_overall_scores_are_only_for_methods_on_all_frequencies_whichever_run_is_missing(absent):
    naive2 = {"M4-Hourly": {"smape": 20.0, "mase": 2.0}, "M4-Weekly": {"smape": 10.0, "mase": 4.0}}
    documents = []
    for variant, (dataset, own) in itertools.product(("dlinear", "seasonal-naive"), naive2.items()):
        same = {"task": "short-term", "method": variant, "backbone": None, "train_percent": 100, "precision": "float32"}
        scores = {"smape": own["smape"] / 2, "mase": own["mase"] / 2, "naive2": own}
        frequency = scores | {"frequency": dataset, "series": 30 if dataset == "M4-Hourly" else 10}
        made = {"identity": f"{variant} {dataset}", "frequencies": {dataset: frequency}, "naive2": own}
        documents.append(made | {"run": same | {"dataset": dataset, "variant": variant, "seed": 0}})
    documents = [document for number, document in enumerate(documents) if number != absent]
    rows = [{"identity": d["identity"], "backbone": "", "dataset": d["run"]["dataset"]} for d in documents]
    rows = [row | {"variant": d["run"]["variant"], "seed": 0} for row, d in zip(rows, documents, strict=True)]
    frame, cells = with_overall(pd.DataFrame(rows), documents)
    complete = {0: {"seasonal-naive"}, 1: {"seasonal-naive"}, 2: {"dlinear"}, 3: {"dlinear"}}
    assert {variant for *_, variant in cells} == complete.get(absent, {"dlinear", "seasonal-naive"})
    overall = frame[frame["dataset"].str.startswith("Overall")].set_index("variant")
    assert overall.loc["naive2", ["smape", "mase", "owa"]].tolist() == [17.5, 2.5, 1.0]  # (30 20 + 10 10) / 40
    for _, _, _, variant in cells:
        assert overall.loc[variant, ["smape", "mase", "owa"]].tolist() == [8.75, 1.25, 0.5]


def test_a_run_of_naive2_replaces_the_row_that_is_made_for_it():
    own = {"smape": 20.0, "mase": 2.0}
    documents, rows = [], []
    for variant, dataset in itertools.product(("dlinear", "naive2"), ("M4-Hourly", "M4-Weekly")):
        same = {"task": "short-term", "method": variant, "backbone": None, "train_percent": 100, "precision": "float32"}
        scores = own | {"naive2": own, "frequency": dataset, "series": 10}
        run_of = same | {"dataset": dataset, "variant": variant, "seed": 0}
        documents.append(
            {"identity": f"{variant} {dataset}", "frequencies": {dataset: scores}, "naive2": own, "run": run_of}
        )
        rows.append(
            {"identity": f"{variant} {dataset}", "backbone": "", "dataset": dataset, "variant": variant, "seed": 0}
        )
    frame, cells = with_overall(pd.DataFrame(rows), documents)
    found = frame[frame["variant"] == "naive2"]
    assert found["identity"].tolist()[:2] == ["naive2 M4-Hourly", "naive2 M4-Weekly"]
    assert found["dataset"].tolist() == ["M4-Hourly", "M4-Weekly", "Overall: M4-Hourly, M4-Weekly"]
    assert {variant for *_, variant in cells} == {"dlinear", "naive2"}
    # Without the run of one frequency, its row is made, and so is the overall one.
    frame, cells = with_overall(pd.DataFrame(rows[:3]), documents[:3])
    assert frame.loc[frame["variant"] == "naive2", "identity"].tolist()[:2] == ["naive2 M4-Hourly", "naive2-M4-Weekly"]
    assert len(frame[frame["variant"] == "naive2"]) == 3 and {variant for *_, variant in cells} == {"dlinear"}


def test_the_table_names_the_methods_that_see_whole_series():
    rows = [("dlinear", "DLinear", "{}"), ("theta", "Theta", "{}"), ("comb", "Comb", "{}"), ("theta", "Made", "")]
    frame = pd.DataFrame(rows, columns=["method", "label", "settings"])
    table = Table(columns="l", blocks=(), caption="", label="")
    [note] = of_whole_series(table, frame).notes
    assert note == "Theta and Comb see each whole training series, not the look-back T."
    assert not of_whole_series(table, frame[:1]).notes


def test_depth_compares_with_one_depth_and_shows_the_speed():
    depths = {"m x1": (0.5, 10.0), "m x6": (0.4, 20.0)}
    runs = [
        run("time-llama", seed, mse, backbone=name, n_windows=100, seconds_evaluate=seconds * slower)
        for name, (mse, seconds) in depths.items()
        for seed, slower in ((0, 3), (1, 1))
    ]
    frame = pd.DataFrame(runs)
    extras = {"speed": speed(frame), "all": pooled(frame, reference="time-llama", backbone="m x6")}
    lines = rows_of(to_markdown(ablation(runs, planned=[], backbone="m x6", extras=extras)))
    assert lines[2][0] == "Time-LlaMA (m x1)" and lines[2][3].startswith("+0.1000")
    assert lines[2][4:] == ["10", r"+25.0\* ±0.0 (2)"]
    assert lines[3][3:] == ["–", "5", "–"]


def test_an_absent_reference_is_named():
    with refused("'time-llama'"):
        ablation([run("dlinear", 0, 0.4)], planned=[("ETTh1", 512, 96, "dlinear")])


def test_a_planned_reference_without_a_result_is_a_dash():
    planned = [("ETTh1", 512, 96, v) for v in ("time-llama", "dlinear")]
    lines = rows_of(to_markdown(ablation([run("dlinear", 0, 0.4)], planned=planned, labels=LABELS)))
    assert [line[0] for line in lines[2:]] == ["Time-LlaMA", "DLinear"]
    assert lines[2][2:4] == ["–", "–"] and lines[3][2:4] == ["0.400", "–"]


@needs_latex
def test_the_largest_tables_fit_their_pages(tmp_path):
    paper = {"mse_paper": 0.375, "mae_paper": 0.4, "mse_gap": -4.04, "mae_gap": 2.5}
    names = [*LABELS, "itransformer", "timesnet", "gpt4ts", "seasonal_naive", "hour-of-day-mean"]
    sets = ("ETTh1", "ETTm1", "Weather", "ECL", "Traffic")
    cells = [
        cell(v, 0.123, 1.456, horizon=h, dataset=d, floor=v in names[-2:], **paper)
        for d in sets
        for h in (96, 192, 336, 720)
        for v in names
    ]
    runs = [run(v, s, 0.4 + s, dataset=d) for v in names for s in (0, 1) for d in sets]
    few = ablation(runs, extras={"a rather long heading": {}, "another": {}})
    for name, table in (("long", build(cells, configuration="a_b%c")), ("variants", few)):
        (tmp_path / f"{name}.tex").write_text(to_latex(table), encoding="utf-8")
        command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", f"{name}.tex"]
        for _ in range(2):
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120)
            assert done.returncode == 0, done.stdout[-2000:]
        log = (tmp_path / f"{name}.log").read_text(errors="replace")
        assert not re.findall(r"^(?:Overfull|LaTeX Warning).*", log, flags=re.MULTILINE)
