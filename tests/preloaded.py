"""Snakemake's command line in a process that has imported it already, which saves each start most of its time.

The process is forked off one that has imported Snakemake and nothing of the project, so that it imports the package of
the folder that it is given, as a process of its own would.
"""

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["snakemake.cli"])


def snakemake(arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str], output: Path) -> int:
    """Run `snakemake` with these arguments in `folder`; the exit code, with what it wrote in the file `output`."""
    process = CONTEXT.Process(target=_main, args=(list(arguments), folder, dict(environment), output))
    process.start()
    process.join()
    return process.exitcode


def _main(arguments: list[str], folder: Path, environment: dict[str, str], output: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    with output.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout = os.fdopen(1, "w")
    sys.stderr = os.fdopen(2, "w", buffering=1)
    assert not [name for name in sys.modules if name.split(".")[0] == "timellama"], "the package of another folder"
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    sys.path[:] = ["", *environment.get("PYTHONPATH", "").split(os.pathsep), *sys.path]
    sys.argv = ["snakemake", *arguments]

    from snakemake.cli import main

    main()
