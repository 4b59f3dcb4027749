"""Chronos, Chronos-Bolt and Chronos-2: foundation models for time series, which forecast data that they never saw.

Nothing is trained. The forecast is the median that the library's `predict_quantiles` gives for each variate alone. If H
is more than the model forecasts at once, each of the three continues in its own way. Chronos itself takes quantiles of
samples, which are drawn from the same seed for every batch (`methods.forecaster.Asked`).

Ansari et al. 2024 (arXiv 2403.07815) and 2025 (Chronos-2, arXiv 2510.15821); github.com/amazon-science/
chronos-forecasting, version 2.3.2: `chronos/base.py`, `chronos.py`, `chronos_bolt.py`, `chronos2/pipeline.py`. Only
safetensors are read, never a pickle, and no code comes with a model. Planning loads neither torch nor the library.
"""

import functools
import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from timellama.core.errors import InputError
from timellama.core.files import sha256_of
from timellama.core.values import Text
from timellama.methods.method import LibraryMethod, Sizes, Stack

if TYPE_CHECKING:
    from torch import Tensor, nn

    from timellama.methods.forecaster import Forecaster

EXTRA = "timellama[chronos]"
FILES = ("*.json", "*.safetensors")  # what a model is read from
SERIES = 256  # series that pass at once: the library's own default, `predict_df` of chronos/base.py
# For a pass's memory, the sizes of the largest Chronos-Bolt: T5-base's width and feed-forward, patches of 16 steps.
PATCH, WIDTH, FEED_FORWARD, BLOCKS = 16, 768, 3072, 12


@dataclass(frozen=True, kw_only=True)
class ChronosOptions:
    """A Chronos model: a folder on this machine or a repository of the hub; trains nothing.

    pin: the digest of the model's files, which the first run reports; for a repository of the hub, its commit and a
    hyphen before it.
    """

    model: Text
    pin: Annotated[str, Field(pattern="^([0-9a-f]{40}-)?[0-9a-f]{64}$")]


def stack(_: ChronosOptions, sizes: Sizes) -> Stack:
    """Encoder blocks over the patches of each variate; the weights do not count: planning does not see them."""
    patches = math.ceil(sizes.context / PATCH)
    kept = 10 * WIDTH + 4 * FEED_FORWARD
    return Stack(tokens=sizes.variates * patches, layers=BLOCKS, parameters=0, kept=kept, trained=0)


METHOD = LibraryMethod(
    name="chronos",
    options=ChronosOptions,
    network=f"{__name__}:network",
    trains=False,
    alone=True,
    stack=stack,
    libraries=("chronos-forecasting",),
)


def network(*, horizon: int, model: str, pin: str) -> "Forecaster":
    """The model with its published weights, none of which is trained.

    Raises InputError if the library is not installed, if the model is missing, is not a Chronos model or has no
    safetensors, and if its files do not match the pin.
    """
    try:
        from chronos import BaseChronosPipeline
    except ImportError as error:
        raise InputError(
            f"{model} is read by chronos-forecasting, which cannot be imported ({error}); "
            f"install it with pip install '{EXTRA}'"
        ) from error
    import torch

    from timellama.methods.forecaster import Asked

    folder = _pinned(model, pin)
    try:
        with torch.device("cpu"):
            pipeline = BaseChronosPipeline.from_pretrained(
                folder, dtype=torch.float32, use_safetensors=True, local_files_only=True, trust_remote_code=False
            )
    except Exception as error:  # the library and transformers raise many kinds here, all of them about the files
        raise InputError(
            f"{folder} cannot be read as a Chronos model ({type(error).__name__}: {error}); name a folder with "
            "config.json and model.safetensors, as save_pretrained writes it"
        ) from error
    return Asked(pipeline.model.requires_grad_(False), functools.partial(median, pipeline, horizon))


def median(pipeline: Any, horizon: int, _: "nn.Module", x: "Tensor") -> "Tensor":
    """x [B, T, N] to the forecast [B, H, N], the median for each variate alone, of at most `SERIES` series at once.

    Raises InputError for x without numbers, which is used to count operations.
    """
    import torch
    from chronos import Chronos2Pipeline

    if x.is_meta:
        raise InputError("the operations of Chronos cannot be counted; leave it out with --without and its name")
    batch, _, variates = x.shape
    together = isinstance(pipeline, Chronos2Pipeline)  # reads groups of series: here each series is its own group
    made = []
    for part in x.float().cpu().transpose(1, 2).flatten(0, 1).split(SERIES):
        asked = {"prediction_length": horizon, "quantile_levels": [0.5]}
        quantiles, _ = pipeline.predict_quantiles(part.unsqueeze(1) if together else part, **asked)
        made.append(torch.cat(quantiles) if together else quantiles)
    return torch.cat(made).squeeze(-1).unflatten(0, (batch, variates)).transpose(1, 2).to(x.device)


def digest_of(folder: Path) -> str:
    """The pin of a folder: the SHA-256 over the names and SHA-256s of the files that a model is read from."""
    files = sorted({file for form in FILES for file in folder.glob(form)})
    return hashlib.sha256("".join(f"{sha256_of(file)}  {file.name}\n" for file in files).encode()).hexdigest()


def _pinned(model: str, pin: str) -> Path:
    commit, hyphen, pinned = pin.rpartition("-")
    folder = _of_hub(model, commit) if commit else Path(model).expanduser()
    if not folder.is_dir():
        raise InputError(
            f"the model {folder} is not a folder here; name one, or a repository of the hub, with its commit and a "
            "hyphen before the digest in the pin"
        )
    if (digest := digest_of(folder)) != pinned:
        found = f"{commit}{hyphen}{digest}"
        raise InputError(f"the pin is {pin}, the files of {folder} give {found}; set the pin that you mean")
    return folder


def _of_hub(model: str, commit: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, revision=commit, allow_patterns=list(FILES)))
    except Exception as error:  # from the library, the network or the disk
        raise InputError(
            f"{model} at {commit} cannot be fetched from the hub ({error}); fetch it with `hf download {model} "
            f"--revision {commit} --local-dir FOLDER`, name the folder as the model, and pin its files"
        ) from error
