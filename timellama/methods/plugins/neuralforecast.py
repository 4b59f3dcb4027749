"""Networks of Nixtla's neuralforecast by name, such as NHITS, TiDE and TSMixer, trained like every method here.

Only the library's network is used: what its `forward` makes of a batch of windows. Loss, steps, learning rate, early
stopping and the scaling of the data are those of the run, and the library's settings for them are refused. So a network
is trained on standardised variates and not, as the library does for some, on windows scaled one by one.

Source: github.com/Nixtla/neuralforecast, version 3.3.0: `common/_base_model.py` for the batch that `forward` takes
(`_parse_windows`, `_predict_step_direct_batch`) and `models/` for the networks. Planning loads neither torch nor the
library, which takes seconds.
"""

import inspect
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator

from timellama.core.errors import InputError, did_you_mean
from timellama.core.values import Settings, refused, settings_text
from timellama.methods.method import LibraryMethod, Sizes, Stack

if TYPE_CHECKING:
    from torch import Tensor, nn

    from timellama.methods.forecaster import Forecaster

LIBRARY = "neuralforecast"
EXTRA = "timellama[neuralforecast]"
# The networks that forecast each variate alone and those that read all of them at once (the class's MULTIVARIATE in
# 3.3.0), each with the numbers that a pass keeps per step of a variate: measured by `timellama.cost.flops` at the
# library's sizes, T 512, H 96, N 7, 32 windows per step and 64 per forecast, the larger of the two. Autoformer, KAN,
# xLSTM and SOFTSSharp, whose operations cannot be counted, have the numbers of their nearest relatives.
ALONE = {
    **{"RNN": 588, "GRU": 3290, "LSTM": 2124, "TCN": 995, "DilatedRNN": 4742, "MLP": 19, "NHITS": 36, "NBEATS": 35},
    **{"NBEATSx": 35, "DLinear": 6, "NLinear": 5, "TFT": 15551, "VanillaTransformer": 6016, "Informer": 6389},
    **{"Autoformer": 6016, "PatchTST": 1526, "FEDformer": 5378, "BiTCN": 739, "TiDE": 103, "DeepNPTS": 292, "KAN": 292},
    "xLSTM": 4742,
}
TOGETHER = {
    **{"StemGNN": 23456, "TSMixer": 81, "TSMixerx": 45, "MLPMultivariate": 49, "iTransformer": 66, "SOFTS": 71},
    **{"SOFTSSharp": 71, "TimeMixer": 330, "RMoK": 987, "TimeXer": 1791, "XLinear": 9},
}
MEASURED = 512  # T
WIDTH, LAYERS = 512, 16  # of a stack with more weights than any of them has at its own sizes, except StemGNN's T^2
# The library's other networks, and what each needs that a run does not provide.
NEEDS = {
    "DeepAR": "is trained on distributions, one step ahead, where a run trains a forecast of H steps",
    "HINT": "needs the hierarchy of its series, which no data set here has",
    "TimeLLM": "brings a language model of its own; use the method time-llm",
    "TimesNet": "takes its periods from all windows of a batch; use the method timesnet, which does so for each",
}


def _checked(name: str) -> str:
    """The name of a network that can be run."""
    if name in NEEDS:
        raise refused(f"must be another network: {name} {NEEDS[name]}")
    known = (*ALONE, *TOGETHER)
    if name not in known:
        raise refused(f"must be one of {', '.join(known)}{did_you_mean(name, known)}")
    return name


@dataclass(frozen=True, kw_only=True)
class NeuralForecastOptions:
    """A network of neuralforecast, with the settings of its constructor that differ from the library's defaults."""

    model: Annotated[str, AfterValidator(_checked)]
    settings: Settings = "{}"

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", settings_text(self.settings))


def stack(options: NeuralForecastOptions, sizes: Sizes) -> Stack:
    """One layer over the steps of each variate, whatever sizes the settings choose.

    A look-back below the measured one counts as the measured one: what some networks keep grows only with their width.
    """
    return Stack(
        tokens=sizes.variates * max(sizes.context, MEASURED),
        layers=1,
        parameters=0,
        kept=(ALONE | TOGETHER)[options.model],
        trained=LAYERS * WIDTH * (sizes.context + sizes.horizon + WIDTH),
    )


