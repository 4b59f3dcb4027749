"""What every test may ask for: the project's root and, where it stands beside the project, the folder of real data."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data files; a test that needs it is skipped by name where there is none."""
    folder = Path(os.environ.get("TIMELLAMA_SHARED", ROOT.parent / "shared"))
    if not (folder / "data" / "SOURCES.csv").is_file():
        pytest.skip(f"needs the real data files of {folder}, which is absent")
    return folder
