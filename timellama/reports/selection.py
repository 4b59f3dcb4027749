"""Which runs of an experiment a figure shows. Each function takes the plan and, for a figure of one data set, its name.

All raise InputError as `Matrix.experiment` does.
"""

from timellama.experiments.matrix import Matrix
from timellama.experiments.run import Run

OURS = "time-llama"
CONTROLS = ("time-llama-none", "time-llama-attention", "time-llama-random-frozen")  # of its language model
OTHER = "itransformer"  # its tokens are variates too, and it has no language model


def _grid(matrix: Matrix) -> list[Run]:
    """The runs at the first horizon and the look-back of each data set of `long_term`.

    A run under `also` may have another look-back, or a data set that is not in the grid.
    """
    settings = matrix.config["experiments"]["long_term"]["datasets"] if "long_term" in matrix.runs else {}
    shown = {(of, setting["horizons"][0], setting["context"]) for of, setting in settings.items()}
    return [run for run in matrix.experiment("long_term") if (run.dataset, run.horizon, run.context) in shown]


def _of_first_dataset(matrix: Matrix) -> list[Run]:
    """Those of `_grid` that are of the first data set."""
    runs = _grid(matrix)
    first = next(iter(matrix.config["experiments"]["long_term"]["datasets"]))
    return [run for run in runs if run.dataset == first]


def routers(matrix: Matrix, _: str | None) -> list[Run]:
    """Those of Time-LlaMA in the grid."""
    return [run for run in _grid(matrix) if run.variant == OURS]


def first_router(matrix: Matrix, _: str | None) -> list[Run]:
    """One of Time-LlaMA on the first data set."""
    return [run for run in _of_first_dataset(matrix) if run.variant == OURS][:1]


def trained(matrix: Matrix, _: str | None) -> list[Run]:
    """Those on the first data set that train something."""
    return [run for run in _of_first_dataset(matrix) if run.training is not None]


def first_seeds(matrix: Matrix, dataset: str | None) -> list[Run]:
    """For a data set, one run per method and backbone."""
    runs = [run for run in _grid(matrix) if run.dataset == dataset]
    first = {(run.variant, run.backbone): run for run in reversed(runs)}
    return list(reversed(first.values()))


def active_loras(matrix: Matrix, _: str | None) -> list[Run]:
    """Those of `active_loras` that train something: the floors have no active modules."""
    return _trained("active_loras", matrix)


def llm_worth(matrix: Matrix, _: str | None) -> list[Run]:
    """Those of Time-LlaMA, of its controls without the language model, and of iTransformer."""
    shown, names = (OURS, *CONTROLS, OTHER), ("long_term", "few_shot", "llm_value")
    runs = [run for name in names for run in matrix.runs.get(name, ()) if run.variant in shown]
    return list({run.folder: run for run in runs}.values())


def depth(matrix: Matrix, _: str | None) -> list[Run]:
    """Those of `depth` that train something: the floors have no blocks."""
    return _trained("depth", matrix)


def prompts(matrix: Matrix, _: str | None) -> list[Run]:
    """Those of `prompts` that train something: the floors read no prompt."""
    return _trained("prompts", matrix)


def with_intervals(matrix: Matrix, _: str | None = None) -> list[Run]:
    """Those of `long_term` that get intervals, where the configuration requests them; a run on M4 has none."""
    asked = matrix.runs.get("long_term", ()) if matrix.config.get("intervals", False) else ()
    return [run for run in asked if run.task != "short-term"]


def _trained(experiment: str, matrix: Matrix) -> list[Run]:
    return [run for run in matrix.experiment(experiment) if run.training is not None]


def full_models(matrix: Matrix, _: str | None) -> list[Run]:
    """Those of the full model, by active modules."""
    return [run for run in matrix.experiment("active_loras") if run.variant == OURS]
