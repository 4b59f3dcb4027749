"""`timellama reference`: the numbers, tables and figures of a configuration that the repository keeps."""

from pathlib import Path
from typing import Annotated

import typer

from timellama.cli.console import (
    CHECK_FAILED,
    RESULTS,
    ConfigFile,
    Json,
    console,
    load_matrix,
    print_json,
    print_table,
    project,
    warn,
)

KEPT = Path("docs/reference")
GPU = "gpu"
Folder = Annotated[Path | None, typer.Option(help="The folder; by default docs/reference/<name of the configuration>.")]


def export(
    configfile: ConfigFile,
    results: Annotated[Path, typer.Option(help="Where the runs are.")] = RESULTS,
    folder: Folder = None,
    drop: Annotated[bool, typer.Option(help="Leave out kept results that are no longer planned.")] = False,
) -> None:
    """Make docs/reference/<configuration>/ from finished runs, or add those runs to it.

    Kept results stay; of two results with the same settings, the one that ended later counts. Tables are made from all
    of them, and cells without a result are dashes. No result is computed, and if anything fails nothing is written.

    Examples:
      timellama reference export --configfile config/cpu.yaml
    """
    from timellama.reports.reference import folder as reference_folder

    matrix = load_matrix(configfile)
    folder = folder or KEPT / matrix.config["name"]
    done = reference_folder.export(
        folder, matrix=matrix, configfile=configfile.as_posix(), results=results, root=project(), drop=drop
    )
    for name in done.stayed:
        warn(f"figure {name} stays as it was: not all runs that it shows are in {results}")
    console().print(
        f"{folder}: {done.results} of {done.planned} results, {done.added} of them new and {done.replaced} newer; "
        f"{len(done.drawn)} figures drawn; {done.size / 1e6:.1f} MB",
        soft_wrap=True,
    )


def check(folder: Folder = None, as_json: Json = False) -> None:
    """Rebuild the kept tables from the kept numbers, and name each file that does not match.

    Every folder in docs/reference is checked, or only the one that is named. The exit code is 1 if anything differs and
    2 if there is nothing to check. It needs no results, trains nothing and changes nothing.

    Examples:
      timellama reference check
    """
    import dataclasses

    from timellama.core.errors import InputError
    from timellama.reports.reference import folder as reference_folder

    root = project()
    # docs/reference/gpu belongs to `benchmarks/gpu`; a test compares its page with its numbers.
    configurations = sorted(path for path in KEPT.glob("*") if path.is_dir() and path.name != GPU)
    folders = [folder] if folder else configurations
    if not folders:
        raise InputError(f"{KEPT} keeps no reference: make one with `timellama reference export`")
    found = {place.as_posix(): reference_folder.check(place, root=root) for place in folders}
    if as_json:
        print_json({place: [dataclasses.asdict(each) for each in problems] for place, problems in found.items()})
    else:
        for place, problems in found.items():
            for each in problems:
                console().print(f"{each.path} {each.problem}", soft_wrap=True)
                console().print(f"    {each.remedy}", soft_wrap=True)
            count = f"{len(problems)} files are not" if problems else "all files are"
            console().print(f"{place}: {count} what the kept numbers give", soft_wrap=True)
    raise typer.Exit(CHECK_FAILED if any(found.values()) else 0)


def missing(
    configfile: ConfigFile,
    folder: Folder = None,
    experiment: Annotated[str | None, typer.Option(help="Only results of this experiment.")] = None,
) -> None:
    """Print the results that a configuration plans and its reference does not have, one per line, for snakemake.

    Examples:
      timellama reference missing --configfile config/cpu.yaml | xargs -r snakemake -j8 --configfile config/cpu.yaml --
    """
    from timellama.core.errors import InputError, did_you_mean
    from timellama.reports.reference import numbers as reference

    matrix = load_matrix(configfile)
    facts = reference.planned(matrix, configfile=configfile.as_posix())
    if experiment and experiment not in facts["experiments"]:
        hint = did_you_mean(experiment, facts["experiments"])
        raise InputError(f"--experiment {experiment!r}: {configfile} has {', '.join(facts['experiments'])}{hint}")
    folder = folder or KEPT / matrix.config["name"]
    there = reference.read(folder).results if folder.exists() else {}
    wanted = facts["experiments"][experiment]["results"] if experiment else reference.planned_results(facts)
    for path in wanted:
        if path not in there:
            typer.echo(path)


def compare(
    configfile: ConfigFile,
    results: Annotated[Path, typer.Option(help="Where your runs are.")] = RESULTS,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Say how far your runs are from the kept ones of the same settings.

    If there are several kept seeds, the standard deviation over them is shown beside each difference: a difference far
    below it changes no comparison. Another processor or later code gives other bits. Nothing is changed.

    Examples:
      timellama reference compare --configfile config/cpu.yaml
    """
    import dataclasses

    from timellama.core.errors import InputError
    from timellama.reports.reference import numbers as reference
    from timellama.reports.reference.repeats import repeats

    matrix = load_matrix(configfile)
    folder = folder or KEPT / matrix.config["name"]
    kept = reference.read(folder)
    found = repeats(kept, reference.find(kept.results, results=results))
    if not found:
        raise InputError(
            f"{results} has no run with the settings of one that {folder} keeps, except perhaps those that it was made "
            "from: run one, its path is a target (`timellama reference missing` lists the others)"
        )
    if as_json:
        print_json([dataclasses.asdict(each) for each in found])
        return
    rows = [
        (
            *(
                Path(each.result).parent.relative_to(RESULTS),
                each.error.upper(),
                f"{each.kept:.5f}",
                f"{each.here:.5f}",
            ),
            *(f"{each.difference:+.1e}", "" if each.spread is None else f"{each.spread:.1e}"),
            "same bits" if each.same_bits else "",
        )
        for each in found
    ]
    columns = ["run", "error", "kept", "here", "here - kept", "sd over seeds", ""]
    print_table(columns, rows, right=columns[2:6])
    furthest = max(found, key=lambda each: abs(each.share))
    of_chance = [abs(each.difference) / each.spread for each in found if each.spread]
    facts = {
        "runs": f"{len(found)}, {sum(each.same_bits for each in found)} with the same bits",
        "furthest apart": f"{abs(furthest.share):.2%} of the kept {furthest.error.upper()}",
        "of the sd over seeds": f"{max(of_chance):.2g} at most" if of_chance else "no run has several kept seeds",
        "kept on": ", ".join(sorted({each.kept_processor for each in found})),
        "here on": ", ".join(sorted({each.processor for each in found})),
        "same code": f"{sum(each.same_code for each in found)} of {len(found)}",
    }
    for name, value in facts.items():
        console().print(f"{name:<20}  {value}", soft_wrap=True)
