"""Describes data sets of the catalogue in Croissant, a vocabulary of JSON-LD that other tools read and validate.

Specification: http://mlcommons.org/croissant/1.0. A description is made from the catalogue's entry only, so it needs
neither data nor a network. It describes the files as published, not the canonical series that is made from them. What
the catalogue does not know (citation, creator, date of publication, version) is left out.
"""

import re
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from timellama.core.errors import InputError
from timellama.core.files import write_json
from timellama.data import nycflights13
from timellama.data.catalogue.datasets import Dataset
from timellama.data.catalogue.reading import STEP
from timellama.data.fetch import hub, pypi
from timellama.data.fetch.sources import Artifact
from timellama.data.m4.frequencies import FREQUENCIES
from timellama.data.reader import READERS

VERSION = "http://mlcommons.org/croissant/1.0"
# The specification's appendix 1 as mlcroissant 1.1.1 compares it: terms that mean `cr:` and their own name, and others.
TERMS = (
    "citeAs column equivalentProperty extract field fileObject fileProperty fileSet format includes isLiveDataset "
    "jsonPath key md5 parentField path recordSet references regex repeated replace samplingRate separator source "
    "subField transform"
)
CONTEXT: dict[str, Any] = {term: f"cr:{term}" for term in TERMS.split()} | {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
}
STAMP, NUMBER, WHOLE, TEXT = "sc:DateTime", "sc:Float", "sc:Integer", "sc:Text"
ENCODINGS = {  # the media types that IANA has registered; a file with any other suffix is a CSV
    ".gz": "application/gzip",
    ".parquet": "application/vnd.apache.parquet",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
# An address that leads to the file's real one, which holds a digest the catalogue lacks: pypi/warehouse, issue 3738.
PYPI_FILES = "https://files.pythonhosted.org/packages"
CREATIVE_COMMONS = "https://creativecommons.org"
BESIDE = "It has no public address; contentUrl is its place relative to this description."
# The columns that the reader uses; units as in the documentation of the R package nycflights13, ?weather.
NYCFLIGHTS13 = {
    "origin": (TEXT, "The airport."),
    **dict.fromkeys(("year", "month", "day", "hour"), (WHOLE, "Local time.")),
    "temp": (NUMBER, "Temperature in degrees Fahrenheit."),
    "dewp": (NUMBER, "Dew point in degrees Fahrenheit."),
    "humid": (NUMBER, "Relative humidity."),
    "wind_speed": (NUMBER, "Wind speed in miles an hour."),
    "precip": (NUMBER, "Precipitation in inches."),
    "visib": (NUMBER, "Visibility in miles."),
    "time_hour": (STAMP, "The hour in UTC."),
}


def write_descriptions(datasets: Iterable[Dataset], *, folder: Path) -> list[Path]:
    """Write `<name>.json` of each data set to `folder`; the same entry gives the same bytes. Returns the files.

    Raises InputError for a source or an M4 frequency that is wrong in the catalogue's entry.
    """
    described = {folder / f"{dataset.name}.json": describe(dataset) for dataset in datasets}
    for path, description in described.items():
        write_json(path, description)
    return list(described)


def describe(dataset: Dataset) -> dict[str, Any]:
    """The Croissant description of a data set, as JSON-LD.

    A file without a SHA-256 may change, which makes the data set a live one: only such a set may lack a checksum.
    """
    page = _page(dataset.files[0].source)
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        "name": dataset.name,
        "description": _description(dataset),
        "keywords": ["time series", dataset.domain],
        "license": _licence(dataset.licence),
        **({"url": page} if page else {}),
        **({} if dataset.sha256 else {"isLiveDataset": True}),
        "distribution": list(_distribution(dataset).values()),
        "recordSet": _record_sets(dataset),
    }


def _description(dataset: Dataset) -> str:
    """The prompt without the task, which belongs to the run and not to the data, and the notes on what is odd."""
    sentences = re.split(r"(?<=[.!?])\s+", dataset.prompt)
    kept = [each for each in sentences if "{context" not in each and "{horizon" not in each]
    notes = ["Notes of timellama, which reproduces Time-LlaMA:", *dataset.quirks.notes] if dataset.quirks.notes else []
    return " ".join([" ".join(kept).format(context="", horizon=""), *notes]).strip() or dataset.domain


def _licence(text: str) -> dict[str, str]:
    """The catalogue's text, with the address of the Creative Commons licence that it begins with, if any."""
    named = re.match(r"CC (BY(?:-NC)?(?:-ND|-SA)?) (\d\.\d)\b", text)
    address = f"{CREATIVE_COMMONS}/licenses/{named[1].lower()}/{named[2]}/" if named else None
    if re.match(r"CC0\b", text):
        address = f"{CREATIVE_COMMONS}/publicdomain/zero/1.0/"
    return {"@type": "CreativeWork", "name": text, **({"url": address} if address else {})}


def _page(source: str) -> str | None:
    """The page of what a source belongs to, at the pinned version; None for files that are generated or local."""
    if source.startswith("hub:"):
        return re.sub(r"/resolve/([^/]+)/.*", r"/tree/\1", hub.address_of(source))
    if source.startswith("pypi:"):
        name, version, _ = pypi.parse(source)
        return f"https://pypi.org/project/{name}/{version}/"
    if github := re.match(r"https://raw\.githubusercontent\.com/([^/]+/[^/]+)/([^/]+)/", source):
        return f"https://github.com/{github[1]}/tree/{github[2]}"
    return source if re.match(r"https?://", source) else None


