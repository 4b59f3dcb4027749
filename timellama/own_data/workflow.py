"""Starts Snakemake with the rules of the project in any working folder."""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from timellama.core.shipped import SHIPPED, SNAKEFILE

BARS = "workflow/profiles/default"


def run_workflow(
    targets: Sequence[str],
    *,
    configfile: Path,
    folder: Path = Path(),
    jobs: int | None = None,
    dry_run: bool = False,
    quiet: bool = False,
    output: Path | None = None,
) -> int:
    """Make `targets` in `folder` and return Snakemake's exit code.

    A failed run does not stop the others. A terminal shows progress bars. `quiet` omits Snakemake's own lines, and
    `output` is a file that gets what is left. Ctrl-C goes to Snakemake, which stops its jobs; this waits for it and
    then raises KeyboardInterrupt.
    """
    # Never a Snakefile of the folder, which may have any origin.
    words = [sys.executable, "-m", "snakemake", "--snakefile", str(SHIPPED / SNAKEFILE), "--directory", str(folder)]
    words += ["--cores", str(jobs or len(os.sched_getaffinity(0))), "--keep-going", "--rerun-incomplete"]
    bars = sys.stdout.isatty() and sys.stderr.isatty() and not (dry_run or output)
    words += ["--workflow-profile", str(SHIPPED / BARS) if bars else "none"]
    words += ["--dry-run"] if dry_run else []
    words += ["--quiet", "rules", "host", "reason"] if quiet else []
    words += ["--configfile", str(configfile.resolve()), "--", *targets]
    with output.open("ab") if output else nullcontext() as file:
        process = subprocess.Popen(words, stdout=file, stderr=subprocess.STDOUT if output else None)
        stopped = False
        while True:
            try:
                code = process.wait()
                break
            except KeyboardInterrupt:
                stopped = True
    if stopped:
        raise KeyboardInterrupt
    return code
