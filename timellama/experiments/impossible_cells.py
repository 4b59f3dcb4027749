"""A cell of a plan that cannot be run, and such cells by reason, as plans and tables report them.

`impossible.py` finds them.
"""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

EVERY_METHOD = "every method"


@dataclass(frozen=True, kw_only=True)
class ImpossibleCell:
    """A cell that cannot be run, and why; one with several reasons appears once for each.

    variant is a key of `config/methods.yaml` and label its name in tables; backbone is for example `GPT-2 x6`, or
    empty; of_data says that the data set leaves no window there for any method.
    """

    experiment: str
    dataset: str
    context: int
    horizon: int
    variant: str
    label: str
    backbone: str = ""
    of_data: bool = False
    reason: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Group:
    """Cells that are impossible for one reason: whose they are, where, and how many."""

    who: str
    reason: str
    remedy: str
    experiments: tuple[str, ...]
    cells: int

    @property
    def sentence(self) -> str:
        """Who and why, without a full stop."""
        return f"{self.who}: {self.reason}"


def grouped(cells: Iterable[ImpossibleCell]) -> list[Group]:
    """The cells by reason, in their order: what `timellama plan`, `timellama doctor` and notes under tables show."""
    found: dict[tuple[str, str], list[ImpossibleCell]] = {}
    for cell in cells:
        found.setdefault((cell.reason, cell.remedy), []).append(cell)
    return [
        Group(
            who=_who(alike, reason),
            reason=reason,
            remedy=remedy,
            experiments=tuple(dict.fromkeys(cell.experiment for cell in alike)),
            cells=len({dataclasses.replace(cell, reason="", remedy="") for cell in alike}),
        )
        for (reason, remedy), alike in found.items()
    ]


def _who(cells: list[ImpossibleCell], reason: str) -> str:
    names = dict.fromkeys(cell.label + (f" on {cell.backbone}" if cell.backbone else "") for cell in cells)
    datasets = list(dict.fromkeys(cell.dataset for cell in cells))
    who = EVERY_METHOD if all(cell.of_data for cell in cells) else ", ".join(names)
    return who if all(name in reason for name in datasets) else f"{who} ({', '.join(datasets)})"
