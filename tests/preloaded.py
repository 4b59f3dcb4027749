"""A Python whose processes are forked from one that has imported the libraries, so that a short job starts at once.

`PreloadedPython` starts the server and writes an executable that stands in for `python`: it hands its arguments,
folder, environment and standard streams to the server, which forks a process that becomes what the real one would be.
The server imports only libraries and nothing of the project, so each process imports the package in its own folder.
"""

import atexit
import contextlib
import gc
import importlib
import json
import multiprocessing
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

# What the workflow's jobs import, except what reads the environment at import (huggingface_hub, transformers).
LIBRARIES = (
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "pandas",
    "pydantic",
    "scipy.special",
    "scipy.stats",
    "snakemake.cli",
    "snakemake.script",
    "torch",
    "torch._dynamo",  # which the first optimizer imports
    "yaml",
)

CLIENT = Path(__file__).with_name("preloaded_client.py")


class PreloadedPython:
    """The server and its executable, `self.executable`, both in `folder`; `close` ends the server."""

    def __init__(self, folder: Path):
        address = folder / "socket"
        self.executable = folder / "python"
        self.executable.write_text(
            f'#!/bin/sh\nexec "{sys.executable}" -IS "{CLIENT}" "{address}" "{sys.executable}" "$0" "$@"\n',
            encoding="utf-8",
        )
        self.executable.chmod(0o755)
        # -P: nothing is imported from the folder of this file or from where the tests are started.
        self._server = subprocess.Popen([sys.executable, "-P", __file__, str(address)], stdout=subprocess.PIPE)
        self._server.stdout.read(1)

    def close(self) -> None:
        self._server.terminate()
        self._server.wait()
        self._server.stdout.close()


def _serve(address: str) -> None:
    """Fork a process for each request until whoever started the server is gone."""
    parent = os.getppid()
    for name in LIBRARIES:
        importlib.import_module(name)
    importlib.import_module("snakemake.cli").get_argument_parser()  # imports the plugins, whose options it has
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks that wait for the processes
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        os.write(1, b".")
        while os.getppid() == parent:
            if select.select([listening], [], [], 1)[0]:
                connection, _ = listening.accept()
                if os.fork() == 0:
                    listening.close()
                    _answer(connection)
                connection.close()


def _answer(connection: socket.socket) -> None:
    """Fork the process, send its exit code, and stop it if whoever requested it is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length = int.from_bytes(connection.recv(8, socket.MSG_WAITALL))
    first, streams, _, _ = socket.recv_fds(connection, 1, 3)
    asked = json.loads(first + connection.recv(length - 1, socket.MSG_WAITALL))
    process = multiprocessing.get_context("fork").Process(target=_become, kwargs={"streams": streams, **asked})
    process.start()
    if connection in select.select([connection, process.sentinel], [], [])[0]:
        process.terminate()
    process.join()
    with contextlib.suppress(BrokenPipeError):
        connection.sendall(str(process.exitcode).encode())
    os._exit(0)


def _become(
    *, arguments: list[str], folder: str, environment: dict[str, str], executable: str, streams: list[int]
) -> None:
    """Become `python ARGUMENTS` in that folder and environment, until this process ends."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w", 1)
    assert not [name for name in sys.modules if name.split(".")[0] == "timellama"], "it has another folder's package"
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    sys.executable = executable
    added = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    try:
        if arguments[0] == "-m":
            sys.argv[:] = arguments[1:]
            sys.path[:0] = ["", *added]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        elif arguments[0] == "-c":
            sys.argv[:] = ["-c", *arguments[2:]]
            sys.path[:0] = ["", *added]
            exec(compile(arguments[1], "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102  # as Python does
        else:
            sys.argv[:] = arguments
            sys.path[:0] = [str(Path(arguments[0]).parent), *added]
            runpy.run_path(arguments[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # a forked process skips them


if __name__ == "__main__":
    _serve(sys.argv[1])
