"""A file is fetched correctly or not at all, whatever the server does."""

import hashlib
import logging
import re
import shutil
import socket
import threading
import time
from pathlib import Path

import pytest

from timellama.data.fetch import download as downloading
from timellama.data.fetch.sources import Artifact

CONTENT = bytes(range(256)) * 4000  # what `server.py` serves


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_an_interrupted_download_is_resumed_where_it_broke_off(
    bench: object, site: object, web: object, artifact: Artifact
) -> None:
    site.answers = [web.cut_after(0.5), web.cut_after(0.5)]
    bench.fetch(artifact)
    assert bench.target.read_bytes() == CONTENT
    assert [(asked, code) for _, asked, code in site.requests] == [
        (None, 200),
        ("bytes=512000-", 206),
        ("bytes=768000-", 206),
    ]
    assert bench.pauses == [1.0, 1.0]  # each attempt got further than the one before


def test_a_failed_fetch_is_resumed_by_the_next_call(
    bench: object, site: object, web: object, artifact: Artifact
) -> None:
    site.answers = [web.cut_after(0.5), *[web.status(503)] * 5]
    bench.refused(artifact, f"{site.address}/pub/a.csv", 503)
    site.requests.clear()
    bench.fetch(artifact)
    assert bench.target.read_bytes() == CONTENT
    assert site.requests == [("/pub/a.csv", "bytes=512000-", 206)]


def test_a_server_that_ignores_ranges_sends_everything_again(
    bench: object, site: object, web: object, artifact: Artifact
) -> None:
    site.ranges, site.answers = False, [web.cut_after(0.5)]
    bench.fetch(artifact)
    assert bench.target.read_bytes() == CONTENT
    assert [code for _, _, code in site.requests] == [200, 200]


def test_a_file_that_changes_meanwhile_is_fetched_from_the_start(bench: object, site: object, web: object) -> None:
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


def test_two_halves_of_different_files_are_detected_without_a_tag(bench: object, site: object, web: object) -> None:
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


def test_a_weak_tag_is_not_used_to_resume(bench: object, site: object, web: object, artifact: Artifact) -> None:
    site.tag, site.modified, site.answers = 'W/"v1"', "Wed, 01 Jan 2025 00:00:00 GMT", [web.cut_after(0.5)]
    bench.fetch(artifact)
    assert [code for _, _, code in site.requests] == [200, 206]  # Last-Modified matched


def test_temporary_failures_are_retried_with_growing_pauses(
    bench: object, site: object, web: object, artifact: Artifact
) -> None:
    site.answers = [web.status(500), web.close, web.status(429)]
    bench.fetch(artifact)
    assert bench.target.read_bytes() == CONTENT
    assert bench.pauses == [1.0, 2.0, 4.0]


def test_a_server_that_hangs_is_given_up_on(bench: object, site: object, web: object, artifact: Artifact) -> None:
    release = threading.Event()
    site.answers = [web.hang(release)] * 5
    bench.refused(artifact, f"{site.address}/pub/a.csv", "TIMELLAMA_MIRROR=FOLDER", timeout=0.2)
    release.set()
    assert bench.pauses == [1.0, 2.0, 4.0, 8.0]


def test_an_absent_file_is_reported_without_retrying(bench: object, site: object, artifact: Artifact) -> None:
    del site.files["/pub/a.csv"]
    bench.refused(artifact, "set/a.csv", f"{site.address}/pub/a.csv", 404, "TIMELLAMA_MIRROR=FOLDER")
    assert bench.pauses == []


def test_wrong_content_is_reported_and_not_kept(bench: object, site: object, artifact: Artifact) -> None:
    site.files["/pub/a.csv"] = CONTENT[:-1] + b"x"
    bench.refused(artifact, digest(CONTENT[:-1] + b"x"), artifact.sha256)
    assert [p.name for p in bench.cache.iterdir()] == [f"{artifact.sha256}.lock"]


def test_a_file_that_is_too_short_is_reported(bench: object, site: object, artifact: Artifact) -> None:
    site.files["/pub/a.csv"] = CONTENT[:1000]
    bench.refused(artifact, 1000, len(CONTENT))


def test_an_unreachable_server_is_reported(bench: object) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    artifact = Artifact(path="a.csv", source=f"http://127.0.0.1:{port}/a.csv", sha256="0" * 64)
    bench.refused(artifact, f"http://127.0.0.1:{port}/a.csv", "TIMELLAMA_MIRROR=FOLDER")


def test_the_announced_size_is_compared_with_the_free_space(
    bench: object, site: object, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(downloading.shutil, "disk_usage", lambda _: usage._replace(free=10))
    unsized = Artifact(path="a.csv", source=artifact.source, sha256=artifact.sha256)
    bench.refused(unsized, "a.csv", bench.cache, len(CONTENT), 10)


def test_progress_is_logged_in_tenths(
    bench: object, artifact: Artifact, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading, "CHUNK", 1 << 10)
    with caplog.at_level(logging.INFO):
        bench.fetch(artifact)
    lines = [r.getMessage() for r in caplog.records if r.getMessage().startswith("a.csv: ")]
    assert 9 <= len(lines) <= 10
    assert re.fullmatch(rf"a\.csv: \d+ of {len(CONTENT)} bytes \(10 %\)", lines[0])


def test_a_partial_file_is_not_completed_from_another_place(
    bench: object, site: object, web: object, artifact: Artifact
) -> None:
    site.files["/m/set/a.csv"] = CONTENT[::-1]
    site.answers = [web.cut_after(0.5), *[web.status(503)] * 5]
    bench.fetch(artifact, (f"{site.address}/m",))
    assert bench.target.read_bytes() == CONTENT
    assert site.requests == [("/m/set/a.csv", None, 200), ("/pub/a.csv", None, 200)]


def test_a_file_that_is_requested_twice_at_once_is_fetched_once(
    bench: object, site: object, web: object, artifact: Artifact, tmp_path: Path
) -> None:
    other, second_begins = web.Bench(tmp_path), threading.Event()
    other.target = tmp_path / "out" / "other.csv"
    site.answers = [web.wait_then_send(second_begins, 0.3)]
    first = threading.Thread(target=bench.fetch, args=(artifact,))
    first.start()
    while site.answers:  # until the first thread has sent its request
        time.sleep(0.01)
    second = threading.Thread(target=other.fetch, args=(artifact,))
    second.start()
    second_begins.set()
    first.join()
    second.join()
    assert bench.target.read_bytes() == other.target.read_bytes() == CONTENT
    assert len(site.requests) == 1
