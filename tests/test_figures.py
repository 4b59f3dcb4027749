"""Figures show the numbers in the files, are the same bytes each time, and refuse what cannot be compared."""

import json
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tests.made_up import document
from tests.refusal import refused
from timellama.reports.catalogue import OWN
from timellama.reports.figures import learning_curves
from timellama.reports.figures.learning_curves import draw_learning_curves
from timellama.reports.figures.of_runs import remark
from timellama.reports.figures.routers import draw_lora_distribution, draw_router_heatmap, draw_router_training
from timellama.reports.figures.settings import draw_active_loras, draw_depth, draw_prompts
from timellama.reports.figures.windows import draw_forecasts
from timellama.reports.registry import built
from timellama.reports.render import style
from timellama.reports.report import ReportContext

BACKBONE = {"name": "tiny", "blocks": 2, "weights": "random", "pin": "x"}


@pytest.fixture
def shown(tmp_path):
    """Writes a forecasts.npz: 2 windows, T = 8, H = 4, 3 variates; forecasts are the truth plus `offset`."""

    def write(name, offset, **changes):
        series = np.arange(2 * 12 * 3, dtype=np.float32).reshape(2, 12, 3)
        arrays = {
            "context": series[:, :8],
            "truth": series[:, 8:],
            "forecast": series[:, 8:] + offset,
            "columns": np.array(["HUFL", "$a_b$", "OT"]),
            "start": np.array([0, 17]),
        }
        path = tmp_path / name / "forecasts.npz"
        path.parent.mkdir()
        np.savez_compressed(path, **(arrays | changes))
        return path

    return write


@pytest.fixture
def routed(tmp_path):
    """Writes a metrics.json with a router of 2 blocks and 3 modules."""

    def write(rates, **changes):
        run = {"dataset": "ECL", "horizon": 192, "backbone": BACKBONE}
        path = tmp_path / f"{len(list(tmp_path.glob('*.json')))}.json"
        path.write_text(json.dumps({"run": run | changes, "router": {"modules": list("QKV"), "selection_rate": rates}}))
        return path

    return write


def lines_of(axis):
    """Maps label to (x, y) for the lines that have a label."""
    named = [line for line in axis.get_lines() if not line.get_label().startswith("_")]
    return {line.get_label(): (line.get_xdata(), line.get_ydata()) for line in named}


def axes_of(figure):
    return [axis for axis in figure.axes if axis.axison]


def test_forecasts_are_drawn_with_look_back_and_truth(shown):
    figure = draw_forecasts([("Time-LlaMA", shown("a", 0.5)), ("DLinear", shown("b", -1))], dataset="ETTh1")
    assert len(figure.axes) == 6
    # Window 1, variate 2: values 36 + 3 t + 2 for t = 0 .. 11, the last 4 of them the truth.
    lines = lines_of(figure.axes[5])
    assert set(lines) == {"look-back", "truth", "Time-LlaMA", "DLinear"}
    np.testing.assert_array_equal(lines["look-back"][0], [-1, 0])
    np.testing.assert_array_equal(lines["look-back"][1], [56, 59])
    np.testing.assert_array_equal(lines["truth"][0], [1, 2, 3, 4])
    np.testing.assert_array_equal(lines["truth"][1], [62, 65, 68, 71])
    np.testing.assert_array_equal(lines["Time-LlaMA"][1], [62.5, 65.5, 68.5, 71.5])
    np.testing.assert_array_equal(lines["DLinear"][1], [61, 64, 67, 70])
    assert [axis.get_title() for axis in figure.axes[:3]] == ["HUFL", "$a_b$", "OT"]
    assert figure.axes[3].get_ylabel() == "test window 17"
    assert figure.get_supylabel() == "standardised value"
    assert figure.get_supxlabel() == "steps from the forecast's origin"
    assert {text.get_text() for text in figure.legends[0].get_texts()} == set(lines)


def test_runs_with_the_same_label_are_distinguished(shown):
    figure = draw_forecasts([("Time-LlaMA", shown("s0-x", 0)), ("Time-LlaMA", shown("s0-y", 1))], dataset="d")
    assert set(lines_of(figure.axes[0])) == {"look-back", "truth", "Time-LlaMA, s0-x", "Time-LlaMA, s0-y"}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"start": np.array([0, 18])}, ("a/forecasts.npz",)),
        ({"truth": np.zeros((2, 4, 3), np.float32)}, ("a/forecasts.npz",)),
        ({"truth": np.zeros((2, 5, 3), np.float32)}, ("truth", (2, 5, 3), "forecast", (2, 4, 3))),
        ({"columns": np.array(["a"])}, ("columns", (1,))),
        ({"columns": np.array([{"a": 1}, 2, 3], dtype=object)}, ()),
    ],
)
def test_forecasts_that_do_not_match_are_refused(shown, changes, named):
    with refused("b/forecasts.npz", *named):
        draw_forecasts([("A", shown("a", 0)), ("B", shown("b", 0, **changes))], dataset="d")


