"""A real HTTP server on 127.0.0.1 that misbehaves when told, and a bench to fetch from it, to test `sources`."""

import http.server
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.refusal import refused
from timellama.data.fetch.sources import Artifact, fetch

CONTENT = bytes(range(256)) * 4000  # 1 MB: several chunks of a socket's buffer


@dataclass
class Site:
    """What the server holds and how it answers; each request uses up one of `answers`, after which it behaves well."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    tag: str | None = '"v1"'
    modified: str | None = None
    ranges: bool = True
    answers: list[Callable[[http.server.BaseHTTPRequestHandler], None]] = field(default_factory=list)
    requests: list[tuple[str, str | None, int | None]] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)  # the authorisation of each HEAD
    refuses: int | None = None  # the status of each HEAD


def status(code: int) -> Callable:
    """Returns an answer with that status and no content."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def cut_after(share: float) -> Callable:
    """Returns a good answer whose connection breaks after that share of the content."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        send(handler, share=share)
        handler.close_connection = True

    return answer


def hang(release: threading.Event) -> Callable:
    """Returns an answer that stays silent until `release` is set."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        release.wait(30)
        handler.close_connection = True

    return answer


def wait_then_send(event: threading.Event, pause: float) -> Callable:
    """Returns a good answer, sent `pause` seconds after `event`."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        event.wait(30)
        time.sleep(pause)
        send(handler)

    return answer


def close(handler: http.server.BaseHTTPRequestHandler) -> None:
    """Ends the connection without an answer."""
    handler.close_connection = True


def send(handler: http.server.BaseHTTPRequestHandler, share: float = 1.0) -> None:
    """Sends the requested file, or the requested range of it, and records the status."""
    site: Site = handler.server.site
    content = site.files.get(handler.path)
    if content is None:
        status(404)(handler)
        site.requests.append((handler.path, handler.headers.get("Range"), 404))
        return
    asked, guard, begin = handler.headers.get("Range"), handler.headers.get("If-Range"), 0
    weak = guard is not None and guard.startswith("W/")  # RFC 9110, 13.1.5: a weak tag never matches
    if site.ranges and asked and not weak and guard in (None, site.tag, site.modified):
        begin = int(asked.removeprefix("bytes=").removesuffix("-"))
    if begin and begin >= len(content):
        site.requests.append((handler.path, asked, 416))
        status(416)(handler)
        return
    code = 206 if begin else 200
    site.requests.append((handler.path, asked, code))
    handler.send_response(code)
    body = content[begin:]
    handler.send_header("Content-Length", str(len(body)))
    if site.tag:
        handler.send_header("ETag", site.tag)
    if site.modified:
        handler.send_header("Last-Modified", site.modified)
    if begin:
        handler.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
    handler.end_headers()
    handler.wfile.write(body[: int(len(body) * share)])


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers each request with the next of the site's answers."""

    def do_GET(self) -> None:
        site: Site = self.server.site
        (site.answers.pop(0) if site.answers else send)(self)

    def do_HEAD(self) -> None:
        """What huggingface_hub requests first for a file: its commit, its tag and its size."""
        site: Site = self.server.site
        site.tokens.append(self.headers.get("Authorization"))
        content = site.files.get(self.path)
        self.send_response(site.refuses or (200 if content is not None else 404))
        self.send_header("X-Repo-Commit", "c" * 40)
        self.send_header("ETag", site.tag or '"none"')
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keeps the tests quiet."""


class Server(http.server.ThreadingHTTPServer):
    """A server that does not report clients that disconnected."""

    def handle_error(self, *_: object) -> None:
        """Keeps the tests quiet."""


class Bench:
    """A target, a cache, and pauses that are recorded instead of taken."""

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

    def refused(self, artifact: Artifact, *named: object, mirrors: tuple[str, ...] = (), timeout: float = 5.0) -> None:
        with refused(*named):
            self.fetch(artifact, mirrors, timeout)
        assert not self.target.exists()
        assert not list(self.target.parent.glob(".*")) if self.target.parent.exists() else True
