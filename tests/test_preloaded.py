"""To a script, the preloaded Python is the same as a separate process."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

TELLS = """
import json, os, sys
print(json.dumps([sys.argv, os.getcwd(), os.environ.get("ASKED"), sys.path[:2], sys.executable, __name__, __file__]))
print(sys.stdin.read(), file=sys.stderr)
"""


@pytest.fixture
def script(tmp_path) -> Path:
    return tmp_path / "script.py"


def run(python: Path | str, script: Path, code: str) -> subprocess.CompletedProcess:
    script.write_text(code, encoding="utf-8")
    given = os.environ | {"ASKED": "here", "PYTHONPATH": "/somewhere"}
    return subprocess.run([python, script], input="given", text=True, capture_output=True, cwd=script.parent, env=given)


def test_a_script_sees_what_it_would_see_in_a_separate_process(preloaded_python, script):
    its_own, preloaded = (run(python, script, TELLS) for python in (sys.executable, preloaded_python))
    assert json.loads(preloaded.stdout) == json.loads(its_own.stdout)
    assert preloaded.stderr == its_own.stderr == "given\n"


def test_code_given_as_text_sees_the_same(preloaded_python, tmp_path):
    command = ["-c", TELLS.replace(", __file__", ""), "more", "of it"]
    given = {"input": "given", "text": True, "capture_output": True, "cwd": tmp_path}
    its_own, preloaded = (subprocess.run([python, *command], **given) for python in (sys.executable, preloaded_python))
    assert json.loads(preloaded.stdout) == json.loads(its_own.stdout)
    assert preloaded.stderr == its_own.stderr == "given\n"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("", 0),
        ("raise SystemExit(3)", 3),
        ("1 / 0", 1),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 137),
        ("import atexit; atexit.register(print, 'at the end')", 0),
        ("import threading; threading.Thread(target=print, args=('later',)).start()", 0),
    ],
)
def test_it_ends_as_a_separate_process_would(preloaded_python, script, code, status):
    its_own, preloaded = (run(python, script, code) for python in (sys.executable, preloaded_python))
    assert (
        preloaded.returncode == status == (its_own.returncode if its_own.returncode >= 0 else 128 - its_own.returncode)
    )
    assert preloaded.stdout == its_own.stdout
    assert preloaded.stderr.splitlines()[-1:] == its_own.stderr.splitlines()[-1:]


def test_it_imports_the_package_of_the_given_folder(preloaded_python, script, tmp_path):
    (tmp_path / "timellama").mkdir()
    (tmp_path / "timellama/__init__.py").write_text("print('another')")
    assert run(preloaded_python, script, "import timellama").stdout == "another\n"


def test_it_stops_with_the_process_that_requested_it(preloaded_python, script, tmp_path):
    script.write_text("import os, time; print(os.getpid(), flush=True); time.sleep(600)")
    with subprocess.Popen([preloaded_python, script], stdout=subprocess.PIPE, text=True) as asking:
        process = int(asking.stdout.readline())
        asking.kill()
    end = time.monotonic() + 60
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