def test_absent_and_broken_forecasts_are_refused(tmp_path):
    with refused("d"):
        draw_forecasts([], dataset="d")
    (tmp_path / "x.npz").write_bytes(b"PK")
    with refused(tmp_path / "x.npz"):
        draw_forecasts([("A", tmp_path / "x.npz")], dataset="d")


def test_saved_files_are_the_same_each_time(shown, tmp_path):
    path, files = shown("a", 0), []
    for number in range(2):
        files.append((tmp_path / f"{number}.pdf", tmp_path / "deep" / f"{number}.png"))
        style.save(draw_forecasts([("A", path)], dataset="d"), *files[-1])
    assert files[0][0].read_bytes() == files[1][0].read_bytes()
    assert files[0][1].read_bytes() == files[1][1].read_bytes()
    assert b"CreationDate" not in files[0][0].read_bytes()
    assert not list(tmp_path.rglob(".*"))
    with Image.open(files[0][1]) as image:
        assert image.width == style.PAGE * style.DOTS_PER_INCH
        assert len(image.convert("L").getcolors()) > 20


def test_a_picture_is_the_same_with_and_without_a_pdf(routed, tmp_path):
    paths = [routed([[1, 0.5, 0.5], [0, 1, 1]])]
    for names in (("a.pdf", "a.png"), ("b.png",)):
        style.save(draw_router_heatmap(paths), *(tmp_path / name for name in names), mark="3 of 12 runs missing")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.skipif(shutil.which("pdffonts") is None, reason="needs pdffonts")
def test_fonts_are_embedded_truetype(shown, tmp_path):
    style.save(draw_forecasts([("A", shown("a", 0))], dataset="d"), tmp_path / "a.pdf", tmp_path / "a.png")
    printed = subprocess.run(["pdffonts", tmp_path / "a.pdf"], capture_output=True, text=True).stdout.splitlines()[2:]
    assert printed
    assert all("TrueType" in line and line.split()[-5] == "yes" for line in printed)


def test_drawing_leaves_the_callers_style_alone(shown):
    import matplotlib

    before = dict(matplotlib.rcParams)
    draw_forecasts([("A", shown("a", 0))], dataset="d")
    assert dict(matplotlib.rcParams) == before


def test_each_method_has_a_distinct_look():
    looks = style.looks([*style.METHODS, "one", "two", *(f"more {number}" for number in range(10))])
    seen = [(look.color, look.linestyle) for look in looks.values()]
    assert len(set(seen)) == len(looks) == len(style.METHODS) + 12
    assert looks["DLinear"] == style.looks(["x", "DLinear"])["DLinear"]
    assert style.looks(["one", "two"])["one"] != style.looks(["one", "two"])["two"]
    efficiency = ["Time-LlaMA", "Time-LLM", "GPT4TS", "PatchTST", "DLinear", "TimesNet", "iTransformer"]
    drawn = style.looks([*efficiency, "Time-LlaMA-3", "Time-LlaMA-4"]).values()
    assert len({look.color for look in drawn}) == len({(look.linestyle, look.marker) for look in drawn}) == 9
    with refused(40, 32):
        style.looks([str(number) for number in range(40)])


def test_the_router_heatmap_shows_mean_selection_rates(routed):
    paths = [routed([[1, 0.5, 0.5], [0, 1, 1]]), routed([[0.5, 1, 0.5], [0, 1, 1]])]
    figure = draw_router_heatmap(paths)
    axis = figure.axes[0]
    np.testing.assert_allclose(axis.images[0].get_array(), [[75, 75, 50], [0, 100, 100]])
    assert [text.get_text() for text in axis.texts] == ["75", "75", "50", "0", "100", "100"]
    assert axis.get_title() == "ECL, H 192\ntiny x2 (random weights)"
    assert len(draw_router_heatmap([*paths, routed([[1, 1, 0]] * 2, dataset="Weather")]).axes) == 3


def test_router_figures_need_a_router(tmp_path, routed):
    (tmp_path / "none.json").write_text('{"run": {}, "router": null}')
    for paths, named in (([tmp_path / "none.json"], tmp_path / "none.json"), ([], "metrics.json")):
        with refused(named):
            draw_router_heatmap(paths)


