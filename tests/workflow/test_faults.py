"""What a person or a disk may do to a finished project: nothing is lost, and no wrong number reaches a report."""

import json
import re
import signal
import time
from pathlib import Path

import pytest
import yaml

from tests.made_up import RUN_FILES
from timellama.data.series import load_series
from timellama.reports import provenance_index
from timellama.reports.verify import verify

# One file of each kind, and its path.
TRUNCATED = {
    **{file: f"results/long-term/Synthetic/time-llama/*/{file}" for file in RUN_FILES},
    "series.npz": "results/data/Synthetic/series.npz",
    "quirks.json": "results/data/Synthetic/quirks.json",
    "backbone.json": "results/backbones/tiny-gpt2/x2-pretrained/backbone.json",
    "blocks.safetensors": "results/backbones/tiny-gpt2/x2-pretrained/blocks.safetensors",
    "embeddings.safetensors": "results/backbones/tiny-gpt2/x2-pretrained/embeddings.safetensors",
    "tokenizer.json": "results/backbones/tiny-gpt2/x2-pretrained/tokenizer.json",
    "raw": "results/raw/synthetic/*.csv",
}
DRAWN = ("history.csv", "router.csv", "forecasts.npz")  # figures are drawn from these
HOSTILE = "odd/%_&$#{}~^ $(touch pwned) `touch pwned`; touch pwned # é漢.csv"


@pytest.fixture
def copy(copy_of_finished):
    """A copy of the finished project, next to a file that does not belong to it."""
    project = copy_of_finished()
    (project.folder.parent / "precious").write_text("mine", encoding="utf-8")
    return project


def mismatches(project) -> list[str]:
    """The paths that `timellama verify` would report in the project."""
    index = provenance_index.read(project.folder / provenance_index.NAME)
    return [each.path for each in verify(index, root=project.folder).mismatches]


def numbers(project) -> dict[str, list]:
    """Each run's errors."""
    files = sorted(project.folder.glob("results/long-term/Synthetic/*/*/metrics.json"))
    found = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    return {document["identity"]: [document[key] for key in ("mse", "mae", "n_windows")] for document in found}


def table(project) -> list[str]:
    """The table's lines with numbers."""
    text = (project.folder / "reports/table_long_term.md").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.startswith("|")]


def cut(path: Path) -> None:
    """Truncates the file to two thirds."""
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def test_verify_reports_each_kind_of_truncated_file(copy):
    assert mismatches(copy) == []
    for name, pattern in TRUNCATED.items():
        [path] = copy.folder.glob(pattern)
        whole = path.read_bytes()
        cut(path)
        assert mismatches(copy) == [path.relative_to(copy.folder).as_posix()], name
        path.write_bytes(whole)
    assert mismatches(copy) == []


def test_truncated_files_are_reported_and_rebuilt_while_a_second_snakemake_is_refused(copy, finished):
    expected, shown = numbers(finished), table(finished)
    damaged = [path for name in DRAWN for path in copy.folder.glob(TRUNCATED[name])]
    damaged += copy.folder.glob("results/long-term/Synthetic/dlinear/*/metrics.json")
    assert len(damaged) == len(DRAWN) + 1
    for path in damaged:
        cut(path)
    before = {path: path.read_bytes() for path in copy.folder.glob("results/**/*.safetensors")}
    done = copy.snakemake("all", "--keep-going")
    assert done.returncode != 0 and "Traceback" not in done.stdout
    told = [line for line in done.stdout.splitlines() if line.startswith("InputError: ")]
    for path in damaged:
        [line] = dict.fromkeys(line for line in told if path.relative_to(copy.folder).as_posix() in line)
        assert "elete it and run again" in line
    # No number of a damaged result is shown: the others are unchanged, and a dash is in its place.
    assert set(re.findall(r"\d\.\d{3}", "".join(table(copy)))) < set(re.findall(r"\d\.\d{3}", "".join(shown)))
    assert "NOT COMPLETE: 1 of 5" in (copy.folder / "reports/table_long_term.md").read_text(encoding="utf-8")
    assert {path: path.read_bytes() for path in before} == before, "no intact file is lost"
    for path in damaged:
        path.unlink()

    trainings = {path.parent.relative_to(copy.folder) / "metrics.json" for path in damaged}
    first = copy.start(*map(str, trainings))
    while not list((copy.folder / ".snakemake/locks").glob("*")):
        assert first.poll() is None
        time.sleep(0.1)
    first.send_signal(signal.SIGSTOP)  # it holds the lock until the second has tried
    try:
        second = copy.snakemake("all")
        assert first.poll() is None, "the first was still running when the second was refused"
    finally:
        first.send_signal(signal.SIGCONT)
    assert second.returncode != 0 and "Traceback" not in second.stdout
    assert "Directory cannot be locked" in second.stdout and "--unlock" in second.stdout
    output, _ = first.communicate()
    assert first.returncode == 0, output
    done = copy.snakemake("all")
    assert done.returncode == 0, done.stdout
    assert numbers(copy) == expected and table(copy) == shown and mismatches(copy) == []
    assert sorted(path.name for path in copy.folder.parent.iterdir()) == ["precious", "project"]


def test_a_file_with_a_hostile_name_is_read_like_any_other(make_project, tmp_path):
    project = make_project()
    source = tmp_path / HOSTILE
    source.parent.mkdir()
    rows = [f"2024-01-{day:02d},{day},{day % 3}" for day in range(1, 29)]
    source.write_text("\n".join(["date,$a_{b}%,<é> & `touch pwned`", *rows, ""]), encoding="utf-8")
    file = project.folder / "config/datasets.yaml"
    catalogue = yaml.safe_load(file.read_text(encoding="utf-8"))
    own = dict(catalogue["datasets"]["Synthetic"], rows=28, variates=2, frequency="D", columns=None)
    own["files"] = [{"path": HOSTILE, "source": str(source)}]
    catalogue["datasets"]["Own"] = own
    file.write_text(yaml.safe_dump(catalogue), encoding="utf-8")
    outside = sorted(path.name for path in project.folder.parent.iterdir())
    done = project.snakemake("results/data/Own/series.npz", "--configfile", "config/smoke.yaml")
    assert done.returncode == 0, done.stdout
    series = load_series(project.folder / "results/data/Own/series.npz")
    assert series.columns == ("$a_{b}%", "<é> & `touch pwned`") and series.values[:, 0].tolist() == list(range(1, 29))
    assert (project.folder / "results/raw" / HOSTILE).read_bytes() == source.read_bytes()
    assert (
        not list(project.folder.rglob("pwned")) and sorted(p.name for p in project.folder.parent.iterdir()) == outside
    )
