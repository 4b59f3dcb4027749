"""Which files of the catalogue are present, and whether they are still what they should be.

The places are those of the workflow: `results/raw` for what it has fetched, and `results/cache` for every correct file,
under its SHA-256.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from timellama.core import layout
from timellama.core.files import sha256_of
from timellama.data.catalogue.datasets import Dataset
from timellama.data.fetch.sources import Artifact

RAW, CACHED, MIRROR, OWN, MADE, REMOTE = "here", "cached", "in a mirror", "own file", "made here", "to be fetched"
OK, WRONG, ABSENT = "ok", "wrong", "absent"


@dataclass(frozen=True, kw_only=True)
class Verified:
    """One file: where it is, and whether it is right; `problem` says what to do if it is wrong."""

    dataset: str
    path: Path
    state: str
    sha256: str | None = None
    problem: str = ""


def state_of(artifact: Artifact, *, results: Path, mirrors: Sequence[str]) -> str:
    """Where a file is. The network is not used, so a mirror with an address is not searched."""
    if layout.within(results, layout.RAW, path=artifact.path).is_file():
        return RAW
    if artifact.sha256 and layout.within(results, layout.CACHED, sha256=artifact.sha256).is_file():
        return CACHED
    if artifact.is_local:
        return OWN if Path(artifact.source).expanduser().is_file() else ABSENT
    if artifact.source.startswith("synthetic:"):
        return MADE
    folders = [Path(mirror).expanduser() for mirror in mirrors if "://" not in mirror]
    return MIRROR if any((folder / artifact.path).is_file() for folder in folders) else REMOTE


def verify_files(datasets: Iterable[Dataset], *, results: Path) -> Iterator[Verified]:
    """Compares the SHA-256 of every file of these data sets, in `results/raw` and in the cache, with the expected one.

    A user-supplied file that the catalogue does not pin is compared with its source.
    """
    for dataset in datasets:
        for artifact in dataset.files:
            wanted, remedy = artifact.sha256, "delete it; it is fetched again"
            if wanted is None:
                source = Path(artifact.source).expanduser()
                wanted = sha256_of(source) if source.is_file() else None
                remedy = f"{source} has changed or is gone since it was copied: run the workflow again, or restore it"
            places = [layout.within(results, layout.RAW, path=artifact.path)]
            if artifact.sha256:
                places.append(layout.within(results, layout.CACHED, sha256=artifact.sha256))
            there = [place for place in places if place.is_file()]
            for place in there:
                found = sha256_of(place)
                right = found == wanted
                yield Verified(
                    dataset=dataset.name,
                    path=place,
                    state=OK if right else WRONG,
                    sha256=found,
                    problem="" if right else f"SHA-256 is {found}, expected {wanted}: {remedy}",
                )
            if not there:
                yield Verified(dataset=dataset.name, path=places[0], state=ABSENT)