def test_the_lora_distribution_shows_our_shares_and_the_papers(routed, tmp_path):
    csv = tmp_path / "paper.csv"
    csv.write_text(
        "dataset,horizon,module,percent_read_off_the_plot\nElectricity,192,Q,20\nElectricity,192,V,30\nECL,96,K,1\n"
    )
    figure = draw_lora_distribution([routed([[1, 0.5, 0.5], [0, 1, 1]])], published=csv)
    above, below = figure.axes
    np.testing.assert_allclose([bar.get_height() for bar in above.patches], [25, 37.5, 37.5])
    np.testing.assert_allclose([bar.get_height() for bar in below.patches], [50, 75, 75])
    lines = lines_of(above)
    np.testing.assert_allclose(lines["paper, figure 3"][1], [20, np.nan, 30])
    np.testing.assert_allclose(lines["highest possible share: 1/n"][1], [50, 50])  # n = 2


def runs(settings):
    """A frame of runs; `settings` yields (dataset, seed, mse, options, backbone)."""
    rows = [
        {
            "dataset": dataset,
            "horizon": 192,
            "seed": seed,
            "mse": mse,
            "label": "Time-LlaMA",
            "backbone": f"{name} x{blocks}",
            "path": "somewhere",
            "settings": json.dumps(
                {"options": options, "backbone": {"name": name, "blocks": blocks, "weights": "pretrained", "pin": "x"}}
            ),
        }
        for dataset, seed, mse, options, (name, blocks) in settings
    ]
    return pd.DataFrame(rows)


def test_active_loras_are_drawn_with_their_spread_and_the_papers_line(root):
    published = root / "config/published/figure2_active_loras.csv"
    frame = runs(
        ("ETTh1", seed, 0.1 * n + 0.02 * seed, {"active": n, "gate": "a"}, ("tiny", 2))
        for n in (1, 4)
        for seed in (0, 1)
    )
    (axis,) = axes_of(draw_active_loras(frame, published=published))
    (bars,) = [container for container in axis.containers if container.get_label() == "tiny x2"]
    np.testing.assert_allclose(bars.lines[0].get_xydata(), [[1, 0.11], [4, 0.41]])
    ends = bars.lines[2][0].get_segments()
    np.testing.assert_allclose(ends[0][:, 1], [0.11 - 0.02 / np.sqrt(2), 0.11 + 0.02 / np.sqrt(2)])
    paper = lines_of(axis)["paper, figure 2"]
    np.testing.assert_array_equal(paper[0], range(1, 8))
    assert paper[1][3] == 0.685
    with refused("options.active"):
        draw_active_loras(runs([("ETTh1", 0, 0.1, {}, ("tiny", 2))]))


def test_a_sweep_keeps_different_settings_apart():
    frame = runs(("ETTh1", 0, 0.1 * n, {"active": n, "gate": gate}, ("tiny", 2)) for n in (1, 4) for gate in ("a", "b"))
    (axis,) = axes_of(draw_active_loras(frame))
    assert {container.get_label() for container in axis.containers} == {"tiny x2, gate a", "tiny x2, gate b"}


def test_depth_is_drawn_by_the_number_of_blocks():
    frame = runs(("ETTh1", 0, 0.1 * blocks, {"active": 4}, (name, blocks)) for name in ("a", "b") for blocks in (6, 2))
    (axis,) = axes_of(draw_depth(frame))
    drawn = {container.get_label(): container.lines[0] for container in axis.containers}
    assert set(drawn) == {"a xL", "b xL"}
    np.testing.assert_allclose(drawn["a xL"].get_xydata(), [[2, 0.2], [6, 0.6]])


def test_prompts_are_drawn_as_seeds_and_their_mean():
    frame = runs((d, s, m, {}, ("a", 2)) for d, m in (("ETTh1", 0.4), ("Weather", 0.2)) for s in (0, 1))
    frame.loc[1, "mse"] = 0.5
    figure = draw_prompts(frame)
    dots, bar = axes_of(figure)[0].get_lines()
    np.testing.assert_allclose(dots.get_xdata(), [0.4, 0.5])
    np.testing.assert_allclose(bar.get_xdata(), [0.45, 0.45])
    assert [text.get_text() for text in axes_of(figure)[0].get_yticklabels()] == ["Time-LlaMA"]


HISTORY = "step,epoch,train_loss,validation_loss,balance_loss,learning_rate,seconds\n"


