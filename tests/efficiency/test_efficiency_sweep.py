"""Which cells are run, what is predicted for the others, and that a failed cell has a row."""

import json
import sys

import pytest

from tests import made_up
from tests.refusal import refused
from timellama.cost.efficiency_sweep import (
    CellFailed,
    available_memory,
    extrapolate,
    measure_cell,
    measure_sweep,
    predict,
    run_cell,
    verdict,
)
from timellama.experiments.sweep import Cell, Sweep
from timellama.methods.dlinear import DLinearOptions

MB = 1_000_000


@pytest.fixture
def sweep(sample_run):
    sizes = {"context": 48, "horizon": 12, "variates": 3}
    run = made_up.small(sample_run, task="efficiency", options=DLinearOptions(), **sizes)
    return Sweep(
        run=run, variates=(2, 4), batch_sizes=(1,), threads=1, seconds=0.001, longest_call=60, memory_share=0.5
    )


@pytest.fixture
def cell(sweep) -> Cell:
    return sweep.cell(2, 1, train=True, backbone_folder=None)


def row(variates, batch_size, *, seconds, peak, status="measured"):
    stage = {"seconds": seconds, "peak": peak}
    return {
        "variates": variates,
        "batch_size": batch_size,
        "loaded_bytes": 300 * MB,
        "forward": stage,
        "training": stage,
        "forward_status": status,
        "training_status": status,
    }


def test_available_memory_is_the_minimum_over_the_system_and_control_groups(tmp_path):
    meminfo, own, group = tmp_path / "meminfo", tmp_path / "cgroup", tmp_path / "groups/outer/inner"
    places = (meminfo, tmp_path / "groups", own)
    meminfo.write_text("MemTotal:  3000 kB\nMemAvailable:  2000 kB\n", encoding="utf-8")
    assert available_memory(*places) == 2000 * 1024
    own.write_text("0::/outer/inner\n", encoding="utf-8")
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n", encoding="ascii")
    assert available_memory(*places) == 2000 * 1024
    (group.parent / "memory.max").write_text("500000\n", encoding="ascii")
    (group.parent / "memory.current").write_text("100000\n", encoding="ascii")
    assert available_memory(*places) == 400_000
    (group / "memory.max").write_text("300000\n", encoding="ascii")
    (group / "memory.current").write_text("100000\n", encoding="ascii")
    assert available_memory(*places) == 200_000
    assert available_memory() > 0


def test_extrapolation_matches_hand_computed_values():
    assert extrapolate([(5, 2.0)], 10, power=2) is None, "one point has no slope"
    points = [(1, 1.0), (2, 4.0), (4, 16.0)]
    assert extrapolate(points, 10, power=1) == 16 + 6 * 6, "the line through the last two"
    assert extrapolate(points, 10, power=2) == 100, "N squared"
    assert extrapolate(points[:2], 10, power=2) == 4 + 3 * 8, "two points make a line"
    assert extrapolate([(1, 1.0), (2, 4.0), (4, 6.0)], 6, power=2) == 8, "a parabola that bends down is not trusted"
    assert extrapolate([(2, 3.0), (4, 1.0)], 6, power=1) == 3.0, "never below that of a smaller cell"
    assert extrapolate([(7, 5.3), (21, 7.6), (40, 4.6)], 862, power=0) == 7.6, "N has no influence"
    assert extrapolate([], 862, power=0) is None
    assert extrapolate([(1, 9.0), (2, 1.0), (4, 9.0)], 6, power=2) == 9.0, "noise has no slope"


def test_prediction_for_a_larger_batch_matches_hand_computed_values():
    """Seconds are 5 + b N and megabytes 300 + 2 b N: weights, and a part that each sample adds."""

    def exact(variates, batch_size):
        work = variates * batch_size
        return row(variates, batch_size, seconds=5.0 + work, peak=(300 + 2 * work) * MB)

    rows = [exact(7, 1), exact(21, 1), exact(7, 32)]
    found = predict(rows, stage="forward", variates=21, batch_size=32, power=2)
    assert found == {"seconds": 5.0 + 21 * 32, "bytes": (300 + 2 * 21 * 32) * MB}
    found = predict(rows[:2], stage="training", variates=35, batch_size=1, power=1)
    assert found == {"seconds": 40.0, "bytes": 370 * MB}
    rows += [exact(21, 32)]
    found = predict(rows, stage="training", variates=35, batch_size=32, power=1)
    assert found == {"seconds": 5.0 + 35 * 32, "bytes": (300 + 2 * 35 * 32) * MB}, "35 was not measured at batch 1"


