"""What a prompt says (paper, section 3.4 and figure 1), and the other prompts that show what it is worth.

The paper's prompt describes the data set and the task; its wording is open, and so is whether wording matters. A kind
is one of `KINDS`:
  descriptive  the data set's description, from config/datasets.yaml;
  generic      one sentence that knows nothing of the data set;
  empty        no prompt at all;
  other        the description of another data set (`other_dataset`), with this run's context and horizon;
  shuffled     the words of the description in a random, fixed order;
  random       as many random tokens as the description has; drawn where the tokenizer is (timellama/training/build.py);
  statistics   the description, with each sample's statistics added in the model
               (timellama/methods/time_llama/statistics_prompt.py).
Only the standard library is used: planning calls this.
"""

import random
from collections.abc import Mapping

from timellama.core.errors import InputError
from timellama.experiments.run import RANDOM_SEED

KINDS = ("descriptive", "generic", "empty", "other", "shuffled", "random", "statistics")
GENERIC = "Numbers that were measured one after another. Task: forecast the numbers that follow."


def prompt_text(kind: str, *, description: str, other: str) -> str:
    """The text of a run's prompt: `Run.prompt`. Raises InputError for an unknown kind.

    `description` and `other` are the filled-in descriptions of the run's own data set and of `other_dataset`.
    """
    if kind not in KINDS:
        raise InputError(f"prompt is {kind!r}; it must be one of {', '.join(KINDS)}")
    if kind == "shuffled":
        words = description.split()
        random.Random(RANDOM_SEED).shuffle(words)
        return " ".join(words)
    return {"generic": GENERIC, "empty": "", "other": other}.get(kind, description)


def other_dataset(name: str, *, domains: Mapping[str, str]) -> str:
    """The data set whose description misleads `name`: the next one of another domain, in the catalogue's order.

    `domains` maps every data set of the catalogue to its domain; after the last comes the first. Raises InputError
    where all are of one domain.
    """
    names = list(domains)
    place = names.index(name)
    for candidate in names[place + 1 :] + names[:place]:
        if domains[candidate] != domains[name]:
            return candidate
    raise InputError(
        f"the prompt of another data set was asked for, but all data sets are of the domain {domains[name]!r}: "
        "add one of another domain to the catalogue"
    )