def test_learning_curves_show_the_history_and_its_best_step(tmp_path):
    (tmp_path / "a.csv").write_text(
        HISTORY + "10,0.1,1.0,0.9,,0.001,1\n20,0.2,0.8,0.5,,0.0005,2\n30,0.3,0.7,0.6,,0,3\n"
    )
    (tmp_path / "none.csv").write_text(HISTORY)
    chosen = [("DLinear", tmp_path / "a.csv"), ("Seasonal naive", tmp_path / "none.csv")]
    figure = draw_learning_curves(chosen, title="ETTh1")
    loss, validation, rate = axes_of(figure)
    np.testing.assert_array_equal(lines_of(loss)["DLinear"][1], [1.0, 0.8, 0.7])
    np.testing.assert_array_equal(lines_of(rate)["DLinear"][1], [0.001, 0.0005, 0])
    curve, best = validation.get_lines()
    np.testing.assert_array_equal(curve.get_ydata(), [0.9, 0.5, 0.6])
    assert (list(best.get_xdata()), list(best.get_ydata())) == ([20], [0.5])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["DLinear"]
    with refused("ETTh1"):
        draw_learning_curves(chosen[1:], title="ETTh1")
    (tmp_path / "bad.csv").write_text("step\n1\n")
    with refused(tmp_path / "bad.csv", "train_loss"):
        draw_learning_curves([("A", tmp_path / "bad.csv")], title="ETTh1")


def test_router_training_shows_rates_and_entropy_by_block(tmp_path):
    rows = [
        {"step": step, "block": block, "module": module, "selection_rate": rate + block / 10, "entropy": 1.0 - block}
        for step in (5, 10)
        for block in (0, 1)
        for module, rate in (("Q", 0.25), ("K", step / 20))
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "router.csv", index=False)
    first, second, entropy = axes_of(draw_router_training(tmp_path / "router.csv", title="ETTh1"))
    np.testing.assert_allclose(lines_of(first)["module K"][1], [25, 50])
    np.testing.assert_allclose(lines_of(second)["module Q"][1], [35, 35])
    assert first.get_title() == "block 1"
    one, two, uniform = entropy.get_lines()
    assert list(one.get_ydata()) == [1, 1]
    assert list(two.get_ydata()) == [0, 0]
    assert uniform.get_ydata()[0] == pytest.approx(np.log(2))
    (tmp_path / "none.csv").write_text("step,block,module,selection_rate,entropy\n")
    with refused(tmp_path / "none.csv"):
        draw_router_training(tmp_path / "none.csv", title="ETTh1")


def reddish(path):
    """Where a picture has the colour of a mark."""
    with Image.open(path) as image:
        red, green, blue = np.moveaxis(np.asarray(image.convert("RGB")).astype(int), -1, 0)
    return (red > green + 100) & (red > blue + 80)


def test_a_mark_is_drawn_in_the_corner_and_the_figure_keeps_its_size(routed, tmp_path):
    paths, sizes = [routed([[1, 0.5, 0.5], [0, 1, 1]])], []
    for name, mark in (("plain", ""), ("marked", "3 of 12 $_x^ missing")):
        style.save(draw_router_heatmap(paths), tmp_path / f"{name}.pdf", tmp_path / f"{name}.png", mark=mark)
        with Image.open(tmp_path / f"{name}.png") as image:
            sizes.append(image.size)
    assert sizes[0] == sizes[1]
    assert not reddish(tmp_path / "plain.png").any()
    rows, columns = np.nonzero(reddish(tmp_path / "marked.png"))
    assert len(rows) > 100 and rows.min() > 0.9 * sizes[0][1] and columns.min() > 0.3 * sizes[0][0]
    assert columns.max() < sizes[0][0] - 1, "the mark is not cut off"


def test_a_figure_without_a_layout_makes_room_for_its_mark(tmp_path):
    figure = Figure(figsize=(3, 2))
    figure.subplots().set_xlabel("steps")
    style.save(figure, tmp_path / "a.pdf", tmp_path / "a.png", mark="3 of 12 runs missing")
    with Image.open(tmp_path / "a.png") as image:
        black = (np.asarray(image.convert("RGB")) < 60).all(axis=-1)
    assert np.nonzero(black)[0].max() < np.nonzero(reddish(tmp_path / "a.png"))[0].min()


FACTS = {"configuration": "made_up", "methods": {}, "generated": [], "remark": "NOT COMPLETE."}


@pytest.mark.parametrize("report", [report for report in OWN if not report.is_table], ids=lambda report: report.name)
def test_a_figure_without_results_says_which_it_is(report, root):
    published = [root / path for path in report.needs.published]
    files = dict.fromkeys(report.needs.experiments, ())
    figure, said = built(ReportContext(report=report, files=files, published=published, facts=FACTS))
    (text,) = figure.texts
    assert text.get_text().startswith(f"{report.name.removesuffix('_{dataset}')}: ")
    assert said.startswith("NOT COMPLETE.")


