"""Why cells of a table have no result: each dash has a reason, and a note gives equal reasons once.

A cell is impossible (the plan says why), too heavy, without a result so far (failed, or not run yet), or was not
requested: a method that a configuration runs on only one data set still has a column.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from timellama.experiments.impossible_cells import ImpossibleCell, grouped
from timellama.reports.render.markup import listed

Place = tuple[str, int, int]  # data set, horizon, context
Planned = Sequence[tuple[str, int, int, str]]  # (data set, context, horizon, variant)


@dataclass(frozen=True, kw_only=True)
class Reasons:
    """What the plan and the failed jobs say about an experiment's cells.

    impossible: the cells that cannot be run. lacking: (data set, context, horizon, variant, why) of planned runs that
    have no result. labels: of every method by variant, since one without any result is named by its label.
    """

    impossible: Sequence[ImpossibleCell] = ()
    lacking: Sequence[tuple[str, int, int, str, str]] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Reasons":
        """The reasons in the facts of a report."""
        return cls(
            impossible=tuple(ImpossibleCell(**cell) for cell in facts.get("impossible", ())),
            lacking=tuple(tuple(cell) for cell in facts.get("lacking", ())),
            labels={variant: entry["label"] for variant, entry in facts["methods"].items()},
        )

    def note(self) -> str:
        """The impossible cells by reason; empty where there are none."""
        said = [group.sentence for group in grouped(self.impossible)]
        return f"Not possible. {_capital('; '.join(said))}." if said else ""

    def names(self, place: Place, variant: str) -> bool:
        """Whether a cell is impossible."""
        dataset, horizon, context = place
        return any(
            (cell.dataset, cell.horizon, cell.context) == (dataset, horizon, context)
            and (cell.of_data or variant in (cell.variant, cell.label))
            for cell in self.impossible
        )

    def why(self, place: Place, variant: str) -> str:
        """Why a planned cell has no result."""
        dataset, horizon, context = place
        found = [
            why
            for *cell, of, why in self.lacking
            if cell == [dataset, context, horizon] and variant in (of, self.labels.get(of))
        ]
        return listed(dict.fromkeys(found)) or "no result yet"


def notes(
    dashes: Iterable[tuple[Place, str]],
    *,
    reasons: Reasons,
    planned: Planned,
    rows: Sequence[Place],
    variants: Mapping[str, str],
) -> list[str]:
    """Notes on the cells of a table that have no result, which `dashes` names as (place, name in the table).

    `planned` are the cells of the experiment, `rows` the places that the table has, `variants` the variant behind each
    name; a name without a result is its own variant.
    """
    wanted = {(dataset, horizon, context, variant) for dataset, context, horizon, variant in planned}
    without: dict[str, dict[str, list[Place]]] = {}
    unplanned: dict[str, list[Place]] = {}
    overall: list[str] = []
    for place, name in dashes:
        variant = variants.get(name, name)
        if reasons.names(place, variant):
            continue
        if (*place, variant) in wanted:
            without.setdefault(reasons.why(place, variant), {}).setdefault(name, []).append(place)
        elif place[1] == 0:
            overall.append(name)
        else:
            unplanned.setdefault(name, []).append(place)
    possible = {cell for cell in wanted if not reasons.names(cell[:3], cell[3])}
    count = sum(len(places) for of in without.values() for places in of.values())
    said = [f"{_capital(why)}: {_grouped(of, rows)}." for why, of in without.items()]
    found = [reasons.note()]
    if count:
        found.append(
            f"Not complete: {count} of {len(possible)} planned cells have no result. {' '.join(said)} See "
            "table_failures."
        )
    if unplanned:
        found.append(f"Not in this configuration: {_grouped(unplanned, rows)}.")
    if overall:
        found.append(f"No overall score without a result on every frequency: {listed(dict.fromkeys(overall))}.")
    return [note for note in found if note]


def _grouped(of: Mapping[str, Collection[Place]], rows: Sequence[Place]) -> str:
    """`TimesNet and GPT4TS on ETTm1 and ILI; DLinear on Weather`: names of the same places together."""
    alike: dict[tuple[Place, ...], list[str]] = {}
    for name, places in of.items():
        alike.setdefault(tuple(dict.fromkeys(places)), []).append(name)
    return "; ".join(f"{listed(called)} on {_spelled(places, rows)}" for places, called in alike.items())


def _spelled(places: Collection[Place], rows: Sequence[Place]) -> str:
    """Each data set, with horizons and look-backs where these are not all that the table has for it."""
    said = []
    for dataset in dict.fromkeys(place[0] for place in places):
        mine = [place for place in places if place[0] == dataset]
        every = [row for row in rows if row[0] == dataset]
        if set(mine) >= set(every):
            said.append(dataset)
            continue
        for context in dict.fromkeys(place[2] for place in mine):
            here = [place[1] for place in mine if place[2] == context]
            several = len({row[2] for row in every}) > 1
            at = [f"T {context}"] if several else []
            if set(here) != {row[1] for row in every if row[2] == context}:
                at.append(f"H {', '.join(map(str, here))}")
            said.append(f"{dataset} ({', '.join(at)})")
    return listed(said)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