def test_if_variates_do_not_matter_the_largest_smaller_cell_of_the_batch_is_the_prediction():
    rows = [row(7, 1, seconds=3.5, peak=5300 * MB), row(21, 1, seconds=2.2, peak=7600 * MB)]
    found = predict(rows, stage="forward", variates=862, batch_size=1, power=0)
    assert found == {"seconds": 3.5, "bytes": 7600 * MB}, "noise between cells has no slope"
    rows += [row(7, 32, seconds=40.0, peak=4600 * MB)]
    found = predict(rows, stage="forward", variates=21, batch_size=32, power=0)
    assert found == {"seconds": 40.0, "bytes": 4600 * MB}, "it is not multiplied by the batch either"
    assert predict(rows[:2], stage="forward", variates=7, batch_size=32, power=0) is None


def test_a_cell_that_was_not_run_enters_with_its_prediction():
    rows = [row(7, 1, seconds=1.0, peak=310 * MB), row(21, 1, seconds=3.0, peak=330 * MB)]
    rows += [row(7, 32, seconds=32.0, peak=400 * MB)]
    del rows[1]["forward"]
    rows[1]["forward_predicted"] = {"seconds": 5.0, "bytes": 340 * MB}
    found = predict(rows, stage="forward", variates=21, batch_size=32, power=1)
    assert found == {"seconds": 32 + 32 * 4, "bytes": 400 * MB + 32 * 30 * MB}
    rows[1]["forward"] = {"seconds": None, "first": 11.0, "peak": 350 * MB}
    found = predict(rows, stage="forward", variates=21, batch_size=32, power=1)
    assert found == {"seconds": 32 + 32 * 10, "bytes": 400 * MB + 32 * 40 * MB}, "the only call"


def test_too_few_cells_give_no_prediction():
    rows = [row(7, 1, seconds=1.0, peak=310 * MB)]
    assert predict([], stage="forward", variates=7, batch_size=1, power=1) is None
    assert predict(rows, stage="forward", variates=35, batch_size=1, power=1) is None
    assert predict(rows, stage="forward", variates=7, batch_size=32, power=1) is None


def test_the_verdict_follows_from_limits_and_smaller_failed_cells():
    limits = {"stage": "forward", "cell": (21, 32), "limit": 1000, "longest": 5.0}
    assert verdict(None, [], **limits) == "measured"
    assert verdict({"seconds": 5.0, "bytes": 1000}, [], **limits) == "measured"
    assert verdict({"seconds": 9.0, "bytes": 1001}, [], **limits) == "out of memory"
    assert verdict({"seconds": 5.1, "bytes": 1000}, [], **limits) == "too slow"
    failed = [row(7, 32, seconds=None, peak=1, status="impossible")]
    assert verdict(None, failed, **limits) == "impossible", "a smaller cell has failed"
    assert verdict(None, failed, **(limits | {"cell": (21, 1)})) == "measured", "the failed cell is not smaller"


def test_a_cell_that_would_not_fit_starts_no_process(sweep):
    def never(*_, **__):
        raise AssertionError("a process was started")

    rows = [row(1, 1, seconds=0.1, peak=350 * MB), row(2, 1, seconds=0.2, peak=400 * MB)]
    found = measure_cell(sweep, (4, 1), rows, limit=499 * MB, resident_limit=499 * MB, backbone_folder=None, run=never)
    assert (found["forward_status"], found["training_status"]) == ("out of memory", "out of memory")
    assert found["forward_predicted"] == {"seconds": pytest.approx(0.4), "bytes": 500 * MB}
    with pytest.raises(AssertionError):
        measure_cell(sweep, (4, 1), rows, limit=500 * MB, resident_limit=1, backbone_folder=None, run=never)


def test_training_can_be_left_out_alone(sweep):
    asked = []

    def run(cell, **_):
        asked.append(cell.train)
        return {"loaded_bytes": 1, "forward": {"seconds": 0.5, "peak": 2}}, None

    rows = [row(1, 1, seconds=0.1, peak=400 * MB), row(2, 1, seconds=0.1, peak=400 * MB)]
    rows[1]["training"] = {"seconds": 40.0, "peak": 400 * MB}
    found = measure_cell(sweep, (4, 1), rows, limit=10**12, resident_limit=1, backbone_folder=None, run=run)
    assert asked == [False]
    assert (found["forward_status"], found["training_status"]) == ("measured", "too slow")
    assert found["samples_per_second"] == 2.0


