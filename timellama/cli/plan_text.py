"""The output of `timellama plan` as lines and tables for a terminal."""

from typing import Any

from timellama.cli.console import console, print_table, spell_bytes
from timellama.reports.render.markup import spell_time


def _by_cause(runs: list[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for run in runs:
        found.setdefault((run["method"], run["remedy"]), []).append(run)
    return found


def print_plan(answer: dict[str, Any]) -> None:
    """Print what `timellama plan --json` gives as JSON."""
    from timellama.data.catalogue.reading import plural

    out, runs = console(), answer["runs"]
    gpu = answer["device"] == "gpu"

    def say(text: str) -> None:
        out.print(text, soft_wrap=True)

    rows = [[name, counts["runs"], counts["left"]] for name, counts in answer["experiments"].items()]
    rows.append(["all, each once", runs["all"], runs["left"]])
    print_table(
        ["experiment", "runs", "left"], rows, right=["runs", "left"], title=f"configuration {answer['configuration']}"
    )
    for group in answer["impossible"]:
        of = f"{group['cells']} cell(s) of {', '.join(group['experiments'])}"
        say(f"Impossible: {group['who']}: {group['reason']} ({of})\n    {group['remedy']}")
    if again := runs["measured_again"]:
        they = "it was" if again == 1 else "they were"
        others = "other metrics, and this configuration names none"
        if answer["metrics"]:
            others = "other metrics than this configuration names, or by another version of them"
        say(f"{plural(again, 'finished run')} will be trained again: {they} measured by {others}.")
    cut = any(part["in_parts"] for part in answer["methods"].values())
    rows = [
        [
            name,
            part["runs"],
            spell_time(part["hours"] * 3600),
            f"{part['exaflop']:.3g}",
            spell_bytes(part["largest_bytes"]),
            *((spell_bytes(part["largest_bytes_whole"]), part["in_parts"], part["computed_again"]) if cut else ()),
        ]
        for name, part in sorted(answer["methods"].items(), key=lambda item: -item[1]["hours"])
    ]
    right = ["left", "time, one by one", "EFLOP", "memory at most"]
    right += ["if whole", "cut to fit", "computed again"] if cut else []
    print_table(["method", *right], rows, right=right, title="what is left, at most (early stopping makes it less)")
    basis, hours = answer["time"], answer["hours"]
    if basis["basis"] == "measured":
        say(
            f"Time: {len(basis['points'])} passes timed on this machine ({basis['device']}, random inputs and weights, "
            "nothing trained), other shapes scaled by counted operations."
        )
        if basis["device"] == "cpu":
            say(
                "It is processor time, as on an idle machine; just now a pass took "
                f"{basis['busy']:.1f} times as long by the clock."
            )
    else:
        say(
            f"Time: assumed, not measured: a GPU of {basis['peak_tflops']:g} TFLOP/s, of which runs reach "
            f"{100 * basis['share']:g} %, and {basis['microseconds_a_call']:g} us per operation that the host sends."
        )
    say(f"Each job takes {basis['job_overhead']:.0f} s beside its work.")
    unit = "GPU(s)" if gpu else "run(s) at once"
    if answer["side_by_side"] > 1:
        unit = f"GPU(s) with {answer['side_by_side']} runs side by side"
    for number, taken in hours["with_workers"].items():
        say(f"  {number:>3} {unit}: {spell_time(taken * 3600)}")
    parts = ", ".join(
        f"{name} {spell_time(hours[name] * 3600)}" for name in ("training", "validation", "test", "start")
    )
    say(f"Of the sum: {parts}")
    say(f"The longest run alone: {spell_time(hours['longest_run'] * 3600)}")
    needed = answer["workers_for_tomorrow"]
    if needed is None:
        say(f"Not by tomorrow with any number: {answer['longer_than_a_day']} run(s) take more than 24 h each")
    elif runs["left"]:
        say(f"By tomorrow (24 h): {needed} {unit}")
    rows = [
        [each["folder"], spell_time(each["hours"] * 3600), each["steps"], spell_bytes(each["bytes"])]
        for each in answer["longest"]
    ]
    print_table(["the longest runs", "time", "steps", "memory"], rows, right=["time", "steps", "memory"])
    memory = answer["memory"]
    say(
        f"Memory: {spell_bytes(memory['largest'])} for the largest run, {spell_bytes(memory['limit'])} "
        + ("per GPU" if gpu else "free")
    )
    if cut:
        say(
            f"A run may take {spell_bytes(int(memory['of_a_run']))}: the batches of runs that are cut to fit are "
            "processed in parts, or their layers are recomputed in the backward pass. Whole batches would take what "
            "`if whole` shows."
        )
    for each in answer["over_allowance"]:
        say(
            f"  {each['folder']} still takes {spell_bytes(each['bytes'])} at least: its weights alone, with what is "
            f"kept for the trained ones, take {spell_bytes(each['weight_bytes'])}"
        )
    for name, words in (("do_not_fit", "do not fit"), ("may_not_fit", "may not fit")):
        for (method, remedy), runs in _by_cause(answer[name]).items():
            bytes_ = sorted(run["bytes"] for run in runs)
            say(
                f"  {len(runs)} run(s) of {method} {words} ({spell_bytes(bytes_[0])} to {spell_bytes(bytes_[-1])} at "
                f"least): {remedy}; --json names them"
            )
    if answer["do_not_fit"]:
        say(f"  The times above include {spell_time(hours['of_runs_that_do_not_fit'] * 3600)} of runs that do not fit")
    for each in answer["downloads"]:
        size = spell_bytes(each["bytes"]) + (", by its shape" if each["estimated"] else "")
        say(f"Download: {each['name']} ({'size not published' if each['bytes'] is None else size})")
    disk = answer["disk"]
    say(f"Disk: {spell_bytes(disk['needed'])} more, {spell_bytes(disk['free'])} free")
    if answer["efficiency_sweeps"]:
        say(
            f"Not in these times: {answer['efficiency_sweeps']} efficiency sweep(s), which stop by themselves at "
            "`longest_call`"
        )
    checked = answer["checked_against"]
    if checked["runs"]:
        say(
            f"Check: for {checked['runs']} finished run(s), predicted to measured processor time "
            f"{checked['time_median']:.2f} ({checked['time_least']:.2f} to {checked['time_most']:.2f}), memory "
            f"{checked['memory_median']:.2f} ({checked['memory_least']:.2f} to {checked['memory_most']:.2f})"
        )
