"""Reads a CSV strictly: every cell is what it should be, or the message says which line and column is not.

A byte order mark and CRLF line endings are read properly and noted; anything that would have to be guessed (another
encoding, a cell that is not a number, a date in a local order) is an InputError.
"""

import csv
import gzip
import io
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from timellama.core.errors import InputError

BOM = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
GZIP = b"\x1f\x8b"  # the first bytes of a gzip file (RFC 1952, section 2.3.1)
REPLACEMENT = "\ufffd"  # what decoders put instead of a byte that they could not read
STAMP = re.compile(r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2})?)?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Text:
    """A CSV's header, its rows (physical line number and cells, each as long as the header) and how it is written."""

    path: Path
    header: tuple[str, ...]
    rows: Iterator[tuple[int, list[str]]]
    byte_order_mark: bool
    line_ends: str

    @property
    def replacement_characters(self) -> int:
        """Characters of the header that an earlier change of encoding lost."""
        return sum(name.count(REPLACEMENT) for name in self.header)


def read_text(
    path: Path, *, raw: bytes | None = None, ragged: bool = False, separator: str = ",", lone: bool = False
) -> Text:
    """Opens a CSV whose cells are separated by `separator`; one that is packed with gzip is unpacked.

    `raw` holds its unpacked bytes, if already read. `ragged` lets rows be shorter than the header. `lone` lets the file
    have one column, and the first column no name.
    Raises InputError when the file is absent, empty, not UTF-8, without a header or, while `rows` is read, malformed.
    """
    raw = unpacked(path) if raw is None else raw
    if not raw.removeprefix(BOM).strip():
        raise InputError(f"{path}: the file is empty; fetch it again, or give one with a header and rows")
    text = _decode(path, raw)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    rows = _rows(path, reader, ragged)
    _, header = next(rows)
    _check_header(path, header, lone)
    return Text(
        path=path,
        header=tuple(header),
        rows=_of_length(path, rows, header, ragged),
        byte_order_mark=raw.startswith(BOM),
        line_ends=_line_ends(raw),
    )


def unpacked(path: Path) -> bytes:
    """The bytes of a file, unpacked if it is packed with gzip. Raises InputError if it cannot be read or unpacked."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error}); fetch the file again") from error
    if not raw.startswith(GZIP):
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: is gzip, but cannot be unpacked ({error}); fetch the file again") from error


def written(text: Text) -> dict[str, object]:
    """How the file is written, as `quirks.json` keeps it."""
    return {
        "replacement_characters": text.replacement_characters,
        "byte_order_mark": text.byte_order_mark,
        "line_ends": text.line_ends,
    }


def numbers(text: Text, line: int, cells: Sequence[str], names: Sequence[str]) -> list[float]:
    """The finite numbers in `cells`, columns `names` of the row on `line`; InputError for anything else."""
    try:
        values = [float(cell) for cell in cells]
    except ValueError:
        values = []
    joined = "".join(cells)
    # float() reads 1_000, the digits of other scripts, nan and inf too; none of them is a measured value
    if values and "_" not in joined and joined.isascii() and all(map(math.isfinite, values)):
        return values
    for cell, name in zip(cells, names, strict=True):
        problem = _not_a_number(cell)
        if problem:
            raise InputError(f"{text.path}, line {line}, column {name!r}: {problem}")
    return values


def stamp(text: Text, line: int, cell: str, name: str) -> datetime:
    """The timestamp in `cell`; InputError unless it is a date that exists, written YYYY-MM-DD hh:mm:ss."""
    try:
        if not STAMP.fullmatch(cell):
            raise ValueError("not written YYYY-MM-DD hh:mm:ss")
        return datetime.fromisoformat(cell)
    except ValueError as error:
        raise InputError(
            f"{text.path}, line {line}, column {name!r}: the timestamp {cell!r} cannot be used ({error}); write it as "
            f"YYYY-MM-DD hh:mm:ss, without a zone"
        ) from error


def _decode(path: Path, raw: bytes) -> str:
    if raw.startswith(UTF16_MARKS):
        raise InputError(f"{path}: is UTF-16; save it as UTF-8 (iconv -f UTF-16 -t UTF-8)")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - (raw.rfind(b"\n", 0, error.start) + 1) + 1
        raise InputError(
            f"{path}, line {line}, byte {column}: the byte 0x{raw[error.start]:02x} is not UTF-8; save the file as "
            "UTF-8 (if it is Latin-1: iconv -f LATIN1 -t UTF-8)"
        ) from error
    if "\0" in text:
        raise InputError(f"{path}, line {text[: text.index(chr(0))].count(chr(10)) + 1}: holds a zero byte; not a CSV")
    return text


def _rows(path: Path, reader: Iterator[list[str]], ragged: bool) -> Iterator[tuple[int, list[str]]]:
    """Rows with the number of the line that each ends on; blank lines may only be at the end."""
    blank = None
    try:
        for cells in reader:
            if not cells:
                blank = blank or reader.line_num
                continue
            if blank:
                raise InputError(
                    f"{path}, line {blank}: a blank line in the middle; remove it, or restore what it held"
                )
            yield reader.line_num, cells
    except csv.Error as error:
        raise InputError(
            f"{path}, line {reader.line_num}: not a well-formed CSV ({error}); correct the quotes"
        ) from error


def _check_header(path: Path, header: list[str], lone: bool) -> None:
    if len(header) == 1 and not lone:
        other = next((mark for mark in (";", "\t", "|") if mark in header[0]), None)
        hint = (
            f"its header is parted by {other!r}; use commas" if other else "it needs a time column and a value column"
        )
        raise InputError(f"{path}, line 1: only one column, {header[0]!r}: {hint}")
    for i, name in enumerate(header):
        if not name.strip() and not (lone and i == 0):
            raise InputError(f"{path}, line 1: column {i + 1} has no name; name every column")
        if name in header[:i]:
            raise InputError(f"{path}, line 1: two columns are named {name!r}; give each its own name")


def _of_length(
    path: Path, rows: Iterator[tuple[int, list[str]]], header: list[str], ragged: bool
) -> Iterator[tuple[int, list[str]]]:
    for line, cells in rows:
        if len(cells) > len(header) or (len(cells) < len(header) and not ragged):
            raise InputError(
                f"{path}, line {line}: {len(cells)} cells, but the header has {len(header)} columns; a cut-off line, a "
                f"decimal comma or a missing quote: correct the line"
            )
        yield line, cells


def _line_ends(raw: bytes) -> str:
    crlf = raw.count(b"\r\n")
    lone_lf, lone_cr = raw.count(b"\n") - crlf, raw.count(b"\r") - crlf
    kinds = [name for name, count in (("CRLF", crlf), ("LF", lone_lf), ("CR", lone_cr)) if count]
    return kinds[0] if len(kinds) == 1 else "mixed" if kinds else "none"


def _not_a_number(cell: str) -> str | None:
    remedy = "give a finite number, or leave the row out and declare the gap under quirks.irregular_steps"
    if not cell.strip():
        return f"the cell is empty; {remedy}"
    try:
        value = float(cell)
    except ValueError:
        comma = "; write a decimal point instead of the comma" if "," in cell else ""
        return f"{cell!r} is not a number{comma}; {remedy}"
    if "_" in cell or not cell.isascii() or not math.isfinite(value):
        return f"{cell!r} is not a finite plain number; {remedy}"
    return None
