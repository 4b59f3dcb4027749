"""The table of time, memory and operations: a block per batch size, a group per number of variates, a row per method.

Time-LlaMA, PatchTST and Time-LLM at Traffic's 862 variates have the paper's samples per second below them
(config/published/efficiency_traffic.csv, measured on an NVIDIA L20). Another machine's samples per second say little;
their ratio to Time-LlaMA's is what the paper claims and what can be compared.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from timellama.cost.efficiency_sweep import IMPOSSIBLE, MEASURED, NO_MEMORY, TOO_SLOW
from timellama.reports.claims.rules import PAPER_CONTEXT, PAPER_VARIATES
from timellama.reports.efficiency_rows import order, place
from timellama.reports.render.cells import Block, Cell, Entry, Row, Table
from timellama.reports.render.markup import MISSING, SIGNIFICANT, listed, significant
from timellama.reports.render.origin import describe_commits, first_seen
from timellama.results.aggregate import read_published
from timellama.results.numbers import OWN

REFERENCE = "time-llama"
PAPER_SHAPE = {"variates": PAPER_VARIATES, "context": PAPER_CONTEXT}  # the paper does not state its batch
PAPER_DEVICE = "NVIDIA L20"
PAPER_ROW = f"paper, {PAPER_DEVICE}"
COUNTED = ("total", "trainable", "adapters")  # parameters
SPEED, RATIO, RESERVED = "samples_per_second", "speed_ratio", "reserved_peak_bytes"
Quantities = dict[str, tuple[float | None, bool]]  # by name, with its unit: the number, and whether it was measured
SHORT = {NO_MEMORY: "no memory", TOO_SLOW: "too slow", IMPOSSIBLE: "impossible"}


def _number(value: float | None, digits: int = SIGNIFICANT) -> Cell:
    return Cell(text=significant(value, digits), value=value)


def efficiency(rows: Sequence[Mapping[str, Any]], *, configuration: str, published: Path | None) -> Table:
    """The table from the rows of `efficiency_rows.read_sweeps`.

    Raises InputError where the paper's file cannot be read.
    """
    theirs = _published(published) if published else {}
    cuda = rows[0]["device"] != "cpu"
    names = first_seen(row["name"] for row in rows)
    header = _header(cuda)
    blocks: list[Block] = []
    numbers: list[dict[str, Any]] = []
    for size in order([row["batch_size"] for row in rows]):
        groups = []
        for variates in order([row["variates"] for row in rows]):
            here = [row for row in rows if (row["batch_size"], row["variates"]) == (size, variates)]
            here.sort(key=lambda row: names.index(row["name"]))
            found = [_quantities(row, here, cuda) for row in here]
            published = [_paper(row, here, theirs) for row in here]
            entries = [_entry(*of) for of in zip(here, found, published, strict=True)]
            numbers += itertools.chain(*map(_numbers, here, found, published))
            head = (Cell(text=str(variates), value=variates), *entries[0][0][1:])
            groups.append(((head, *entries[0][1:]), *entries[1:]))
        blocks.append(Block(header=header, groups=tuple(groups), title=f"Batch {size}"))
    cells = [cell.text for block in blocks for group in block.groups for e in group for row in e for cell in row]
    predicted = any(text.startswith("(") or "(predicted" in text for text in cells)
    paper = any(text == PAPER_ROW for text in cells)
    return Table(
        columns="ll" + "r" * (len(header[1]) - 2),
        blocks=tuple(blocks),
        caption="Efficiency: time, memory and operations of one forecast of a batch, and of one training step."
        + (" Numbers in parentheses were predicted, not measured." if predicted else ""),
        label="tab:efficiency",
        notes=(*_reading(rows, cuda=cuda, paper=paper), *_notes(rows), _origin(rows, configuration)),
        numbers=tuple(numbers),
    )


def _published(path: Path) -> dict[str, float]:
    """The paper's samples per second by label."""
    frame = read_published(path)
    return dict(zip(frame["method"], frame["samples_per_second"], strict=True))


def _header(cuda: bool) -> tuple[Row, Row]:
    reserved = (Cell(text="reserved"),) if cuda else ()
    above = (
        Cell(),
        Cell(),
        Cell(text="Latency, ms", span=2),
        Cell(text="Samples a second", span=2),
        Cell(text="Step,"),
        Cell(text="Peak memory, MB", span=2 + len(reserved)),
        Cell(text="Operations", span=2),
        Cell(text="Parameters, millions", span=3),
    )
    below = (
        *(Cell(text=text) for text in ("N", "Method", "median", "p95", "ours", "\N{MULTIPLICATION SIGN}", "ms")),
        *(Cell(text=text) for text in ("forecast", "training")),
        *reserved,
        *(Cell(text=text) for text in ("GFLOP", "% peak", "total", "trained", "adapters")),
    )
    return above, below


