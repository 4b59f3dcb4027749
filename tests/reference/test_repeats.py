"""Runs compared with the kept ones of the same settings."""

import math

import pytest

from timellama.reports.reference.numbers import Kept
from timellama.reports.reference.repeats import repeats


def document(*, seed=0, ended="2026-01-01", code="a", processor="old", horizon=24, **errors):
    run = {"variant": "x", "horizon": horizon, "seed": seed}
    origin = {"ended": ended, "source_digest": code, "hardware": {"processor": processor}}
    return {"run": run, "provenance": origin, **errors}


def found(here, *, kept):
    results = {name: document(**of) for name, of in kept.items()}
    return repeats(Kept(matrix={}, results=results, reasons={}), {name: document(**of) for name, of in here.items()})


ONE = {"mse": 0.4, "mae": 0.3}
SEEDS = {"s0": ONE, "s1": {"seed": 1, "mse": 0.5, "mae": 0.3}, "s2": {"seed": 2, "mse": 0.6, "mae": 0.3}}
LATER = {"ended": "2026-02-01"}


def test_the_difference_is_reported_with_the_spread_over_the_kept_seeds():
    kept = SEEDS | {"other": {"horizon": 48, "mse": 9.0, "mae": 9.0}}
    [one] = found({"s1": LATER | {"seed": 1, "mse": 0.51, "mae": 0.3, "processor": "new", "code": "b"}}, kept=kept)
    assert (one.result, one.error, one.kept, one.here) == ("s1", "mse", 0.5, 0.51)
    assert one.difference == pytest.approx(0.01) and one.share == pytest.approx(0.02)
    assert one.spread == pytest.approx(0.1)  # of 0.4, 0.5 and 0.6
    assert not one.same_bits and not one.same_code
    assert (one.kept_processor, one.processor) == ("old", "new")


@pytest.mark.parametrize(
    ("changed", "same"), [({}, True), ({"mae": 0.3 + 1e-16}, False), ({"mse": 0.4 + 1e-16}, False)]
)
def test_same_bits_requires_every_error_to_be_equal(changed, same):
    [one] = found({"s0": LATER | ONE | changed}, kept={"s0": ONE})
    assert one.same_bits is same and one.same_code and one.spread is None


def test_m4_is_compared_by_its_first_error():
    scores = {"smape": 10.0, "mase": 1.0, "owa": 0.9}
    [one] = found({"s0": LATER | scores | {"smape": 11.0}}, kept={"s0": scores})
    assert one.error == "smape" and one.difference == 1.0
    [one] = found({"s0": LATER | scores | {"owa": 0.8}}, kept={"s0": scores})
    assert one.difference == 0.0 and not one.same_bits


def test_results_that_are_not_repeats_are_left_out():
    sweep = LATER | {"sweep": {}}
    here = {"s0": ONE, "unknown": LATER | ONE, "sweep": sweep}
    assert found(here, kept={"s0": ONE, "sweep": {"sweep": {}}}) == []


@pytest.mark.parametrize(("mse", "share"), [(0.0, 0.0), (0.1, math.inf)])
def test_a_kept_error_of_zero_still_has_a_share(mse, share):
    [one] = found({"s0": LATER | {"mse": mse, "mae": 0.1}}, kept={"s0": {"mse": 0.0, "mae": 0.0}})
    assert one.share == share
