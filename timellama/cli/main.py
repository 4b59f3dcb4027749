"""The app behind the script `timellama`. A new command is a module here and a line below."""

import typer

from timellama.cli import compare, forecast, show, status, tensorboard, verify
from timellama.cli.console import CODES, Commands, add

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="A reproducibility benchmark harness for Time-LlaMA. Run it in the project's folder. Experiments are run by "
    "snakemake; no command here trains.",
    epilog=CODES,
)
add(app, "status", status.status)
add(app, "show", show.show)
add(app, "compare", compare.compare)
add(app, "verify", verify.verify)
add(app, "forecast", forecast.forecast)
add(app, "tensorboard", tensorboard.tensorboard)


if __name__ == "__main__":
    app()
