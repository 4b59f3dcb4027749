"""What a method is besides its network: its options, what it can do, and how its work grows.

No library is imported: planning reads these records and needs no torch.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from timellama.core.errors import InputError
from timellama.core.outside import is_own, named_failure
from timellama.methods.obstacles import Obstacle, Setting, none
from timellama.methods.space import Space

DESCRIPTION = "descriptive"  # the paper's kind of prompt, by its name: planning needs none of its code
# A block of a language model in terms of its width D. Sizes that a catalogue entry does not hold are taken from the
# catalogue's largest, Gemma-2B's: 26.25 D^2 parameters and a feed-forward width of 8 D.
BLOCK = 27  # parameters, in D^2
KEPT = 10 + 4 * 8  # numbers kept per token, in D: 10 around the attention, 4 around 8 D of feed-forward
VOCABULARY = 128_256  # tokens, Llama-3.2's; Gemma has twice as many


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What a method's work depends on besides its options.

    context T, horizon H, variates N, calendar C (0 if there is none); words: tokens of the prompt; blocks L and
    width D of the language model, 0 without one.
    """

    context: int
    horizon: int
    variates: int
    calendar: int
    words: int
    blocks: int
    width: int


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A method as a stack of layers: `tokens` per window, `layers`, parameters and kept numbers per layer, and the
    trained parameters of the whole model."""

    tokens: int
    layers: int
    parameters: int
    kept: int
    trained: int


def one_layer(_: Any, sizes: Sizes) -> Stack:
    """One linear layer from the look-back to the horizon for each variate: the stack of a method that defines none."""
    weights = sizes.context * sizes.horizon
    kept = sizes.context + sizes.horizon
    return Stack(tokens=sizes.variates, layers=1, parameters=weights, kept=kept, trained=2 * weights)


def unchanged(options: Any) -> Any:
    """The options themselves: each of them may change the cost."""
    return options


def all_parts(_: Any) -> tuple:
    """Nothing: the network has the same parts with any options."""
    return ()


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method: what configurations, planning and the cost model need to know about it.

    name: its name under `method:` in `config/methods.yaml`. options: a frozen dataclass with a default and a source for
    each field; configurations are checked against its annotations. network: `module:Class` of a `Forecaster`, imported
    when a run is built; its keyword-only parameters are those of `training.build.build` and the options.

    backbone: it runs on a prepared language model. prompt: the kind of prompt that it reads, by its name, None if
    it reads none; a function of the options if they decide it. table: it reads the whole embedding table. trains:
    it has parameters to train. alone: it forecasts each variate from that variate alone and with the same weights,
    so that x [B N, T, 1] gives what x [B, T, N] gives; a function of the options if they decide it. calendar: it
    reads features of the calendar, C columns after the variates of x, which are not variates and are not forecast;
    its network's parameter `calendar` is C, 0 if there are none. batch_statistics: in training it normalises over
    the whole batch. reads_back: a training step reads numbers back from the device, as `.item()` and `.tolist()`
    do, or computes tensors whose sizes depend on them, so that it cannot be a CUDA graph; a function of the options
    if they decide it. balance_weight: the name of the option that training multiplies its `Forecast.balance` by.
    column_order: the name of the option that is the seed of the order in which it reads the variates, 0 for the
    file's. The network need not take these two options. seasons: whole seasons that its look-back must hold.
    below_season: what it does if the look-back holds no whole season, as tables word it; empty if it always does
    the same. obstacles: why it cannot be run with some options at some sizes, so that planning can report it.

    power: the power of N that its work grows with. stack: how its layers grow with the sizes, for resource
    requests. equal_cost: options that cost as much as the given ones, the same for all that cost the same, so that
    each cost is counted once. parts: which parts its network has with some options, so that speeds are measured for
    each set of parts. space: what a search varies besides what it varies for every method. assumed: `module:NAME`
    of a mapping from what it calls to what replaces it when operations are counted without numbers.
    """

    name: str
    options: type
    network: str
    backbone: bool = False
    prompt: str | Callable[[Any], str | None] | None = None
    table: bool = False
    trains: bool = True
    alone: bool | Callable[[Any], bool] = False
    calendar: bool = False
    batch_statistics: bool = False
    reads_back: bool | Callable[[Any], bool] = False
    balance_weight: str = ""
    column_order: str = ""
    seasons: int = 0
    below_season: str = ""
    obstacles: Callable[[Any, Setting], Iterable[Obstacle]] = none
    power: int = 1
    stack: Callable[[Any, Sizes], Stack] = one_layer
    equal_cost: Callable[[Any], Any] = unchanged
    parts: Callable[[Any], tuple] = all_parts
    space: Space = field(default_factory=dict)
    assumed: str | None = None

    def options_from(self, given: Mapping[str, Any]) -> Any:
        """The options with these values. A list, which files have in place of a tuple, becomes one, so that runs can be
        hashed."""
        return self.options(**{key: tuple(value) if isinstance(value, list) else value for key, value in given.items()})

    def forecasts_alone(self, options: Any) -> bool:
        """Whether, with these options, each variate is forecast alone. Raises InputError as every answer here does:
        if a function from outside the package fails, and for an answer of another type."""
        return self._answer("alone", bool, "True or False", options)

    def prompt_kind(self, options: Any) -> str | None:
        """The name of the kind of prompt that it reads with these options; None if it reads none."""
        return self._answer("prompt", str | None, "the name of a kind of prompt, or None", options)

    def has_read_back(self, options: Any) -> bool:
        """Whether, with these options, a training step reads numbers back from the device."""
        return self._answer("reads_back", bool, "True or False", options)

    def weight_of_balance(self, options: Any) -> float:
        """What training multiplies `Forecast.balance` by."""
        return getattr(options, self.balance_weight) if self.balance_weight else 0.0

    def order_of_columns(self, options: Any) -> int:
        """The seed of the order in which the variates are read; 0 for the file's order."""
        return getattr(options, self.column_order) if self.column_order else 0

    def obstacles_to(self, options: Any, setting: Setting) -> list[Obstacle]:
        """Why it cannot be run with these options at these sizes; empty if it can."""
        found = self._answer("obstacles", list | tuple, "Obstacles", options, setting)
        for each in found:
            self._of_type("obstacles", each, Obstacle, "Obstacles")
        return list(found)

    def stack_at(self, options: Any, sizes: Sizes) -> Stack:
        """How its layers grow, at these sizes."""
        return self._answer("stack", Stack, "a Stack", options, sizes)

    def costs_as(self, options: Any) -> Any:
        """The options that stand for all those with the same cost."""
        return self._answer("equal_cost", self.options, self.options.__name__, options)

    def parts_of(self, options: Any) -> tuple:
        """The parts that its network has with these options."""
        return self._answer("parts", tuple, "a tuple", options)

    def _answer(self, field: str, kind: Any, said: str, *given: Any) -> Any:
        """A field of the record, or what it gives if it is a function."""
        found = getattr(self, field)
        if callable(found):
            where = f"method {self.name!r}: the function `{field}` of its record"
            with named_failure(where, own=is_own(self.network)):
                found = found(*given)
                # A generator fails when it is read.
                found = list(found) if isinstance(found, Iterator) else found
        return self._of_type(field, found, kind, said)

    def _of_type(self, field: str, found: Any, kind: Any, said: str) -> Any:
        if not isinstance(found, kind):
            raise InputError(
                f"method {self.name!r}: `{field}` of its record gives {found!r}, but must give {said}; correct it"
            )
        return found


@dataclass(frozen=True, kw_only=True)
class LibraryMethod(Method):
    """A method whose network comes from another library.

    libraries: the distributions whose code it runs. Their versions are part of the digest of its runs' code, so its
    runs are retrained with another version.
    """

    libraries: tuple[str, ...]
