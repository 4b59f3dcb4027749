"""`timellama data`: the catalogue of data sets, its files, and user-supplied ones."""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timellama.cli.console import (
    CHECK_FAILED,
    RESULTS,
    Json,
    console,
    load_matrix,
    print_json,
    print_table,
    spell_bytes,
)
from timellama.cli.reading_options import SPLIT, AcceptQuirks, Frequency, Season, Shares, reads_a_file, shares_of
from timellama.core import layout
from timellama.core.errors import InputError, did_you_mean
from timellama.core.shipped import CATALOGUE, LOCAL_CATALOGUE, shipped

if TYPE_CHECKING:
    from timellama.data.files.detect import Asked

CACHE = layout.within(RESULTS, layout.CACHE)
CONTEXT, HORIZON = 512, 96  # paper, section 4.1: the look-back, and the shortest horizon

Names = Annotated[list[str] | None, typer.Argument(help="Data sets by name; none means all.", show_default=False)]
Config = Annotated[Path | None, typer.Option("--configfile", help="Those that a configuration uses.")]


def list_(names: Names = None, as_json: Json = False) -> None:
    """List the catalogue: sizes, licences, and which files are here.

    Examples:
      timellama data list
      timellama data list ETTh1 Weather --json
    """
    from timellama.data.catalogue.inventory import state_of

    mirrors = _mirrors()
    rows, told = [], []
    for dataset in chosen(names, None):
        states = [state_of(file, results=RESULTS, mirrors=mirrors) for file in dataset.files]
        sizes = [file.bytes for file in dataset.files]
        size = None if None in sizes else sum(sizes)
        state = ", ".join(dict.fromkeys(states))
        kinds = (dataset.name, dataset.rows, dataset.variates, dataset.frequency, dataset.domain)
        rows.append([*kinds, spell_bytes(size), state, dataset.licence])
        files = [
            {"path": file.path, "source": file.source, "sha256": file.sha256, "bytes": file.bytes, "state": where}
            for file, where in zip(dataset.files, states, strict=True)
        ]
        told.append(
            dict(zip(("name", "rows", "variates", "frequency", "domain"), kinds, strict=True))
            | {"season": dataset.season, "licence": dataset.licence, "generated": dataset.generated, "files": files}
        )
    if as_json:
        print_json(told)
        return
    right = ["rows", "variates", "size"]
    print_table(["name", "rows", "variates", "step", "about", "size", "files", "licence"], rows, right=right)


def fetch(names: Names = None, configfile: Config = None, as_json: Json = False) -> None:
    """Fetch the checked files of data sets to where the workflow looks for them.

    The files come from the cache, the mirrors (TIMELLAMA_MIRROR, the configuration's `mirrors`) or their publishers.
    Code, folders and cache are those of the workflow, which then has nothing left to fetch. Name data sets or a
    configuration. If some files cannot be fetched, the others still are; each failure is named, and the exit code is 1.

    Examples:
      timellama data fetch ETTh1 Weather
      timellama data fetch --configfile config/cpu.yaml
      TIMELLAMA_MIRROR=/path/to/folder timellama data fetch --configfile config/paper.yaml
    """
    if not names and not configfile:
        raise InputError("name the data sets to fetch, or a configuration with --configfile")
    from timellama.data.catalogue.inventory import RAW
    from timellama.data.catalogue.inventory import verify_files as verified
    from timellama.data.fetch.sources import fetch as bring

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    mirrors = _mirrors(configfile)
    done, failures = [], []
    for dataset in chosen(names, configfile):
        for file in dataset.files:
            target = layout.within(RESULTS, layout.RAW, path=file.path)
            right = target.is_file() and all(
                each.state == "ok" for each in verified([dataset], results=RESULTS) if each.path == target
            )
            if not right:
                try:
                    bring(file, target, mirrors=mirrors, cache=CACHE, progress=not as_json)
                except InputError as error:
                    failures.append({"dataset": dataset.name, "path": file.path, "error": str(error)})
                    continue
            done.append(
                {
                    "dataset": dataset.name,
                    "path": target,
                    "bytes": target.stat().st_size,
                    "was": RAW if right else "fetched",
                }
            )
    if as_json:
        print_json({"files": done, "failures": failures})
    elif done:
        rows = [[each["dataset"], each["path"], spell_bytes(each["bytes"]), each["was"]] for each in done]
        print_table(["data set", "file", "size", ""], rows, right=["size"])
    from timellama.cli.console import fail

    for failure in failures:
        fail(failure["error"])
    raise typer.Exit(CHECK_FAILED if failures else 0)


def verify(names: Names = None, configfile: Config = None, as_json: Json = False) -> None:
    """Recompute the SHA-256 of every file that is here, in results/raw and in the cache.

    The exit code is 1 if a file is wrong, or if one of a data set that was named is absent. Nothing is changed.

    Examples:
      timellama data verify
      timellama data verify ETTh1 --json
    """
    import dataclasses

    from timellama.data.catalogue.inventory import ABSENT, WRONG, verify_files

    found = list(verify_files(chosen(names, configfile), results=RESULTS))
    count = {state: sum(each.state == state for each in found) for state in ("ok", WRONG, ABSENT)}
    if as_json:
        print_json({"count": count, "files": [dataclasses.asdict(each) for each in found]})
    else:
        rows = [[each.dataset, each.path, each.state, (each.sha256 or "")[:12]] for each in found]
        shown = rows if names or configfile else [row for row in rows if row[2] != ABSENT]
        if shown:
            print_table(["data set", "file", "", "SHA-256"], shown)
        for each in found:
            if each.problem:
                console().print(f"{each.path}: {each.problem}", soft_wrap=True)
        console().print(f"{count['ok']} right, {count[WRONG]} wrong, {count[ABSENT]} not here")
    missing = bool(names or configfile) and count[ABSENT]
    raise typer.Exit(CHECK_FAILED if count[WRONG] or missing else 0)


