"""What a prompt says (paper, section 3.4 and figure 1), and the other prompts that show what it is worth.

The paper's prompt describes the data set and the task; its wording is open, and so is whether wording matters. A kind
of prompt is a subclass of `Prompt`. The option `prompt` names one: by its `name`, as `module:Class` from outside the
package, or by an entry point of the group `timellama.prompts`.

Importing this module needs only the standard library: planning calls `Prompt.text`.
"""

import functools
import random
from collections.abc import Mapping
from typing import Any, ClassVar

from timellama.core.errors import InputError
from timellama.core.outside import chosen, is_own, named_failure
from timellama.core.values import open_choice
from timellama.methods.method import DESCRIPTION
from timellama.methods.time_llama.lags import LAGS

GROUP = "timellama.prompts"  # of entry points
SEED = 0  # our choice: one control for all seeds of a run, as there is one description
GENERIC = "Numbers that were measured one after another. Task: forecast the numbers that follow."


class Prompt:
    """A kind of prompt: the data set's description, from config/datasets.yaml, unless a subclass says otherwise.

    name: what the option `prompt` calls a kind of this package. of_another: its description is that of another data
    set. extra: the most characters that a sample adds to the text; 0 if one prompt serves all samples. least_context:
    steps of look-back that it needs.
    """

    name: ClassVar[str]
    of_another: ClassVar[bool] = False
    extra: ClassVar[int] = 0
    least_context: ClassVar[int] = 1

    @staticmethod
    def text(description: str) -> str:
        """The text that a run records as `Run.prompt`, from the filled-in description."""
        return description

    @staticmethod
    def embeddings(text: str, *, context: int, embedder: Any) -> Any:
        """What the model aligns its tokens with, from the run's text: a tensor [P, D], or a module.

        A module makes a prompt for each sample: it maps normalised look-backs [B, T, N] to embeddings [B, P, D] and to
        which tokens count, bool [B, P]. `embedder` is a `timellama.backbones.prepared.Embedder`.
        """
        return embedder.rows(text)


class Descriptive(Prompt):
    """The data set's description (figure 1)."""

    name = DESCRIPTION


class Generic(Prompt):
    """One sentence that knows nothing about the data set."""

    name = "generic"

    @staticmethod
    def text(description: str) -> str:
        """The sentence."""
        return GENERIC


class Empty(Prompt):
    """No prompt at all."""

    name = "empty"

    @staticmethod
    def text(description: str) -> str:
        """Nothing."""
        return ""


class Other(Prompt):
    """The description of another data set (`other_dataset`), with this run's context and horizon."""

    name = "other"
    of_another = True


class Shuffled(Prompt):
    """The words of the description in a random, fixed order."""

    name = "shuffled"

    @staticmethod
    def text(description: str) -> str:
        """The same words, shuffled from `SEED`."""
        words = description.split()
        random.Random(SEED).shuffle(words)
        return " ".join(words)


class Random(Prompt):
    """As many random tokens as the description has."""

    name = "random"

    @staticmethod
    def embeddings(text: str, *, context: int, embedder: Any) -> Any:
        """Rows of the embedding table drawn from `SEED`: [P, D]."""
        import torch

        table, draw = embedder.table(), torch.Generator().manual_seed(SEED)
        return (
            table[torch.randint(len(table), (len(embedder.tokenise(text)),), generator=draw)].float() * embedder.scale
        )


class Statistics(Prompt):
    """The description, with statistics of each sample's look-back added in the model (statistics_prompt.py)."""

    name = "statistics"
    extra = 150  # our choice: the sentence that `StatisticsPrompt.texts` adds, with numbers of six digits
    least_context = 2 * LAGS  # it names lags of up to half of the look-back

    @staticmethod
    def embeddings(text: str, *, context: int, embedder: Any) -> Any:
        """A `StatisticsPrompt`."""
        from timellama.methods.time_llama.statistics_prompt import StatisticsPrompt

        return StatisticsPrompt(
            context=context,
            description=text,
            tokenise=embedder.tokenise,
            embedding_table=embedder.table(),
            scale=embedder.scale,
        )


def own_prompts() -> dict[str, type[Prompt]]:
    """The kinds of this module, by name.

    They are read from the module's names instead of a list: a list would be part of every run's code digest, and so
    would be each kind in it.
    """
    kinds = [kind for kind in globals().values() if isinstance(kind, type) and issubclass(kind, Prompt)]
    return {kind.name: kind for kind in kinds if kind is not Prompt}


@functools.cache
def prompt_kind(name: str) -> type[Prompt]:
    """The kind of prompt of a name, or of `module:Class`. Raises InputError if there is none."""
    kind = chosen(name, own_prompts(), group=GROUP, of="prompt", kind=type)
    if not (isinstance(kind, type) and issubclass(kind, Prompt)):
        raise InputError(f"prompt {name!r} is not a subclass of {Prompt.__module__}.Prompt; name one")
    for part, least in (("extra", 0), ("least_context", 1)):
        if not isinstance(value := getattr(kind, part), int) or value < least:
            raise InputError(
                f"prompt {name!r}: {part} is {value!r}, but must be a whole number from {least}; change it"
            )
    return kind


def text_of(name: str, description: str) -> str:
    """The text that a run of this kind records. Raises InputError if a kind from outside the package gives none."""
    text = _given(name, "text", description)
    if not isinstance(text, str):
        raise InputError(f"prompt {name!r}: text gives {text!r}, but must give text; correct it")
    return text


def embeddings_of(name: str, text: str, *, context: int, embedder: Any) -> Any:
    """What a model gets from this kind of prompt: a tensor [P, D], or a module.

    Raises InputError if a kind from outside the package gives anything else, or a module that adds no words.
    """
    from torch import Tensor, nn

    given, width = _given(name, "embeddings", text, context=context, embedder=embedder), embedder.width
    if isinstance(given, nn.Module):
        if not prompt_kind(name).extra:
            raise InputError(
                f"prompt {name!r}: embeddings gives a module, and extra is 0; set extra to the most characters that a "
                "sample adds to the text"
            )
    elif not isinstance(given, Tensor) or given.dim() != 2 or given.shape[1] != width:
        found = f"a tensor {list(given.shape)}" if isinstance(given, Tensor) else repr(given)
        raise InputError(
            f"prompt {name!r}: embeddings gives {found}, but must give a tensor [P, D {width}] or a module; correct it"
        )
    return given


def _given(name: str, part: str, *values: Any, **named: Any) -> Any:
    kind = prompt_kind(name)
    with named_failure(f"prompt {name!r}: {part}", own=is_own(kind.__module__)):
        return getattr(kind, part)(*values, **named)


PromptName = open_choice(own_prompts(), load=prompt_kind)


def prompt_code(name: str) -> str:
    """The entry of a kind's code in a run's digest."""
    kind = prompt_kind(name)
    return f"{kind.__module__}:{kind.__qualname__}"


def other_dataset(name: str, *, domains: Mapping[str, str]) -> str:
    """The data set whose description misleads `name`: the next one of another domain, in the catalogue's order.

    `domains` maps every data set of the catalogue to its domain; the first follows the last. Raises InputError if all
    are of one domain.
    """
    names = list(domains)
    place = names.index(name)
    for candidate in names[place + 1 :] + names[:place]:
        if domains[candidate] != domains[name]:
            return candidate
    raise InputError(
        f"the prompt of another data set was requested, but all data sets are of the domain {domains[name]!r}: "
        "add one of another domain to the catalogue"
    )
