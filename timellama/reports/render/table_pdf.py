"""A table's LaTeX as PDF, by pdflatex."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from timellama.core.errors import InputError
from timellama.core.files import staged

COMPILER = "pdflatex"
PASSES = 2  # the second knows where the parts of a long table are
LONGEST = 120  # seconds, our choice: a table takes a few
SHOWN = 1500  # our choice: characters of the log's end, which hold the error
# A PDF of the same table has the same bytes: its dates and its identifier follow the clock set by these.
CLOCK = {"SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1"}


def compiled(tex: Path, pdf: Path) -> None:
    """Compiles `tex` to `pdf`; a reader sees a whole file or none.

    Raises:
        InputError: there is no pdflatex, it takes too long, or it finds an error.
    """
    if shutil.which(COMPILER) is None:
        raise InputError(
            f"{pdf} needs {COMPILER}, which is not on PATH: install TeX Live with booktabs and graphicx (Debian: "
            "texlive-latex-recommended), or read the .md or .html beside it"
        )
    with tempfile.TemporaryDirectory() as folder:
        shutil.copyfile(tex, Path(folder) / "table.tex")
        command = [COMPILER, "-halt-on-error", "-interaction=nonstopmode", "-no-shell-escape", "table.tex"]
        for _ in range(PASSES):
            try:
                done = subprocess.run(
                    command,
                    cwd=folder,
                    env=os.environ | CLOCK,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    timeout=LONGEST,
                )
            except subprocess.TimeoutExpired as error:
                raise InputError(f"{COMPILER} took more than {LONGEST} s over {tex}: run it there yourself") from error
            if done.returncode:
                raise InputError(f"{COMPILER} cannot compile {tex}: {done.stdout[-SHOWN:]}")
        with staged(pdf) as [name]:
            shutil.copyfile(Path(folder) / "table.pdf", name)
