"""`timellama verify`: whether reports, results, data and code still match the provenance index."""

from pathlib import Path
from typing import Annotated

import typer

from timellama.cli.console import CHECK_FAILED, Json, console, print_json


def verify(
    provenance: Annotated[Path, typer.Option(help="The index that the workflow made with the reports.")] = Path(
        "reports/provenance.json"
    ),
    as_json: Json = False,
) -> None:
    """Recompute every digest behind the reports, and name what no longer matches.

    An edited report, a result that was tampered with, a result of other code than the present, other data or another
    language model: each is named with what to do, and the exit code is 1. Nothing is changed.

    Examples:
      timellama verify
      timellama verify --json
    """
    import dataclasses

    from timellama.reports import provenance_index
    from timellama.reports.verify import verify as compare

    verdict = compare(provenance_index.read(provenance))
    if as_json:
        print_json(dataclasses.asdict(verdict))
    else:
        for each in verdict.mismatches:
            console().print(f"{each.path} {each.problem}", soft_wrap=True)
            console().print(f"    {each.remedy}", soft_wrap=True)
        summary = f"{verdict.reports} reports, {verdict.results} results, {verdict.files} files looked at: "
        count = len(verdict.mismatches)
        console().print(summary + (f"{count} do not match" if count else "all match"), soft_wrap=True)
    raise typer.Exit(CHECK_FAILED if verdict.mismatches else 0)
