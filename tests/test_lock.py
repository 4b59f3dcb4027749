"""A folder belongs to one process; a live one is named, a dead one holds nothing."""

import os
import subprocess
import sys

import pytest

from tests.refusal import refused
from timellama.core.jobs.lock import locked

HOLD = """
import sys, time
from pathlib import Path
from timellama.core.jobs.lock import locked
with locked(Path(sys.argv[1]), purpose="it"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of `tmp_path/run`."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_live_process_is_named_and_left_alone(holder, tmp_path):
    with (
        refused("long/run", holder.pid, "kill"),
        locked(tmp_path / "run", purpose="long/run"),
    ):
        pytest.fail("the lock was given twice")
    assert holder.poll() is None and (tmp_path / "run" / "lock").exists()


def test_a_killed_process_holds_nothing(holder, tmp_path):
    holder.kill()
    holder.wait()
    assert str(holder.pid) in (tmp_path / "run" / "lock").read_text(encoding="utf-8")
    with locked(tmp_path / "run", purpose="it"):
        text = (tmp_path / "run" / "lock").read_text(encoding="utf-8")
        assert f"process {os.getpid()}," in text and str(holder.pid) not in text


def test_a_process_that_ends_normally_leaves_nothing(holder, tmp_path):
    holder.communicate("")
    assert holder.returncode == 0 and not (tmp_path / "run").exists()


def test_an_error_releases_the_lock_and_keeps_other_files(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path / "run", purpose="it"):
        (tmp_path / "run" / "checkpoint").write_bytes(b"x")
        raise KeyError
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["checkpoint"]
    with locked(tmp_path / "run", purpose="it"):
        pass


def test_not_even_the_same_process_gets_the_lock_twice(tmp_path):
    again = locked(tmp_path, purpose="it")
    with locked(tmp_path, purpose="it"), refused("it", os.getpid(), "kill"), again:
        pytest.fail("the lock was given twice")