def _distribution(dataset: Dataset) -> dict[str, dict[str, Any]]:
    """The files by @id, a package before the file in it. A file without address is named by its place in a mirror."""
    found: dict[str, dict[str, Any]] = {}
    for file in dataset.files:
        described = {"@type": "cr:FileObject", "@id": _file_id(file), "name": PurePosixPath(file.path).name}
        described |= {"encodingFormat": _encoding(file.path), "contentUrl": file.source}
        if file.source.startswith("pypi:"):
            archive = _archive(file)
            found[archive["@id"]] = archive
            described |= {"contentUrl": pypi.parse(file.source)[2], "containedIn": {"@id": archive["@id"]}}
        elif file.source.startswith("hub:"):
            described["contentUrl"] = hub.address_of(file.source)
        elif file.source.startswith("synthetic:"):
            made = f"Generated, not measured: `timellama data fetch {dataset.name}` writes it, from {file.source}."
            described |= {"contentUrl": file.path, "description": f"{made} {BESIDE}"}
        elif file.is_local:
            described |= {"contentUrl": file.path, "description": f"A file of the user's. {BESIDE}"}
        described |= {"sha256": file.sha256} if file.sha256 else {}
        described |= {"contentSize": f"{file.bytes} B"} if file.bytes is not None else {}
        found[_file_id(file)] = described
    return found


def _encoding(path: str) -> str:
    return next((kind for suffix, kind in ENCODINGS.items() if path.endswith(suffix)), "text/csv")


def _archive(file: Artifact) -> dict[str, Any]:
    """The package that a file comes in: a source archive holds everything below `name-version`, a wheel does not."""
    name, version, member = pypi.parse(file.source)
    top = PurePosixPath(member).parts[0]
    source = top.endswith(f"-{version}")
    archive = f"{top}.tar.gz" if source else pypi.archive_names(file.source)[-1]
    return {
        "@type": "cr:FileObject",
        "@id": quote(archive),
        "name": archive,
        "encodingFormat": "application/x-tar" if source else "application/zip",
        "contentUrl": f"{PYPI_FILES}/{'source' if source else 'py3'}/{name[0]}/{name}/{archive}",
        "sha256": file.archive_sha256,
    }


def _record_sets(dataset: Dataset) -> list[dict[str, Any]]:
    """The tables of the files, with the columns that the catalogue or the reader knows; the form of an outside reader's
    files is known only to that reader, so none of their tables is described."""
    if dataset.reader not in READERS:
        return []
    if dataset.reader == "m4":
        return _m4_record_sets(dataset)
    [file] = dataset.files
    if dataset.reader == "nycflights13":
        columns = {name: NYCFLIGHTS13[name] for name in nycflights13.NEEDED}
        about = (
            "A row is an hour at an airport, as published; NA stands for a missing value. Columns that timellama does "
            f"not read are not listed. timellama makes {dataset.rows} rows of {dataset.variates} variates of it."
        )
    else:
        columns = _columns_of_file(dataset)
        about = (
            f"{dataset.rows} rows in order of time, of {dataset.variates} variates; the step is {dataset.frequency}."
        )
        about += "" if dataset.columns else " The catalogue does not name the variates, so they are not listed."
    if repaired := dataset.repairs.sentence(dataset.reading):
        about += f" timellama repairs it: {repaired}."
    counts = {name: count for name, count in asdict(dataset.quirks).items() if name != "notes" and count}
    if counts:
        listed = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())
        about += f" timellama counts {listed}."
    return [_record_set("rows", file, columns, about)]


def _columns_of_file(dataset: Dataset) -> dict[str, tuple[str, str | None]]:
    """The columns of a wide or long file that the reader uses."""
    kind = (WHOLE, "The number of the row.") if dataset.frequency == STEP else (STAMP, "The timestamp.")
    columns = {dataset.time_column: kind} if dataset.time_column else {}
    if dataset.reading.id_column:
        columns[dataset.reading.id_column] = (TEXT, "The series.")
        return columns | {dataset.reading.value_column: (NUMBER, None)}
    return columns | dict.fromkeys(dataset.columns or (), (NUMBER, None))


def _m4_record_sets(dataset: Dataset) -> list[dict[str, Any]]:
    """M4's two files: one series per row, with its id in V1 and its values from V2 on."""
    if dataset.frequency not in FREQUENCIES:
        raise InputError(
            f"{dataset.name}: frequency is {dataset.frequency!r}, but M4 has {', '.join(FREQUENCIES)}; correct it in "
            "the catalogue"
        )
    horizon = FREQUENCIES[dataset.frequency].horizon
    train, test = dataset.files
    first = {"V1": (TEXT, "The id of the series.")}
    values = {f"V{step + 1}": (NUMBER, f"Value {step} after the training values.") for step in range(1, horizon + 1)}
    about = f"{dataset.rows} series, one a row; there are no timestamps."
    longer = "The values are in V2 and on, in order of time, as many as the series has; they are not listed."
    return [
        _record_set("train", train, first, f"{about} {longer}", key="V1"),
        _record_set("test", test, first | values, f"{about} The values follow the training values.", key="V1"),
    ]


def _record_set(
    name: str, file: Artifact, columns: dict[str, tuple[str, str | None]], about: str, *, key: str | None = None
) -> dict[str, Any]:
    """A table: `columns` gives kind and description by the name in the file's header."""
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"{name}/{quote(column, safe='')}",
            "name": column,
            "dataType": kind,
            **({"description": text} if text else {}),
            "source": {"fileObject": {"@id": _file_id(file)}, "extract": {"column": column}},
        }
        for column, (kind, text) in columns.items()
    ]
    found = {"@type": "cr:RecordSet", "@id": name, "name": name, "description": about, "field": fields}
    return found | ({"key": {"@id": f"{name}/{key}"}} if key else {})


def _file_id(file: Artifact) -> str:
    """An @id is an IRI, so it may not hold spaces."""
    return quote(file.path)
