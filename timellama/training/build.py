"""From a run's specification to its model: the one place that knows both.

A method's constructor says by the names of its parameters what it needs: the run's sizes, its own
options, and, for methods with a language model, parts of the prepared backbone. Modules are imported by name when a run
asks for them, so that a run's code digest holds only the code it uses.
"""

import dataclasses
import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from timellama.experiments.run import RANDOM_SEED, Run
from timellama.methods.registry import method_of

BACKBONE_MODULES = ("timellama.backbones.blocks", "timellama.backbones.prepared")
STATISTICS_PROMPT = "timellama.methods.time_llama.statistics_prompt:StatisticsPrompt"


def entries_of(name: str) -> tuple[str, ...]:
    """The code that only runs of this method depend on, in the terms of `code_digest`."""
    method = method_of(name)
    return (method.network, *BACKBONE_MODULES) if method.backbone else (method.network,)


def model_class(name: str) -> type:
    """The class of a method's network."""
    return _named(method_of(name).network)


def _named(place: str) -> Any:
    module, name = place.split(":")
    return getattr(importlib.import_module(module), name)


def build(run: Run, *, backbone_folder: Path | None) -> Any:
    """Make the run's model with freshly initialised weights; the caller seeds torch.

    `backbone_folder` is the prepared folder of `run.backbone`. Raises ValueError where a run needs one and has none.
    """
    from timellama.methods.forecaster import as_forecaster

    kind = model_class(run.method)
    given = {name: getattr(run, name) for name in ("context", "horizon", "variates", "season")}
    given |= dataclasses.asdict(run.options)
    parts = _backbone_parts(run, backbone_folder)
    arguments = {}
    for name in inspect.signature(kind).parameters:
        if name in parts:
            arguments[name] = parts[name]()
        elif name in given:
            arguments[name] = given[name]
        else:
            raise ValueError(f"{kind.__name__} asks for {name!r}, which a run of {run.method!r} does not hold")
    return as_forecaster(kind(**arguments))


def _backbone_parts(run: Run, folder: Path | None) -> dict[str, Callable[[], Any]]:
    """What a method may ask of the prepared backbone, each loaded only when asked for."""
    if run.backbone is None:
        return {}
    if folder is None:
        raise ValueError(f"{run.method!r} needs the prepared folder of backbone {run.backbone.name!r}")
    backbone, prepared = (importlib.import_module(module) for module in BACKBONE_MODULES)
    import torch

    dtype = torch.bfloat16 if run.precision == "bfloat16" else torch.float32
    return {
        "backbone": lambda: backbone.load_backbone(folder, dtype=dtype),
        "prompt": lambda: _prompt(run, folder, prepared),
        "description": lambda: run.prompt,
        "embedding_table": lambda: prepared.embedding_table(folder).to(dtype),
        "embedding_scale": lambda: prepared.load_prepared(folder).embedding_scale,
        "tokenise": lambda: prepared.tokeniser(folder),
    }


def _prompt(run: Run, folder: Path, prepared: Any) -> Any:
    """The embeddings [P, D] of the run's prompt, or, for its kind `statistics`, what makes them for each sample."""
    kind = run.options.prompt
    if kind not in ("random", "statistics"):
        return prepared.prompt_rows(folder, run.prompt or "")
    tokenise, table = prepared.tokeniser(folder), prepared.embedding_table(folder)
    scale = prepared.load_prepared(folder).embedding_scale
    if kind == "random":
        import torch

        draw = torch.Generator().manual_seed(RANDOM_SEED)
        return table[torch.randint(len(table), (len(tokenise(run.prompt)),), generator=draw)].float() * scale
    return _named(STATISTICS_PROMPT)(
        context=run.context, description=run.prompt, tokenise=tokenise, embedding_table=table, scale=scale
    )
