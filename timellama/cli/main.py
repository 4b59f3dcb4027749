"""The app behind the script `timellama`. A new command needs a module in `commands` and a line below."""

import typer

from timellama.cli.commands import (
    bench,
    compare,
    crate,
    croissant,
    data,
    doctor,
    forecast,
    plan,
    reference,
    run,
    show,
    status,
    tensorboard,
    verify,
)
from timellama.cli.console import CODES, Commands, add

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="A reproducibility benchmark harness for Time-LlaMA. It works in the folder that it is run in, with what "
    "came with the package. Only `run` and `bench` train.\n\n"
    "Examples:\n  timellama bench sales.csv --horizon 28\n  timellama doctor\n"
    "  timellama plan --configfile config/cpu.yaml\n"
    "  timellama data fetch --configfile config/cpu.yaml\n  timellama status --configfile config/cpu.yaml",
    epilog=CODES,
)
add(app, "bench", bench.bench)
add(app, "doctor", doctor.doctor)
add(app, "plan", plan.plan)
add(app, "run", run.run)
add(app, "status", status.status)
add(app, "show", show.show)
add(app, "compare", compare.compare)
add(app, "verify", verify.verify)
add(app, "crate", crate.crate)
add(app, "croissant", croissant.croissant)
add(app, "forecast", forecast.forecast)
add(app, "tensorboard", tensorboard.tensorboard)
kept = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="Numbers that the repository keeps.", epilog=CODES
)
add(kept, "export", reference.export)
add(kept, "check", reference.check)
add(kept, "missing", reference.missing)
add(kept, "compare", reference.compare)
app.add_typer(kept, name="reference")

files = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="The catalogue of data sets: list, fetch, verify, add.\n\nExamples:\n  timellama data list\n"
    "  timellama data fetch ETTh1\n  timellama data add my.csv --name Mine",
    epilog=CODES,
)
add(files, "list", data.list_)
add(files, "fetch", data.fetch)
add(files, "verify", data.verify)
add(files, "add", data.add)
app.add_typer(files, name="data")


if __name__ == "__main__":
    app()
