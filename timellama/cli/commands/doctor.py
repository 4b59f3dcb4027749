"""`timellama doctor`: whether this machine can run a configuration, and what to type if it cannot."""

import os

import typer

from timellama.cli.console import (
    CHECK_FAILED,
    DEFAULT_CONFIG,
    RESULTS,
    ConfigFile,
    Json,
    console,
    print_json,
    print_table,
)


def doctor(configfile: ConfigFile = DEFAULT_CONFIG, as_json: Json = False) -> None:
    """Check what a configuration needs of this machine, and say what to type for each gap.

    Python, libraries, torch and device, memory, disk, data and language models (here, in a mirror, or whether their
    publisher answers), git and LaTeX. Nothing is installed or fetched. The exit code is 1 if the configuration cannot
    run; warnings do not count.

    Examples:
      timellama doctor
      timellama doctor --configfile config/paper.yaml
      TIMELLAMA_MIRROR=/path/to/folder timellama doctor --configfile config/cpu.yaml --json
    """
    import dataclasses
    import functools

    from timellama.cli.checks import GAP, OK, can_run, examine, reachable
    from timellama.cli.own_parts import planned
    from timellama.data.fetch.sources import mirrors_from

    matrix = planned(configfile)
    mirrors = mirrors_from(os.environ, matrix.config.get("mirrors", ()))
    findings = list(examine(matrix, results=RESULTS, mirrors=mirrors, reach=functools.cache(reachable)))
    able = can_run(findings)
    if as_json:
        told = [dataclasses.asdict(finding) for finding in findings]
        print_json({"configuration": matrix.config["name"], "can_run": able, "findings": told})
    else:
        rows = [[each.name, each.state, each.found] for each in findings]
        print_table(["need", "", "found"], rows, title=f"configuration {matrix.config['name']}")
        out = console()
        for each in findings:
            if each.remedy and each.state != OK:
                out.print(f"{each.name}: {each.found}\n    {each.remedy}", soft_wrap=True)
        gaps = sum(each.state == GAP for each in findings)
        verdict = "can run here" if able else f"cannot run here: {gaps} gap(s)"
        out.print(f"configuration {matrix.config['name']} {verdict}", soft_wrap=True)
    raise typer.Exit(0 if able else CHECK_FAILED)
