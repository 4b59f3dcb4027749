"""timellama: a reproducibility benchmark harness for Time-LlaMA (arXiv 2502.13725).

`timellama.bench(df, horizon=28)` says which method forecasts a DataFrame best, and `timellama.load_run(path)` gives a
trained run to forecast with. Both are loaded when they are first used: planning imports neither torch nor pandas.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from timellama.own_data.api import bench, load_run

__all__ = ["__version__", "bench", "load_run"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in ("bench", "load_run"):
        found = importlib.import_module("timellama.own_data.api")
        globals().update(bench=found.bench, load_run=found.load_run)
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