@pytest.fixture
def placed(tmp_path):
    """Writes what a figure reports about a run, and returns the file that would be drawn."""

    def placed(folder: str, *, commit: str, seed: int, variant: str = "time-llama", horizon: int = 96):
        trained = {"training": None if variant == "seasonal-naive" else {"epochs": 10}}
        given = {"settings": trained, "origin": {"git_commit": commit}, "n_windows": 2881 - horizon, "steps": 30}
        made = document(variant=variant, horizon=horizon, seed=seed, **given)
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "metrics.json").write_text(json.dumps(made), encoding="utf-8")
        return tmp_path / folder / "history.csv"

    return placed


@pytest.mark.parametrize(("name", "said"), [("depth", "standard deviation over seeds"), ("prompts", "A dot is a seed")])
def test_a_figure_of_a_setting_explains_its_marks_in_the_remark(tmp_path, root, name, said):
    [report] = [report for report in OWN if report.name == name and not report.is_table]
    path = tmp_path / "metrics.json"
    backbone = {"name": "SmolLM2-135M", "blocks": 6, "pin": "abc", "weights": "pretrained"}
    path.write_text(
        json.dumps(document(variant="time-llama", settings={"training": {"epochs": 10}}, backbone=backbone)),
        encoding="utf-8",
    )
    facts = FACTS | {"methods": {"time-llama": {"label": "Time-LlaMA", "floor": False}}}
    files = dict.fromkeys(report.needs.experiments, (path,))
    figure, remarks = built(ReportContext(report=report, files=files, published=[], facts=facts))
    assert figure.axes and said in remarks and "NOT COMPLETE." in remarks


def test_a_remark_names_the_windows_seeds_and_code_of_a_figure(placed):
    ones, facts = "1" * 40, {"configuration": "made_up", "generated": ["Other"], "remark": ""}
    files = [
        placed("a", commit=ones, seed=0),
        placed("b", commit=ones, seed=2),
        placed("c", commit=ones, seed=0, variant="seasonal-naive"),
    ]
    windows, seeds = "2785 test windows, ", "seeds 0 and 2"
    for of_test, tested in ((True, windows), (False, "")):
        lines = remark(files, facts=facts, reading="A dot.", of_test=of_test).splitlines()
        assert lines == ["A dot.", f"Configuration: made_up. ETTh1, H 96: {tested}{seeds}.", "Code: commit 1111111."]
    assert f"{windows}nothing trained." in remark(files[2:], facts=facts)
    assert remark([], facts=facts, reading="A dot.") == "Configuration: made_up."
    generated = remark(files, facts=facts | {"generated": ["ETTh1", "Other"], "remark": "NOT COMPLETE."}).splitlines()
    assert generated[:2] == ["NOT COMPLETE.", "Generated data, not measurements: ETTh1."]


def test_a_figure_of_several_cells_seeds_and_commits_says_so(placed):
    files = [
        placed("a", commit="1" * 40, seed=0),
        placed("b", commit="2" * 40, seed=1),
        placed("c", commit="1" * 40, seed=0, variant="dlinear"),
        placed("d", commit="1" * 40, seed=0, horizon=192),
    ]
    cells, code = remark(files, facts={"configuration": "cpu", "generated": [], "remark": ""}).splitlines()
    assert "ETTh1, H 96: 2785 test windows, seeds 0 and 1 (some with fewer); ETTh1, H 192: 2689 test windows" in cells
    assert code == "Code: these runs come from 2 different versions: commits 1111111 and 2222222."


def test_the_remark_on_learning_curves_names_their_marks_horizon_and_seeds(placed):
    files = [placed("a", commit="1" * 40, seed=0), placed("b", commit="1" * 40, seed=2)]
    for path in files:
        path.write_text(HISTORY + "0,0,,0.9,,,1\n30,0.3,0.7,0.6,,0,3\n", encoding="utf-8")
    (report,) = [report for report in OWN if report.name == "learning_curves"]
    facts = FACTS | {"methods": {files[0].parts[-3]: {"label": "Time-LlaMA"}}}
    figure, said = built(ReportContext(report=report, files={"long_term": files}, facts=facts))
    assert figure.legends[0].get_title().get_text() == "ETTh1"
    remark = ["NOT COMPLETE.", learning_curves.READING, "Configuration: made_up. ETTh1, H 96: seeds 0 and 2."]
    assert said.splitlines() == [*remark, "Code: commit 1111111."]
