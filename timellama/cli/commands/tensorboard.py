"""`timellama tensorboard`: training curves for TensorBoard."""

from pathlib import Path
from typing import Annotated

import typer

from timellama.cli.console import RESULTS, console


def tensorboard(
    runs: Annotated[
        list[str] | None, typer.Argument(help="Runs, as for show; without any, every finished run.", metavar="[RUN]...")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the event files go, one folder per run.")] = RESULTS / "tensorboard",
) -> None:
    """Write the curves of finished trainings as event files: losses, learning rate, and what the routers chose.

    They come from history.csv and router.csv, so this can be done at any time and repeated. It needs the extra
    `tensorboard`.

    Examples:
      timellama tensorboard
      timellama tensorboard ETTh1/time-llama/H96 --out /tmp/curves
      tensorboard --logdir results/tensorboard
    """
    from timellama.core.errors import InputError
    from timellama.results import event_files
    from timellama.results.read.runs import every_run, find_run

    found = [find_run(text, results=RESULTS) for text in runs] if runs else every_run(results=RESULTS)
    if not found:
        raise InputError(f"no run below {RESULTS} is finished yet: let one finish first")
    written = event_files.write(found, out=out)
    curves = sum(count > 0 for count in written.values())
    console().print(f"{curves} runs, {sum(written.values())} values below {out}", soft_wrap=True)
    if curves < len(written):
        console().print(f"{len(written) - curves} runs train nothing and have no curves", soft_wrap=True)
