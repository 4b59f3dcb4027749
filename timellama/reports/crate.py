"""A finished run of the workflow as a Workflow Run RO-Crate, which other tools can read and validate.

Profile: https://w3id.org/ro/wfrun/workflow/0.5. The crate is a folder: the workflow, its configuration, the reports,
the file of each result, and `ro-crate-metadata.json` with the SHA-256 of every file. Data are described but not
copied: their licences differ, and they are large. Everything comes from the provenance index.
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from timellama.core.errors import InputError
from timellama.core.files import sha256_of
from timellama.core.shipped import LOCAL_CATALOGUE
from timellama.data.catalogue.datasets import Dataset

METADATA = "ro-crate-metadata.json"
CRATE = "https://w3id.org/ro/crate/1.1"
WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    WORKFLOW_CRATE: "Workflow RO-Crate",
}
LICENCE = "https://spdx.org/licenses/Apache-2.0"
WORKFLOW = "Snakefile"
PARTS = ("workflow", "config", "LICENSE")  # copied beside the workflow's first file
FORMATS = {
    ".json": "application/json",
    ".md": "text/markdown",
    ".tex": "application/x-tex",
    ".csv": "text/csv",
    ".html": "text/html",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".yaml": "application/yaml",
}


def write_crate(
    index: Mapping[str, Any], *, configfile: Path, datasets: Mapping[str, Dataset], root: Path, folder: Path
) -> int:
    """Write the crate of the provenance `index` of the project at `root` to `folder`; return the number of its files.

    `datasets` are those of the catalogue. Raises InputError where `folder` already exists, or a file of the index is
    absent.
    """
    if folder.exists():
        raise InputError(f"{folder} already exists: delete it, or name another with --folder")
    results = list(index["results"])
    inputs = [configfile.as_posix()]
    outputs = [*index["reports"], *results, "reports/provenance.json"]
    parts = [path.relative_to(root).as_posix() for name in PARTS for path in _files(root / name)]
    if not any(datasets[name].local for name in index["data"]):  # then the user's own data sets stay private
        parts = [path for path in parts if path != LOCAL_CATALOGUE]
    files = list(dict.fromkeys([WORKFLOW, *inputs, *outputs, *parts]))
    absent = [file for file in files if not (root / file).is_file()]
    if absent:
        raise InputError(f"{root / absent[0]} is absent, but the index lists it: let snakemake make it again")
    for file in files:
        place = folder / file
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / file, place)
    data = [entity for name in index["data"] for entity in _data(datasets[name])]
    text = json.dumps(_metadata(index, files, inputs, outputs, data, folder), indent=1, ensure_ascii=False)
    (folder / METADATA).write_text(text + "\n", encoding="utf-8")
    return len(files)


def check_crate(folder: Path) -> list[str]:
    """The files of a crate that are absent or not as it describes them. Raises InputError where there is no crate."""
    try:
        graph = json.loads((folder / METADATA).read_text(encoding="utf-8"))["@graph"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{folder / METADATA} cannot be read ({error!r}): write the crate again") from error
    described = {entity["@id"]: entity["sha256"] for entity in graph if "sha256" in entity and "url" not in entity}
    return [
        name
        for name, digest in described.items()
        if not (folder / name).is_file() or sha256_of(folder / name) != digest
    ]


def _files(place: Path) -> Iterable[Path]:
    found = [place] if place.is_file() else sorted(place.rglob("*"))
    return [path for path in found if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".sif"]


def _data(dataset: Dataset) -> list[dict[str, Any]]:
    """The published files of a data set, each by its address."""
    return [
        {
            "@id": file.source,
            "@type": "File",
            "name": f"{dataset.name}: {file.path}",
            "url": file.source,
            "license": dataset.licence,
            **({"sha256": file.sha256} if file.sha256 else {}),
        }
        for file in dataset.files
    ]


def _metadata(
    index: Mapping[str, Any],
    files: list[str],
    inputs: list[str],
    outputs: list[str],
    data: list[dict[str, Any]],
    folder: Path,
) -> dict[str, Any]:
    ended = sorted(result["ended"] for result in index["results"].values())
    started = sorted(result["started"] for result in index["results"].values() if "started" in result) or ended
    commit = index["checkout"]["git_commit"]
    environments = index["environments"].values()
    versions = {name: version for each in environments for name, version in each["versions"].items()}
    software = [
        {
            "@id": f"#{name}",
            "@type": "SoftwareApplication",
            "name": name,
            "softwareVersion": version,
        }
        for name, version in sorted(versions.items())
        if name != "snakemake"
    ]
    language = {
        "@id": "#snakemake",
        "@type": "ComputerLanguage",
        "name": "Snakemake",
        "url": {"@id": "https://snakemake.github.io"},
        "identifier": {"@id": "https://snakemake.github.io"},
        **({"version": versions["snakemake"]} if "snakemake" in versions else {}),
    }
    workflow = {
        "@id": WORKFLOW,
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
        "name": "timellama",
        "programmingLanguage": {"@id": "#snakemake"},
        "softwareRequirements": [{"@id": each["@id"]} for each in software],
        "version": commit,
        "license": {"@id": LICENCE},
        "sha256": sha256_of(folder / WORKFLOW),
    }
    action = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": f"The configuration {index['configuration']}",
        "instrument": {"@id": WORKFLOW},
        "object": [{"@id": name} for name in [*inputs, *(each["@id"] for each in data)]],
        "result": [{"@id": name} for name in outputs],
        "startTime": started[0] if started else None,
        "endTime": ended[-1] if ended else None,
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }
    described = [
        {
            "@id": name,
            "@type": "File",
            "name": name,
            "encodingFormat": FORMATS.get(Path(name).suffix, "text/plain"),
            "contentSize": str((folder / name).stat().st_size),
            "sha256": sha256_of(folder / name),
        }
        for name in files
        if name != WORKFLOW
    ]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"timellama, configuration {index['configuration']}",
        "description": f"Reports and results of one configuration of timellama at commit {commit}.",
        "datePublished": ended[-1] if ended else None,
        "license": {"@id": LICENCE},
        "conformsTo": [{"@id": profile} for profile in PROFILES],
        "mainEntity": {"@id": WORKFLOW},
        "mentions": [{"@id": "#run"}],
        "hasPart": [{"@id": name} for name in [*files, *(each["@id"] for each in data)]],
    }
    descriptor = {
        "@id": METADATA,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": [{"@id": CRATE}, {"@id": WORKFLOW_CRATE}],
    }
    profiles = [
        {"@id": profile, "@type": "CreativeWork", "name": name, "version": profile.rsplit("/", 1)[1]}
        for profile, name in PROFILES.items()
    ]
    licence = {
        "@id": LICENCE,
        "@type": "CreativeWork",
        "name": "Apache License 2.0",
        "description": "The licence of the workflow and of its reports.",
        "url": LICENCE,
    }
    graph = [descriptor, root, workflow, language, action, *profiles, licence, *software, *described, *data]
    return {
        "@context": [
            f"{CRATE}/context",
            {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"},
        ],
        "@graph": graph,
    }
