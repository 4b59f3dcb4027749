import dataclasses

import pytest

from timellama.experiments.sweep import Cell, Sweep


@pytest.fixture
def sweep(sample_run):
    return Sweep(
        run=dataclasses.replace(sample_run, task="efficiency"),
        variates=(21, 7),
        batch_sizes=(32, 1),
        threads=2,
        seconds=1.5,
        longest_call=10,
        memory_share=0.5,
    )


def test_cells_are_ordered_from_small_to_large(sweep):
    assert list(sweep.cells()) == [(7, 1), (21, 1), (7, 32), (21, 32)]


def test_sweeps_and_cells_survive_a_round_trip_through_json(sweep):
    assert Sweep.from_json(sweep.to_json()) == sweep
    cell = sweep.cell(21, 32, train=False, backbone_folder="somewhere")
    assert Cell.from_json(cell.to_json()) == cell
    assert (cell.run.variates, cell.batch_size, cell.threads, cell.train) == (21, 32, 2, False)


def test_every_setting_is_part_of_the_identity(sweep):
    assert sweep.folder.startswith("efficiency/time-llama/H96-T512-tiny-gpt2-x2-")
    changed = {"variates": (7,), "batch_sizes": (1,), "threads": 1, "seconds": 2.0, "longest_call": 9}
    changed |= {"memory_share": 0.4, "run": dataclasses.replace(sweep.run, horizon=48)}
    assert set(changed) == {field.name for field in dataclasses.fields(Sweep)}
    folders = {dataclasses.replace(sweep, **{name: value}).folder for name, value in changed.items()}
    assert len(folders | {sweep.folder}) == len(changed) + 1