def _quantities(row: Mapping[str, Any], peers: Sequence[Mapping], cuda: bool) -> Quantities:
    """All numbers of a row; `peers` are the rows of its size, among them Time-LlaMA's."""
    done = row["forward_status"] == MEASURED
    speed, reference = row["samples_per_second"] if done else None, _reference(row, peers)
    counts = row.get("parameters", {})
    reserved = max((row.get(stage) or {}).get("reserved") or 0 for stage in ("forward", "training"))
    return {
        "latency_median_seconds": place(row, "forward", "seconds"),
        "latency_p95_seconds": (row["forward"]["p95"] if done else None, True),
        SPEED: (speed, True),
        RATIO: (speed / reference if speed and reference else None, True),
        "training_step_seconds": place(row, "training", "seconds"),
        "forecast_peak_bytes": place(row, "forward", "bytes"),
        "training_peak_bytes": place(row, "training", "bytes"),
        **({RESERVED: (reserved or None, True)} if cuda else {}),
        "forecast_flop": (row.get("flops"), True),
        "matmul_peak_share": (row.get("peak_share"), True),
        **{f"parameters_{key}": (counts.get(key), True) for key in COUNTED},
    }


def _paper(row: Mapping[str, Any], peers: Sequence[Mapping], theirs: Mapping[str, float]) -> dict[str, float | None]:
    """The paper's numbers beside a row; none for another shape than the paper's."""
    if {key: row[key] for key in PAPER_SHAPE} != PAPER_SHAPE or row["label"] not in theirs:
        return {}
    reference = theirs.get(next((peer["label"] for peer in peers if peer["variant"] == REFERENCE), ""))
    number = theirs[row["label"]]
    return {SPEED: number, RATIO: number / reference if reference else None}


def _numbers(row: Mapping[str, Any], found: Quantities, published: Mapping[str, float | None]) -> Iterator[dict]:
    """The flat rows of a row: one per quantity, whose `mean` is empty where there is no number.

    `status` says whether its stage, the forecast or the training step, was measured, or why not; a number is
    `predicted` where it is an estimate. The inputs are random, so there is no data set, seed or test window.
    """
    of = {"method": row["label"], "variant": row["variant"], "backbone": row["backbone"] or None}
    of |= {"horizon": row["horizon"], "look_back": row["context"], "commit": row["commit"]}
    size = {key: row[key] for key in ("variates", "batch_size")}
    machine = {key: row[key] for key in ("settings_of", "device", "processor", "threads", "dtype")}
    for name, (value, measured) in found.items():
        status = row["training_status" if name.startswith("training_") else "forward_status"]
        number = {"metric": name, "mean": value, "published": published.get(name)}
        known = {"status": status, "predicted": value is not None and not measured}
        yield dict.fromkeys(OWN) | of | number | size | known | machine


def _entry(row: Mapping[str, Any], found: Quantities, published: Mapping[str, float | None]) -> Entry:
    """A row of numbers, and below it the paper's where it has any for this shape."""
    values = {name: value for name, (value, _) in found.items()}
    ours = (Cell(), Cell(text=row["name"]), *_speed(row, values), _step(row, values), *_memory(found), *_size(values))
    if not published:
        return (ours,)
    paper = [_number(published[SPEED], 4), _number(published[RATIO])]
    rest = [Cell()] * (sum(cell.span for cell in ours) - 6)
    return ours, (Cell(), Cell(text=PAPER_ROW), Cell(), Cell(), *paper, *rest)


def _speed(row: Mapping[str, Any], values: Mapping[str, float | None]) -> tuple[Cell, ...]:
    """Median, 95th percentile, samples per second and their ratio; or why there are none, over all four."""
    reason, seconds = row["forward_status"], values["latency_median_seconds"]
    if reason == MEASURED:
        times = (seconds * 1e3, values["latency_p95_seconds"] * 1e3)
        return tuple(map(_number, (*times, values[SPEED], values[RATIO])))
    memory = values["forecast_peak_bytes"]
    if reason == NO_MEMORY and memory:
        reason += f" (predicted {significant(memory / 1e9)} GB)"
    if reason == TOO_SLOW and row.get("forward"):
        reason += f" (first call {significant(row['forward']['first'])} s)"
    elif reason == TOO_SLOW and seconds:
        reason += f" (predicted {significant(seconds)} s)"
    return (Cell(text=reason, span=4),)


def _reference(row: Mapping[str, Any], peers: Sequence[Mapping]) -> float | None:
    """Samples per second of Time-LlaMA on the row's backbone, or on the first one for a method without."""
    found = {peer["backbone"]: peer.get("samples_per_second") for peer in peers if peer["variant"] == REFERENCE}
    return found.get(row["backbone"], next(iter(found.values()), None))


def _step(row: Mapping[str, Any], values: Mapping[str, float | None]) -> Cell:
    if row["forward_status"] != MEASURED:
        return Cell(text=MISSING)
    if row["training_status"] != MEASURED:
        return Cell(text=SHORT[row["training_status"]])
    seconds = values["training_step_seconds"]
    return _number(seconds and seconds * 1e3)


