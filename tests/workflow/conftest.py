"""What the workflow would do in a project without data and weights: one dry run a configuration, for all that ask."""

import functools
from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def untouched(make_project):
    """A project in which nothing is changed and nothing is run but dry."""
    return make_project()


@pytest.fixture(scope="session")
def dry_run(untouched) -> Callable[[str], str]:
    """What a dry run of everything prints under a configuration."""

    @functools.cache
    def dry_run(name: str) -> str:
        done = untouched.snakemake("all", "-n", "--configfile", f"config/{name}.yaml")
        assert done.returncode == 0, done.stdout
        assert not list(untouched.folder.rglob("*.npz")), "a dry run makes nothing"
        return done.stdout

    return dry_run