@reads_a_file
def add(
    *,
    file: Annotated[Path, typer.Argument(help="A CSV, Parquet or Excel file; a CSV may be compressed with gzip.")],
    name: Annotated[str, typer.Option(help="The name that configurations use.")],
    licence: Annotated[str, typer.Option(help="The terms of the data.")] = "our own",
    domain: Annotated[str, typer.Option(help="What the data are about, in a word or two.")] = "own data",
    prompt: Annotated[
        str | None,
        typer.Option(help="Two to four sentences for the language model; {context} and {horizon} are filled in."),
    ] = None,
    asked: "Asked",
    frequency: Frequency = None,
    season: Season = None,
    split: Shares = SPLIT,
    context: Annotated[int, typer.Option(min=1, help="The look-back that must leave windows.")] = CONTEXT,
    horizon: Annotated[int, typer.Option(min=1, help="The horizon that must leave windows.")] = HORIZON,
    pin: Annotated[
        bool, typer.Option(help="Refuse the file once it has changed; else a changed file gives another run.")
    ] = True,
    accept_quirks: AcceptQuirks = False,
    dry_run: Annotated[bool, typer.Option(help="Print the entry and write nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Check a file of your own and add its entry to config/local/datasets.yaml, which git ignores.

    The format of the file is detected: separator, decimal mark, order of dates, frequency, wide or long. If something
    is ambiguous, an error asks for the option. Nothing is repaired unless you say how (--sort, --duplicates, --fill or
    --missing mask, --drop, --align); the repairs are counted in the entry and in quirks.json, and another repair gives
    another run. What is odd but real (duplicate timestamps, gaps, -9999) is counted, and declared only with
    --accept-quirks. A name or a file that is already in the catalogues is refused.

    Examples:
      timellama data add data/shop.csv --name Shop --domain sales --dry-run
      timellama data add data/shop.csv --name Shop --context 96 --horizon 24
      timellama data add load.csv --name Load --frequency 15min --split 0.6/0.2/0.2 --accept-quirks
      timellama data add sales.parquet --name Sales --fill seasonal --sort --duplicates mean --drop note
      timellama data add sensors.csv --name Sensors --missing mask
      timellama data add meter.csv.gz --name Meter --zone Europe/Berlin --day-first
    """
    from timellama.core.files import sha256_of
    from timellama.data.add_file import add_entry, as_text, describe, inspect_file, require_plain, require_windows
    from timellama.data.splits import Split

    shares = shares_of(split)
    found = inspect_file(file, asked=asked, frequency=frequency, season=season)
    if not accept_quirks:
        require_plain(found, file)
    windows = require_windows(
        found,
        Split(rule="ratio", **dict(zip(("train", "validation", "test"), shares, strict=True))),
        context=context,
        horizon=horizon,
    )
    entry = describe(
        found,
        name=name,
        source=str(file),
        sha256=sha256_of(file) if pin else None,
        size=file.stat().st_size,
        ratio=shares,
        licence=licence,
        domain=domain,
        prompt=prompt,
    )
    dataset = add_entry(shipped(CATALOGUE), name, entry, file, own=Path(LOCAL_CATALOGUE), write=not dry_run)
    if as_json:
        print_json({"name": name, "written": not dry_run, "windows": windows, "told": found.told, "entry": entry})
        return
    out = console()
    if dry_run:
        out.print(as_text(name, entry), end="", soft_wrap=True)
    numbers = ", ".join(f"{number} {part}" for part, number in windows.items())
    done = "would be added" if dry_run else f"added to {LOCAL_CATALOGUE}"
    out.print(
        f"{name}: {dataset.rows} rows of {dataset.variates} variate(s), every {dataset.frequency}, {done}",
        soft_wrap=True,
    )
    for line in (f"from {found.first} to {found.last}", *found.told):
        out.print(line, soft_wrap=True)
    out.print(f"windows at context {context} and horizon {horizon}: {numbers}", soft_wrap=True)
    if not dry_run:
        out.print("name it under an experiment's `datasets` in a configuration:", soft_wrap=True)
        out.print(f"      {name}: {{context: {context}, horizons: [{horizon}]}}", soft_wrap=True)


def _mirrors(configfile: Path | None = None) -> list[str]:
    from timellama.data.fetch.sources import mirrors_from

    return mirrors_from(os.environ, load_matrix(configfile).config.get("mirrors", []) if configfile else [])


def chosen(names: list[str] | None, configfile: Path | None) -> list[Any]:
    """The data sets that are named, or that a configuration uses, or all."""
    from timellama.data.catalogue.datasets import load_datasets

    known = load_datasets()
    if names:
        for name in names:
            if name not in known:
                hint = did_you_mean(name, known)
                raise InputError(f"{name!r} is not in {CATALOGUE}; it has {', '.join(known)}{hint}")
        return [known[name] for name in dict.fromkeys(names)]
    if configfile:
        used = {run.dataset for run in load_matrix(configfile).every_run().values()}
        return [dataset for name, dataset in known.items() if name in used]
    return list(known.values())
