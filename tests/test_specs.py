"""A run's identity: readable, inverse of itself, and different whenever any setting is."""

import dataclasses

import pytest

from timellama.specs import OPTIONS, Backbone, Run, Split, TimeLlamaOptions, Training

RUN = Run(
    task="long-term",
    dataset="ETTh1",
    data_sha256="ab",
    split=Split(rule="months", train=12, validation=4, test=4, rows_per_day=24),
    season=24,
    variates=7,
    context=512,
    horizon=96,
    train_percent=100,
    variant="time-llama",
    method="time-llama",
    options=TimeLlamaOptions(),
    training=Training(),
    backbone=Backbone(name="tiny-gpt2", blocks=2, pin="0"),
    prompt="a prompt",
    seed=0,
    precision="float32",
    device="cpu",
)


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


def test_a_run_survives_json():
    again = Run.from_json(RUN.to_json())
    assert again == RUN and again.digest == RUN.digest


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(Run)])
def test_every_single_setting_changes_the_digest(field):
    others = [dataclasses.replace(RUN, **{field: value}) for value in altered(getattr(RUN, field))]
    assert others
    digests = {run.digest for run in others}
    assert len(digests) == len(others) and RUN.digest not in digests


def test_identity_can_be_read():
    assert RUN.identity == f"H96-T512-s0-tiny-gpt2-x2-{RUN.digest}"
    assert RUN.folder == f"long-term/ETTh1/time-llama/{RUN.identity}"
    assert dataclasses.replace(RUN, backbone=None).identity.startswith("H96-T512-s0-")


def test_every_method_has_options_with_defaults():
    assert OPTIONS
    for kind in OPTIONS.values():
        assert kind() == kind()
