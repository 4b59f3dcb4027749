from tests.refusal import refused
from timellama.reports.efficiency_rows import place, read_sweeps


def test_rows_are_named_and_hold_backbone_device_and_settings(made, tmp_path):
    files = [
        made.write_sweep(tmp_path, "time-llama", [made.measured(7, 1, seconds=0.5)], backbone=made.backbone),
        made.write_sweep(tmp_path, "patchtst", [made.not_run(7, 1, why="too slow", seconds=9, gigabytes=1)]),
    ]
    ours, theirs = read_sweeps(files, methods=made.methods)
    assert (ours["name"], ours["backbone"], ours["context"]) == ("Time-LlaMA", "SmolLM2-135M x6", 512)
    assert (theirs["name"], theirs["backbone"], theirs["device"]) == ("PatchTST", "", "cpu"), "their only device"
    assert ours["commit"] == "0123456" and ours["settings_of"] == "Traffic"


def test_two_backbones_have_different_names(made, tmp_path):
    files = [
        made.write_sweep(
            tmp_path, "time-llama", [made.measured(7, 1, seconds=1)], backbone=made.backbone | {"name": name}
        )
        for name in ("A", "B")
    ]
    assert [row["name"] for row in read_sweeps(files, methods=made.methods)] == [
        "Time-LlaMA (A x6)",
        "Time-LlaMA (B x6)",
    ]


def test_rows_from_two_machines_are_refused(made, tmp_path):
    files = [
        made.write_sweep(tmp_path, "time-llama", [made.measured(7, 1, seconds=1)]),
        made.write_sweep(tmp_path, "patchtst", [made.measured(7, 1, seconds=1) | {"threads": 4}]),
    ]
    with refused("threads", 2, 4):
        read_sweeps(files, methods=made.methods)


def test_nothing_to_report_is_an_error(made, tmp_path):
    with refused("efficiency"):
        read_sweeps([], methods=made.methods)
    path = made.write_sweep(tmp_path, "patchtst", [made.not_run(7, 1, why="out of memory", seconds=1, gigabytes=1)])
    with refused("efficiency", "results/logs"):
        read_sweeps([path], methods=made.methods)
    path.write_text('{"rows": []}', encoding="utf-8")
    with refused(path, "sweep"):
        read_sweeps([path], methods=made.methods)


def test_a_value_comes_with_whether_it_was_measured(made):
    row = made.measured(7, 1, seconds=0.5, megabytes=600)
    assert place(row, "forward", "seconds") == (0.5, True)
    assert place(row, "training", "bytes") == (1_200_000_000, True)
    row["forward"] |= {"seconds": None, "first": 7.0}
    row["forward_status"] = "too slow"
    assert place(row, "forward", "seconds") == (7.0, True), "the only call"
    assert place(row, "forward", "bytes") == (600_000_000, True)
    row = made.not_run(7, 1, why="too slow", seconds=9, gigabytes=2)
    assert place(row, "forward", "bytes") == (2e9, False)
    assert place(row, "training", "seconds") == (None, False)
