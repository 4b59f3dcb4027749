"""`timellama compare`: two runs side by side, with a paired test over seeds."""

from typing import Annotated

import typer

from timellama.cli.console import RESULTS, Json, console, print_json, print_table

VERDICTS = {None: "not tested", True: "differ", False: "no difference shown"}


def compare(
    first: Annotated[str, typer.Argument(help="A run's folder, or a unique part of its path.")],
    second: Annotated[str, typer.Argument(help="The run to compare it with.")],
    as_json: Json = False,
) -> None:
    """Compare two finished runs of one data set and horizon.

    One test pairs the two runs' finished siblings seed by seed and gives the 95 % t interval of the mean difference.
    The other, of Diebold and Mariano, compares these two runs over the windows of the test part, also with one seed.

    Examples:
      timellama compare 1f2e3d4c5b 0a1b2c3d4e
      timellama compare ETTh1/time-llama/H96-T512-s0 ETTh1/dlinear/H96-T512-s0 --json
    """
    from timellama.results.comparison import compare_runs
    from timellama.results.read.runs import find_run

    found = compare_runs(find_run(first, results=RESULTS), find_run(second, results=RESULTS))
    pair = (found.first, found.second)
    if as_json:
        import dataclasses

        print_json(
            {
                "runs": [each.run.folder for each in pair],
                "seeds": found.seeds,
                "differences": [dataclasses.asdict(each) | {"decided": each.decided} for each in found.differences],
                "settings": found.settings,
                "routers": [each.metrics["router"] for each in pair],
                "provenance": [each.metrics["provenance"] for each in pair],
                "notes": found.notes,
            }
        )
        return
    out = console()
    out.print(f"first   {pair[0].run.folder}\nsecond  {pair[1].run.folder}")
    rows = []
    for each in found.differences:
        interval = "" if each.decided is None else f"{each.mean:+.5f} +- {each.half_width:.5f}"
        values = (f"{each.first:.5f}", f"{each.second:.5f}", f"{each.first - each.second:+.5f}")
        over = f"{each.windows.p:.2g}" if each.windows else ""
        rows.append([found.first.label_of(each.metric), *values, each.pairs, interval, VERDICTS[each.decided], over])
    columns = ["error", "first", "second", "first - second", "seeds", "over seeds", "", "p over windows"]
    print_table(columns, rows, right=columns[1:5])
    if found.settings:
        print_table(["setting", "first", "second"], [(name, *values) for name, values in found.settings.items()])
    routed = [each.metrics["router"] for each in pair if each.metrics["router"]]
    if len(routed) == 2:
        rows = [
            (name, *(_spell(router[name]) for router in routed))
            for name in ("top_pattern_share", "entropy", "distinct_patterns", "collapsed_blocks")
        ]
        print_table(["router, block by block", "first", "second"], rows)
    for note in found.notes:
        out.print(f"note: {note}")


def _spell(values: list) -> str:
    return ", ".join(f"{value:.3f}" if isinstance(value, float) else str(value) for value in values) or "none"
