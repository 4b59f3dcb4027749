"""A run's identity: readable, restored from its JSON, and different whenever any setting differs."""

import dataclasses
from typing import Annotated

import pytest
from pydantic import Field

from timellama.core.values import ADDED, named_fields
from timellama.experiments.run import Run
from timellama.methods.registry import every_method


def altered(value):
    """Another value of the same kind."""
    if dataclasses.is_dataclass(value):
        return [
            dataclasses.replace(value, **{f.name: v})
            for f in dataclasses.fields(value)
            for v in altered(getattr(value, f.name))
        ]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, (int, float)):
        return [value + 1]
    return [f"{value}x"]


def test_a_run_survives_json(sample_run):
    again = Run.from_json(sample_run.to_json())
    assert again == sample_run and again.digest == sample_run.digest


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(Run)])
def test_every_single_setting_changes_the_digest(sample_run, field):
    others = [dataclasses.replace(sample_run, **{field: value}) for value in altered(getattr(sample_run, field))]
    assert others
    digests = {run.digest for run in others}
    assert len(digests) == len(others) and sample_run.digest not in digests


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grown:
    """Settings to which one was added after results were kept."""

    old: int = 1
    new: Annotated[int, Field(ge=0), ADDED] = 0


def test_an_added_setting_is_named_only_where_it_changes_something():
    assert named_fields(Grown()) == {"old": 1}
    assert named_fields(Grown(new=2)) == {"old": 1, "new": 2}


def test_the_identity_is_readable(sample_run):
    assert sample_run.identity == f"H96-T512-s0-tiny-gpt2-x2-{sample_run.digest}"
    assert sample_run.folder == f"long-term/ETTh1/time-llama/{sample_run.identity}"
    assert dataclasses.replace(sample_run, backbone=None).identity.startswith("H96-T512-s0-")


def test_every_method_has_options_with_defaults():
    assert every_method()
    for kind in (method.options for method in every_method().values()):
        assert kind() == kind()
