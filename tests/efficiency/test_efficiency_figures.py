import pytest

from timellama.reports.catalogue import OWN
from timellama.reports.efficiency_rows import read_sweeps
from timellama.reports.figures.efficiency import draw_latency, draw_memory_scaling
from timellama.reports.registry import built
from timellama.reports.render import style
from timellama.reports.report import ReportContext


@pytest.fixture
def rows(made, tmp_path):
    ours = [made.measured(7, 1, seconds=0.01), made.measured(21, 1, seconds=0.02, megabytes=700)]
    ours += [made.measured(7, 32, seconds=0.3), made.not_run(21, 32, why="out of memory", seconds=0.6, gigabytes=9)]
    theirs = [made.measured(7, 1, seconds=0.04), made.measured(21, 1, seconds=0.05)]
    files = [made.write_sweep(tmp_path, "time-llama", ours), made.write_sweep(tmp_path, "patchtst", theirs)]
    return read_sweeps(files, methods=made.methods)


def built_of(name, sweeps, *, methods):
    """The figure of that name, and the remark on it."""
    (report,) = [report for report in OWN if report.name == name]
    facts = {"methods": methods, "remark": "NOT COMPLETE."}
    return built(ReportContext(report=report, files={"efficiency": sweeps}, facts=facts))


def points(axis, color, *, hollow):
    """The points of the lines in this colour that have markers."""
    found = []
    for line in axis.lines:
        if line.get_color() == color and line.get_marker() not in (None, "None"):
            assert line.get_marker() == style.METHODS["Time-LlaMA"].marker or color != style.BLUE
            if (line.get_markerfacecolor() == "white") == hollow:
                found += list(zip(line.get_xdata(), line.get_ydata(), strict=True))
    return [(x, pytest.approx(y)) for x, y in found]


def test_measured_latencies_are_filled_points_and_predicted_ones_hollow(rows):
    one, many = draw_latency(rows).axes
    assert points(one, style.BLUE, hollow=False) == [(7, 10), (21, 20)]
    assert points(one, style.GREEN, hollow=False) == [(7, 40), (21, 50)]
    assert points(many, style.BLUE, hollow=False) == [(7, 300)]
    assert points(many, style.BLUE, hollow=True) == [(21, 600)]
    assert one.get_xscale() == one.get_yscale() == "log"
    assert points(many, "black", hollow=False) == [(21, 600)], "a cross: out of memory"
    assert [text.get_text() for text in one.get_xticklabels()] == ["7", "21"]


def test_memory_shows_the_limit_as_a_line(rows):
    figure = draw_memory_scaling(rows)
    one, many = figure.axes
    assert points(one, style.BLUE, hollow=False) == [(7, 500), (21, 700)]
    assert points(many, style.BLUE, hollow=True) == [(21, 9000)]
    for axis in (one, many):
        assert any(set(line.get_ydata()) == {8000} for line in axis.lines)


@pytest.fixture
def slow(made, tmp_path):
    """A sweep whose second batch size was too slow: one call at the first N, which is the prediction at the second."""
    first = made.measured(7, 32, seconds=121)
    first |= {"forward_status": "too slow", "forward": first["forward"] | {"seconds": None, "p95": None, "calls": 0}}
    second = made.not_run(21, 32, why="too slow", seconds=121, gigabytes=0.5)
    return made.write_sweep(tmp_path, "time-llama", [made.measured(7, 1, seconds=4), first, second])


def test_the_time_of_a_single_call_is_a_half_filled_point(made, slow):
    rows = read_sweeps([slow], methods=made.methods)
    for draw, number, halves in ((draw_latency, 121_000, 1), (draw_memory_scaling, 500, 0)):
        figure = draw(rows)
        marks = [line for line in figure.axes[1].lines if line.get_markeredgecolor() == style.BLUE]
        half = [line for line in marks if line.get_fillstyle() == "bottom"]
        assert [list(line.get_xydata()[0]) for line in half] == [[7, number]] * halves
        assert points(figure.axes[1], style.BLUE, hollow=True) == [(21, number)]
        assert ("half filled" in figure.legends[0].get_title().get_text()) == bool(halves)


def test_the_remark_explains_marks_that_are_not_filled(made, slow):
    for name, said in (("latency", ["Half filled", "Hollow", "Code"]), ("memory_scaling", ["Hollow", "Code"])):
        _, remark = built_of(name, [slow], methods=made.methods)
        assert [line.split(":")[0] for line in remark.splitlines()] == ["NOT COMPLETE.", *said]


def test_both_figures_are_saved(rows, tmp_path):
    for make in (draw_latency, draw_memory_scaling):
        style.save(make(rows), tmp_path / "figure.pdf", tmp_path / "figure.png")
        assert (tmp_path / "figure.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("name", "label"), [("latency", "median latency, ms"), ("memory_scaling", "peak resident memory of a forecast, MB")]
)
def test_the_figure_shows_its_own_number_and_the_remark_names_the_commit(name, label, made, tmp_path):
    sweep = made.write_sweep(tmp_path, "patchtst", [made.measured(7, 1, seconds=0.04)])
    figure, remark = built_of(name, [sweep], methods=made.methods)
    assert figure.axes[0].get_ylabel() == label
    assert remark == "NOT COMPLETE.\nCode: commit 0123456."