@pytest.mark.parametrize(
    ("told", "stopped", "statuses"),
    [
        ({"impossible": "no"}, None, ("impossible", "impossible")),
        ({}, "out of memory", ("out of memory", "out of memory")),
        ({"forward": {"seconds": None, "peak": 1}}, None, ("too slow", "too slow")),
        ({"forward": {"seconds": 1.0, "peak": 1}}, "out of memory", ("measured", "out of memory")),
        ({"forward": {"seconds": 1.0, "peak": 1}}, "too slow", ("measured", "too slow")),
        (
            {"forward": {"seconds": 1.0, "peak": 1}, "training": {"seconds": 1.0, "peak": 1}},
            None,
            ("measured", "measured"),
        ),
    ],
)
def test_the_status_says_how_a_cell_ended(sweep, told, stopped, statuses):
    found = measure_cell(
        sweep, (2, 1), [], limit=10**12, resident_limit=1, backbone_folder=None, run=lambda *_, **__: (told, stopped)
    )
    assert (found["forward_status"], found["training_status"]) == statuses


def child(code: str) -> list[str]:
    """A process that reads its cell and then runs `code`."""
    return [sys.executable, "-c", f"import json, os, signal, sys, time; sys.stdin.read()\n{code}"]


def test_results_that_a_killed_process_had_reported_are_kept(cell):
    code = "print(json.dumps({'forward': {'seconds': 1.0}}), flush=True); print('{\"tra', end='', flush=True)\n"
    told, stopped = run_cell(
        cell, limit=10**12, deadline=60, command=child(code + "os.kill(os.getpid(), signal.SIGKILL)")
    )
    assert told == {"forward": {"seconds": 1.0}} and stopped == "out of memory"


def test_a_process_above_the_limit_is_killed(cell):
    told, stopped = run_cell(
        cell, limit=150 * MB, deadline=60, command=child("block = bytearray(b'x') * 300_000_000; time.sleep(60)")
    )
    assert (told, stopped) == ({}, "out of memory")


def test_a_process_that_exceeds_its_time_is_killed(cell):
    assert run_cell(cell, limit=10**12, deadline=0.3, command=child("time.sleep(60)")) == ({}, "too slow")


def test_running_out_of_memory_inside_the_process_is_reported(cell):
    code = "print(json.dumps({'out_of_memory': True}))"
    assert run_cell(cell, limit=10**12, deadline=60, command=child(code)) == ({}, "out of memory")


def test_any_other_error_of_the_process_is_raised(cell):
    with refused("dlinear", "N 2", "batch 1", "code 3", "broken", error=CellFailed):
        run_cell(cell, limit=10**12, deadline=60, command=child("print('broken', file=sys.stderr); sys.exit(3)"))


def test_a_sweep_writes_one_row_per_cell(sweep, tmp_path):
    output = tmp_path / "sweep.json"
    measure_sweep(sweep, backbone_folder=None, output=output, source_digest="d", memory=4000 * MB)
    document = json.loads(output.read_text(encoding="utf-8"))
    assert [(row["variates"], row["batch_size"]) for row in document["rows"]] == [(2, 1), (4, 1)]
    for found in document["rows"]:
        assert (found["forward_status"], found["training_status"]) == ("measured", "measured")
        assert found["flops"] == 2 * found["variates"] * 48 * 12 * 2
        assert found["limit_bytes"] == 2000 * MB
        assert found["peak_share"] == found["flops"] / found["forward"]["seconds"] / found["matmul_flops_per_second"]
        assert (found["dtype"], found["threads"], found["device"]) == ("float32", 1, "cpu")
        assert set(found["versions"]) == {"python", "torch", "transformers"} and found["processor"]
    assert document["rows"][1]["forward_predicted"] is None, "a single cell has no slope"
    for key in ("git_commit", "git_dirty", "source_digest", "versions", "hardware"):
        assert key in document["provenance"]


def test_a_sweep_without_enough_memory_still_writes_its_rows(sweep, tmp_path):
    document = measure_sweep(
        sweep, backbone_folder=None, output=tmp_path / "sweep.json", source_digest="d", memory=40 * MB
    )
    assert [row["forward_status"] for row in document["rows"]] == ["out of memory"] * 2
