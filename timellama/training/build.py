"""From a run's specification to its model: the one place that knows both.

The parameter names of a method's constructor say what it needs: the run's sizes, its own options, and, for methods with
a language model, parts of the prepared backbone. Modules are imported by name when a run needs them, so that a run's
code digest holds only the code it uses.
"""

import dataclasses
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from timellama.core.errors import InputError, did_you_mean
from timellama.core.outside import failure, is_own, loaded
from timellama.experiments.memory import TRAINED
from timellama.experiments.run import Run
from timellama.methods.registry import OF_BACKBONE, SIZES, method_of
from timellama.methods.time_llama.prompts import embeddings_of, prompt_code

BACKBONE_MODULES = ("timellama.backbones.blocks", "timellama.backbones.prepared")


def entries_of(name: str, *, prompt: str | None) -> tuple[str, ...]:
    """The code that only runs of this method, and of this kind of prompt, depend on, as `code_digest` names it."""
    method = method_of(name)
    kind = (prompt_code(prompt),) if prompt else ()
    return (method.network, *kind, *BACKBONE_MODULES) if method.backbone else (method.network,)


def model_class(name: str) -> type:
    """The class of a method's network."""
    return loaded(method_of(name).network, of=f"the network of {name!r}")


def build(run: Run, *, backbone_folder: Path | None) -> Any:
    """Make the run's model with freshly initialised weights; the caller seeds torch.

    `backbone_folder` is the prepared folder of `run.backbone`. Raises ValueError if a run needs one and has none, and
    InputError as `constructed` does.
    """
    kind = model_class(run.method)
    given = sizes_of(run) | dataclasses.asdict(run.options)
    parts = _backbone_parts(run, backbone_folder)
    names = requested(run, kind, given=(*parts, *given))
    return constructed(run, kind, {name: parts[name]() if name in parts else given[name] for name in names})


def requested(run: Run, kind: type, *, given: Sequence[str]) -> tuple[str, ...]:
    """The parameters of a network's constructor, each of which is in `given`.

    Raises InputError for one that is not, and for an option that the network does not take.
    """
    names, said = tuple(inspect.signature(kind).parameters), f"method {run.method!r}: its network {kind.__name__}"
    for name in names:
        if name in given:
            continue
        if name in OF_BACKBONE:
            raise InputError(f"{said} has the parameter {name!r}, so its record must say backbone=True; add that")
        raise InputError(
            f"{said} has the parameter {name!r}, which is neither an option of its record nor one of the values that a "
            f"run provides ({', '.join((*SIZES, *OF_BACKBONE))}); make it an option, or remove it"
            f"{did_you_mean(name, given)}"
        )
    method = method_of(run.method)
    for field in dataclasses.fields(run.options):
        if field.name not in (*names, method.balance_weight, method.column_order):
            raise InputError(
                f"{said} does not take the option {field.name!r} of its record; add the parameter, or remove the option"
            )
    return names


def sizes_of(run: Run) -> dict[str, int]:
    """The sizes of a run that a constructor may request, by the names of `registry.SIZES`."""
    return {name: getattr(run, name) for name in SIZES} | {"calendar": len(run.calendar)}


def constructed(run: Run, kind: type, arguments: Mapping[str, Any]) -> Any:
    """The network of class `kind` with the hooks. Raises InputError if one from outside cannot be built."""
    from timellama.methods.forecaster import as_forecaster

    try:
        return as_forecaster(kind(**arguments), calendar=len(run.calendar))
    except Exception as error:  # whatever the constructor raises
        if isinstance(error, InputError) or is_own(method_of(run.method).network):
            raise
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items() if name not in OF_BACKBONE)
        raise InputError(
            f"method {run.method!r} cannot be built with {given}: {failure(error)}; correct its options, or the "
            "constructor"
        ) from error


def weight_bytes(model: Any, *, precision: str) -> int:
    """Bytes of a model's weights, and of what is kept of the trained ones, even if they are on torch's `meta`."""
    number = 2 if precision == "bfloat16" else 4
    frozen, trained = frozen_and_trained(model)
    return number * frozen + TRAINED * trained


def frozen_and_trained(model: Any) -> tuple[int, int]:
    """How many numbers a model holds that are not trained, such as an embedding table, and how many that are."""
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return sum(each.numel() for each in (*model.parameters(), *model.buffers())) - trained, trained


def _backbone_parts(run: Run, folder: Path | None) -> dict[str, Callable[[], Any]]:
    """What a method may request of the prepared backbone; each part is loaded only on request."""
    if run.backbone is None:
        return {}
    if folder is None:
        raise ValueError(f"{run.method!r} needs the prepared folder of backbone {run.backbone.name!r}")
    backbone, prepared = (importlib.import_module(module) for module in BACKBONE_MODULES)
    import torch

    dtype = torch.bfloat16 if run.precision == "bfloat16" else torch.float32
    return {
        "backbone": lambda: backbone.load_backbone(folder, dtype=dtype),
        "prompt": lambda: _prompt(run, prepared.Embedder(folder=folder)),
        "description": lambda: run.prompt,
        "embedding_table": lambda: prepared.embedding_table(folder).to(dtype),
        "embedding_scale": lambda: prepared.load_prepared(folder).embedding_scale,
        "tokenise": lambda: prepared.tokeniser(folder),
    }


def _prompt(run: Run, embedder: Any) -> Any:
    """What the run's kind of prompt makes of its text: embeddings [P, D], or a module that makes them.

    A run that reads no text gets no tokens, [0, D].
    """
    if run.prompt_kind is None:
        return embedder.rows("")
    return embeddings_of(run.prompt_kind, run.prompt or "", context=run.context, embedder=embedder)
