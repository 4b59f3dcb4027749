"""A killed test run leaves a Slurm behind: the next run removes this one and no other."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.slurm.conftest import OURS, clear, wait_until


@pytest.fixture
def left(tmp_path):
    """The folder of a run and, next to it, the links in a substitute for /etc/slurm."""
    run, etc = tmp_path / "run", tmp_path / "etc"
    run.mkdir()
    etc.mkdir()
    (run / "slurm.conf").write_text(OURS + "ClusterName=test\n")
    (run / "gres.conf").write_text("Name=gpu\n")
    for name in ("slurm.conf", "gres.conf"):
        (etc / name).symlink_to(run / name)
    return run, etc


@pytest.fixture
def daemon(left):
    """A process with slurmd's name, registered in the folder as slurmd."""
    program = left[0] / "slurmd"
    shutil.copy(shutil.which("sleep"), program)
    process = subprocess.Popen([program, "600"])
    (left[0] / "slurmd.pid").write_text(f"{process.pid}\n")
    wait_until(lambda: name_of(process) == "slurmd", "the process has its name")
    yield process
    process.kill()
    process.wait()


def name_of(process) -> str:
    return Path(f"/proc/{process.pid}/comm").read_text().strip()


def test_its_daemons_are_stopped_and_its_links_removed(left, daemon):
    clear(left[1] / "slurm.conf")
    assert daemon.wait(10) == -15
    assert not list(left[1].iterdir())


def test_its_links_are_removed_even_if_its_folder_is_gone(left):
    shutil.rmtree(left[0])
    clear(left[1] / "slurm.conf")
    assert not list(left[1].iterdir())


def test_a_process_that_got_the_same_id_since_is_left_running(left, daemon):
    (left[0] / "slurmctld.pid").write_text(f"{daemon.pid}\n")
    (left[0] / "slurmd.pid").unlink()
    clear(left[1] / "slurm.conf")
    assert daemon.poll() is None


@pytest.mark.parametrize("linked", [True, False])
def test_another_slurm_is_left_alone(left, daemon, linked):
    (left[0] / "slurm.conf").write_text("ClusterName=real\n")
    if not linked:
        (left[1] / "slurm.conf").unlink()
        (left[1] / "slurm.conf").write_text("ClusterName=real\n")
    clear(left[1] / "slurm.conf")
    assert daemon.poll() is None
    assert {file.name for file in left[1].iterdir()} == {"slurm.conf", "gres.conf"}
