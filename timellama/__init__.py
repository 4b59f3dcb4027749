"""timellama: a reproducibility benchmark harness for Time-LlaMA (arXiv 2502.13725).

`timellama.bench(df, horizon=28)` says which method forecasts a DataFrame best, and `timellama.load_run(path)` returns a
trained run to forecast with; an error that the user can fix is a `timellama.InputError`. Each is loaded when it is
first used, so planning imports neither torch nor pandas.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from timellama.core.errors import InputError
    from timellama.own_data.api import bench, load_run

__all__ = ["InputError", "__version__", "bench", "load_run"]
__version__ = "0.1.0"
PLACES = {"InputError": "timellama.core.errors"} | dict.fromkeys(("bench", "load_run"), "timellama.own_data.api")


def __getattr__(name: str) -> Any:
    if name in PLACES:
        return getattr(importlib.import_module(PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