def _memory(found: Quantities) -> Iterator[Cell]:
    """Peaks in MB: of forecasts, of training, and on CUDA what its allocator reserved for both."""
    for name in ("forecast_peak_bytes", "training_peak_bytes", RESERVED):
        if name in found:
            value, measured = found[name]
            cell = _number(value and value / 1e6)
            yield cell if measured or value is None else dataclasses.replace(cell, text=f"({cell.text})")


def _size(values: Mapping[str, float | None]) -> tuple[Cell, ...]:
    """GFLOP, share of the matmul peak, and parameters."""
    shown = {"forecast_flop": 1e-9, "matmul_peak_share": 100} | {f"parameters_{key}": 1e-6 for key in COUNTED}
    return tuple(_number(None if values[name] is None else values[name] * unit) for name, unit in shown.items())


def _reading(rows: Sequence[Mapping[str, Any]], *, cuda: bool, paper: bool) -> tuple[str, ...]:
    """How the columns were measured."""
    first = rows[0]
    peaks = [row["matmul_flops_per_second"] / 1e9 for row in rows if "matmul_flops_per_second" in row]
    calls = sorted(row["forward"]["calls"] for row in rows if row["forward_status"] == MEASURED)
    memory = (
        "Memory: the peak allocated by CUDA's allocator, and what it reserved."
        if cuda
        else "Memory: the peak resident size of the process, including libraries and model, excluding loading."
    )
    stopped = any({row["forward_status"], row.get("training_status")} & {NO_MEMORY, TOO_SLOW} for row in rows)
    ends = [significant(end(row["limit_bytes"] for row in rows) / 1e9) for end in (min, max)]
    limits = (
        "Out of memory, too slow: not run, or stopped, since it was predicted to exceed a limit, or did. Memory "
        f"limit: {' to '.join(dict.fromkeys(ends))} GB."
    )
    above = any(row.get("peak_share", 0) > 1 for row in rows)
    ours = any(row["variant"] == REFERENCE for row in rows)
    return (
        f"T {first['context']}, H {first['horizon']}; random inputs of the shape, not data; options as published for "
        f"{first['settings_of']} at every N. Each cell is a separate process with no other job of the workflow "
        "beside it.",
        "Latency: after warm-up, "
        + (f"{calls[0]} to {calls[-1]} calls; " if calls else "")
        + "p95 is the nearest rank, with fewer than 20 calls the slowest.",
        "\N{MULTIPLICATION SIGN}: samples per second as a multiple of Time-LlaMA's"
        + ("" if ours else ", which was not measured here")
        + (f"; paper: the same for its numbers on an {PAPER_DEVICE}, batch not stated." if paper else "."),
        memory,
        "GFLOP: by torch's counter, which leaves out the calculations named below; % peak: GFLOP per second in per "
        f"cent of a {'GPU' if cuda else 'CPU'} matmul timed in the same process"
        + (f" ({significant(min(peaks))} to {significant(max(peaks))} GFLOP per second" if peaks else "")
        + (")." if peaks else ".")
        + (
            " Above 100, the machine was slower when it was timed, or the counter includes a convolution's products "
            "with padding, which are never computed."
            if above
            else ""
        ),
        *([limits] if stopped else []),
    )


def _origin(rows: Sequence[Mapping[str, Any]], configuration: str) -> str:
    """Where the numbers come from."""
    first = rows[0]
    backbones = first_seen(row["backbone"] for row in rows if row["backbone"])
    versions = {f"{name} {version}" for row in rows for name, version in row["versions"].items()}
    sentences = [
        f"Configuration: {configuration}.",
        f"{'Backbone' if len(backbones) == 1 else 'Backbones'} (name x blocks): {listed(backbones)}."
        if backbones
        else "",
        f"Machine: {first['processor']}, {first['threads']} {'thread' if first['threads'] == 1 else 'threads'}, device "
        f"{first['device']}, {first['dtype']}.",
        f"Versions: {listed(sorted(versions))}.",
        describe_commits({row["commit"] for row in rows}),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _notes(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """What the counter did not count, by method, and why a cell was impossible."""
    uncounted: dict[str, set[str]] = {}
    for row in rows:
        uncounted.setdefault(row["name"], set()).update(row.get("uncounted", {}))
    alike: dict[str, list[str]] = {}
    for name, operations in uncounted.items():
        if operations:
            alike.setdefault(", ".join(sorted(operations)), []).append(name)
    notes = [f"{listed(names)}: {operations}" for operations, names in alike.items()]
    reasons = first_seen(
        f"{row['name']} at N {row['variates']}: {row['impossible']}" for row in rows if "impossible" in row
    )
    periods = first_seen(row["name"] for row in rows if row["variant"] == "timesnet")
    found = f"{listed(periods)} uses the periods that it finds, here in random inputs: its GFLOP do not scale with N."
    return (
        *([found] if periods else []),
        *(["Calculations not counted in the GFLOP: " + "; ".join(notes) + "."] if notes else []),
        *(f"Impossible: {reason}." for reason in reasons),
    )