METHOD = LibraryMethod(
    name=LIBRARY,
    options=NeuralForecastOptions,
    network=f"{__name__}:network",
    alone=lambda options: options.model in ALONE,
    batch_statistics=True,  # PatchTST and others normalise over the batch by default
    stack=stack,
    libraries=(LIBRARY,),
)


def network(*, context: int, horizon: int, variates: int, model: str, settings: str) -> "Forecaster":
    """The network `model` with its initial weights.

    Raises InputError if the library is not installed or is another version that lacks the network, for a setting that
    the network does not have or that the run decides, and for settings that the library refuses.
    """
    from timellama.methods.forecaster import Asked

    kind = _class(model)
    allowed = _settings_of(kind)
    chosen = json.loads(settings)
    for name in chosen.keys() - allowed:
        hint = did_you_mean(name, allowed) or f"; they are {', '.join(sorted(allowed))}"
        what = "is decided by the run" if name in inspect.signature(kind).parameters else "is unknown"
        raise InputError(f"settings of {model}: {name!r} {what}; remove it, or set one that the network has{hint}")
    sizes = {"h": horizon, "input_size": context} | ({"n_series": variates} if model in TOGETHER else {})
    try:
        made = kind(**sizes, **chosen, random_seed=_seed())
    except Exception as error:  # the library raises many kinds here, all of them about the settings
        raise InputError(
            f"{model} cannot be built with context {context}, horizon {horizon}, {variates} variates and {chosen}: "
            f"{type(error).__name__}: {error}; correct its settings"
        ) from error
    if made.RECURRENT:
        raise InputError(f"settings of {model}: recurrent {NEEDS['DeepAR'].partition(', ')[2]}; remove it")
    return Asked(made, forecast)


def forecast(made: "nn.Module", x: "Tensor") -> "Tensor":
    """x [B, T, N] to the forecast [B, H, N].

    The library's batch holds windows [B N, T, 1] of single variates, or [B, T, N] for a network that reads all at once.
    In training, the last batch of an epoch may be a single window, which has no batch statistics (BatchNorm refuses it,
    and the library never makes one): it is normalised by the running ones.
    """
    import torch

    batch, _, variates = x.shape
    y = x if made.MULTIVARIATE else x.transpose(1, 2).flatten(0, 1).unsqueeze(-1)
    nothing = dict.fromkeys(("futr_exog", "hist_exog", "stat_exog"))
    norms = [each for each in made.modules() if isinstance(each, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.train(made.training and len(y) > 1)
    values = made.loss.domain_map(made({"insample_y": y, "insample_mask": torch.ones_like(y), **nothing}))
    return values if made.MULTIVARIATE else values.unflatten(0, (batch, variates)).squeeze(-1).transpose(1, 2)


def _class(model: str) -> Any:
    try:
        from neuralforecast import models
    except ImportError as error:
        raise InputError(
            f"the network {model} needs neuralforecast, which cannot be imported ({error}); "
            f"install it with pip install '{EXTRA}'"
        ) from error
    kind = getattr(models, model, None)
    if kind is None or (model in TOGETHER) != kind.MULTIVARIATE:
        from neuralforecast import __version__

        raise InputError(
            f"neuralforecast {__version__} has no network {model} that reads "
            f"{'all variates at once' if model in TOGETHER else 'one variate'}; install 3.3 with pip install '{EXTRA}'"
        )
    return kind


def _settings_of(kind: Any) -> set[str]:
    """The parameters of a network's constructor that are not its base's, which are about data and training."""
    from neuralforecast.common._base_model import BaseModel

    return set(inspect.signature(kind).parameters) - set(inspect.signature(BaseModel.__init__).parameters)


def _seed() -> int:
    """The seed that torch's generator was given, in the library's range: a constructor seeds the generator again."""
    import torch

    return torch.initial_seed() % 2**32
