"""The settings of the paper's numbers, where they are known to differ from those of our rows.

`config/published/settings.csv` has a line for each such method of a table, with the evidence: a look-back, or a
language model and its blocks. A line without a data set is for all. Where the paper is silent there is no line, and no
mark.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from timellama.core.errors import InputError
from timellama.results.aggregate import OTHER_NAMES, RANDOM

MARK = "\N{DAGGER}"
COLUMNS = ("table", "method", "dataset", "look_back", "backbone", "blocks", "evidence")


@dataclass(frozen=True, kw_only=True)
class PaperSetting:
    """The settings of one method's numbers in one table of the paper; empty or None is as the paper states."""

    method: str
    dataset: str
    look_back: int | None
    backbone: str
    evidence: str

    def differs(self, *, method: str, dataset: str, look_back: int, backbone: str | None) -> bool:
        """Whether a row of ours has different settings; `backbone` is None where we have no run to compare."""
        if method != self.method or self.dataset not in ("", dataset, OTHER_NAMES.get(dataset, dataset)):
            return False
        if self.look_back is not None and look_back != self.look_back:
            return True
        return bool(self.backbone) and backbone is not None and backbone.removesuffix(RANDOM) != self.backbone

    @property
    def told(self) -> str:
        """`DLinear on ETTh1 at look-back 336 (evidence)`."""
        where = f" on {self.dataset}" if self.dataset else ""
        at = f"at look-back {self.look_back}" if self.look_back is not None else f"with {self.backbone}"
        return f"{self.method}{where} {at} ({self.evidence})"


def read_paper_settings(path: Path, *, table: str) -> list[PaperSetting]:
    """The lines of a table, which is named by its file without ending.

    Raises InputError where the file cannot be read, lacks a column, or a line names no setting.
    """
    try:
        lines = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a table ({error}). Restore it from the repository.") from error
    if lacking := [name for name in COLUMNS if name not in lines]:
        raise InputError(f"{path} has no column `{lacking[0]}`. Restore it from the repository.")
    found = []
    for line in lines[lines["table"] == table].to_dict("records"):
        if bool(line["look_back"]) == bool(line["backbone"]) or bool(line["backbone"]) != bool(line["blocks"]):
            raise InputError(
                f"{path}: the line of {line['method']} must name a look_back, or a backbone with its blocks. Give one "
                "of the two, or one line for each."
            )
        found.append(
            PaperSetting(
                method=line["method"],
                dataset=line["dataset"],
                look_back=int(line["look_back"]) if line["look_back"] else None,
                backbone=f"{line['backbone']} x{line['blocks']}" if line["backbone"] else "",
                evidence=line["evidence"],
            )
        )
    return found


def note(met: Sequence[PaperSetting]) -> str:
    """The note on the marks of a table."""
    told = "; ".join(dict.fromkeys(setting.told for setting in met))
    return f"{MARK}: the paper's number was obtained at settings other than ours: {told}." if told else ""
