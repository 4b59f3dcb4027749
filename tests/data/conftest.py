"""The local server from which the tests of fetching download."""

import hashlib
import importlib.util
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from timellama.data.fetch.sources import Artifact


@pytest.fixture(scope="session")
def web() -> ModuleType:
    """The module `server.py` next to this file."""
    spec = importlib.util.spec_from_file_location("data_test_server", Path(__file__).with_name("server.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def site(web: ModuleType) -> Iterator[object]:
    """The `Site` of a running server."""
    server = web.Server(("127.0.0.1", 0), web.Handler)
    server.site = web.Site(address=f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.site
    server.shutdown()
    server.server_close()


@pytest.fixture
def bench(web: ModuleType, tmp_path: Path) -> object:
    """A target and a cache in a fresh folder."""
    return web.Bench(tmp_path)


@pytest.fixture
def artifact(web: ModuleType, site: object) -> Artifact:
    """The description of a file that the server holds."""
    site.files["/pub/a.csv"] = web.CONTENT
    digest = hashlib.sha256(web.CONTENT).hexdigest()
    return Artifact(path="set/a.csv", source=f"{site.address}/pub/a.csv", sha256=digest, bytes=len(web.CONTENT))
