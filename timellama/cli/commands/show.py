"""`timellama show`: one run's metrics, router statistics and provenance."""

from typing import Annotated

import typer

from timellama.cli.console import RESULTS, Json, console, print_json, print_table, spell_bytes
from timellama.reports.render.markup import spell_time


def show(
    run: Annotated[str, typer.Argument(help="The run's folder, or a unique part of its path.")],
    as_json: Json = False,
) -> None:
    """Show a finished run: its errors, its settings, what its routers chose, and where the number came from.

    Examples:
      timellama show 1f2e3d4c5b
      timellama show ETTh1/time-llama/H96-T512-s0 --json
    """
    import dataclasses

    from timellama.data.splits import PARTS
    from timellama.results.aggregate import describe_backbone, describe_commit
    from timellama.results.read.runs import find_run
    from timellama.training.scores.metric_objects import errors_of

    finished = find_run(run, results=RESULTS)
    if as_json:
        print_json({"folder": finished.folder, **finished.metrics})
        return
    spec, metrics, origin = finished.run, finished.metrics, finished.metrics["provenance"]
    rows = [
        (finished.label_of(name), "not finite" if value is None else f"{value:.6f}")
        for name, value in errors_of(metrics).items()
    ]
    rows.append(("test windows", metrics["n_windows"]))
    if "n_targets" in metrics:
        rows.append(("observed targets", f"{metrics['n_targets']:,}; missing ones count nowhere"))
    if metrics["validation_loss"] is not None:
        rows.append(("validation loss", f"{metrics['validation_loss']:.6f}"))
    if spec.training:
        rows.append(("steps", f"{metrics['steps']}, the best one {metrics['best_step']}"))
    parameters = metrics["parameters"]
    rows.append(("parameters", f"{parameters['total']:,}, of them trained {parameters['trainable']:,}"))
    seconds = metrics["seconds"]
    rows.append(("time", f"{spell_time(seconds['train'])} training, {spell_time(seconds['evaluate'])} testing"))
    rows.append(("peak memory", spell_bytes(metrics["peak_memory_bytes"])))
    print_table(["result", ""], rows, title=spec.folder)

    settings = [("method", spec.method), ("backbone", describe_backbone(metrics["run"]["backbone"]) or "none")]
    settings += [("training share", f"{spec.train_percent} %"), ("precision", spec.precision)]
    settings += [("compiled steps", spec.compiled)] if spec.compiled != "off" else []
    used = finished.used
    settings += list(dataclasses.asdict(used.options).items())
    settings += list(dataclasses.asdict(used.training).items()) if used.training else []
    print_table(["setting", ""], settings)
    if metrics["router"]:
        _print_router(metrics["router"])

    rows = [("commit", describe_commit(origin)), ("code", origin["source_digest"]), ("data", origin["data_sha256"])]
    if spec.reading:
        rows.append(("data read", spec.reading))
    if missing := origin.get("missing_targets"):
        rows.append(("missing cells", ", ".join(f"{missing[part]} {part}" for part in PARTS)))
    rows.append(("hardware", origin["hardware"]["host_class"]))
    rows.append(("versions", ", ".join(f"{name} {version}" for name, version in sorted(origin["versions"].items()))))
    rows.append(("started", origin["started"]))
    rows.append(("ended", origin["ended"]))
    if origin["resumed_at"]:
        rows.append(("resumed after steps", ", ".join(map(str, origin["resumed_at"]))))
    print_table(["provenance", ""], rows)


def _print_router(router: dict) -> None:
    modules = router["modules"]
    rows = [
        [block, *(f"{rate:.2f}" for rate in rates), patterns, f"{share:.2f}", f"{entropy:.3f}"]
        for block, (rates, patterns, share, entropy) in enumerate(
            zip(
                router["selection_rate"],
                router["distinct_patterns"],
                router["top_pattern_share"],
                router["entropy"],
                strict=True,
            )
        )
    ]
    columns = ["block", *modules, "patterns", "top pattern", "entropy"]
    print_table(columns, rows, right=columns, title="router: share of windows with each module on")
    if router["collapsed_blocks"]:
        console().print(f"collapsed: block {', '.join(map(str, router['collapsed_blocks']))}")
