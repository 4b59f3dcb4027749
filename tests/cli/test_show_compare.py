"""`timellama show` and `compare`: they print what the files hold, and the test is the same as in the tables."""

import json
import math

import pytest

from tests.refusal import unnamed
from timellama.results.read.run_files import read_windows
from timellama.results.statistics.inference import t_quantile


def metrics_of(made, name):
    return json.loads((made.place(name) / "metrics.json").read_text(encoding="utf-8"))


def test_show_prints_numbers_settings_and_provenance(made, say):
    metrics = metrics_of(made, "dlinear-0")
    text = say("show", "dlinear/H4-T16-s0").stdout
    for wanted in (f"{metrics['mse']:.6f}", str(metrics["n_windows"]), "kernel", "max_steps", "of other code", "ab"):
        assert wanted in text, wanted
    told = json.loads(say("show", "dlinear/H4-T16-s0", "--json").stdout)
    assert told.pop("folder").endswith(made.runs["dlinear-0"].folder)
    assert told == metrics
    assert "router: share" not in text, "DLinear has none"


def test_show_prints_what_routers_chose(made, say):
    place = made.place("dlinear-0")
    metrics = metrics_of(made, "dlinear-0")
    metrics["router"] = {
        "modules": ["Q", "K"],
        "selection_rate": [[0.25, 0.75], [1.0, 0.0]],
        "distinct_patterns": [2, 1],
        "top_pattern_share": [0.75, 1.0],
        "entropy": [0.5, 0.125],
        "collapsed_blocks": [1],
    }
    (place / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    text = say("show", place / "metrics.json").stdout
    rows = [line.split() for line in text.splitlines()]
    assert "router: share of windows with each module on" in text
    assert ["0", "0.25", "0.75", "2", "0.75", "0.500"] in rows and ["1", "1.00", "0.00", "1", "1.00", "0.125"] in rows
    assert "collapsed: block 1" in text


def test_compare_pairs_the_seeds_of_both(made, say):
    told = json.loads(say("compare", made.place("dlinear-0"), made.place("rlinear-1"), "--json").stdout)
    assert told["seeds"] == [0, 1]
    assert told["settings"]["method"] == ["dlinear", "rlinear"] and told["settings"]["seed"] == [0, 1]
    for difference in told["differences"]:
        metric = difference["metric"]
        pairs = [metrics_of(made, f"dlinear-{s}")[metric] - metrics_of(made, f"rlinear-{s}")[metric] for s in (0, 1)]
        assert difference["mean"] == pytest.approx(sum(pairs) / 2)
        half = t_quantile(1) * (abs(pairs[0] - pairs[1]) / math.sqrt(2)) / math.sqrt(2)
        assert difference["half_width"] == pytest.approx(half)
        assert difference["decided"] == (abs(difference["mean"]) > half)
        both = [read_windows(made.place(name) / "windows.npz")[metric] for name in ("dlinear-0", "rlinear-1")]
        over = difference["windows"]
        assert over["mean"] == pytest.approx((both[0] - both[1]).mean()) and 0 < over["p"] < 1
        assert (difference["first"], difference["pairs"]) == (metrics_of(made, "dlinear-0")[metric], 2)
    assert [difference["metric"] for difference in told["differences"]] == ["mse", "mae"]
    text = say("compare", made.place("dlinear-0"), made.place("rlinear-1")).stdout
    assert "the interval is of 95% over 2 seeds" in text and "kernel" in text


OWN = {"name": "worst", "label": "Worst", "direction": "lower", "unit": "", "decimals": 2, "place": "m:WORST"}


def test_an_own_metric_has_its_label_and_compare_says_why_it_has_no_test_over_windows(made, say):
    names = ("dlinear-0", "rlinear-0")
    for value, name in enumerate(names):
        own = {"worst": OWN | {"definition": "ab", "value": float(value)}}
        metrics = metrics_of(made, name) | {"metrics": own}
        (made.place(name) / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    assert any(line.split()[:1] == ["Worst"] for line in say("show", made.place("dlinear-0")).stdout.splitlines())
    two = [made.place(name) for name in names]
    text = say("compare", *two).stdout
    [row] = [line.split() for line in text.splitlines() if line.split()[1:4] == ["0.00000", "1.00000", "-1.00000"]]
    assert row[0] == "Worst"
    notes = [line for line in text.splitlines() if line.startswith("note: ") and not unnamed(line, "windows", "Worst")]
    assert len(notes) == 1 and not unnamed(notes[0], "MSE", "MAE")
    for place in two:
        (place / "windows.npz").unlink()
    notes = json.loads(say("compare", *two, "--json").stdout)["notes"]
    assert not [note for note in notes if "Worst" in note], "nothing has a test over windows then"


def test_a_deterministic_method_is_paired_with_every_seed(made, say):
    told = json.loads(say("compare", made.place("naive"), made.place("dlinear-0"), "--json").stdout)
    assert told["seeds"] == [0, 1]
    naive = metrics_of(made, "naive")["mse"]
    expected = sum(naive - metrics_of(made, f"dlinear-{seed}")["mse"] for seed in (0, 1)) / 2
    assert told["differences"][0]["mean"] == pytest.approx(expected)
    assert any("is used for every seed" in note for note in told["notes"])


def test_a_single_pair_of_runs_is_not_tested_and_the_output_says_so(made, say):
    for name in ("dlinear-1", "rlinear-1"):
        (made.place(name) / "metrics.json").unlink()
    text = say("compare", made.place("dlinear-0"), made.place("rlinear-0")).stdout
    assert "not tested" in text and "no test over seeds: 1 seed(s)" in text and "+-" not in text
    told = json.loads(say("compare", made.place("dlinear-0"), made.place("rlinear-0"), "--json").stdout)
    assert [(each["half_width"], each["decided"]) for each in told["differences"]] == [(None, None)] * 2


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["show", "nothing"], ("'nothing'",)),
        (["show", "results/data"], ("results/data", "metrics.json")),
        (["show"], ("'run'",)),
        (["compare", "dlinear/H4-T16-s0", "dlinear/H8"], ("horizon", 4, 8)),
        (["compare", "dlinear/H4-T16-s0", "dlinear/H4-T16-s0"], ("long-term/ETTh1/dlinear",)),
        (["compare", "dlinear/H4-T16-s0"], ("'second'",)),
    ],
)
def test_wrong_input_ends_with_a_clear_error_and_code_2(made, say, arguments, named):
    done = say(*arguments, code=2)
    assert not unnamed(done.stderr, *named) and done.stdout == ""


def test_runs_on_different_data_are_not_compared(made, say):
    metrics = metrics_of(made, "rlinear-0")
    metrics["provenance"]["data_sha256"] = "12"
    (made.place("rlinear-0") / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    done = say("compare", made.place("dlinear-0"), made.place("rlinear-0"), code=2)
    assert not unnamed(done.stderr, "ab", 12)


def test_a_damaged_result_is_reported(made, say):
    (made.place("rlinear-0") / "metrics.json").write_text("{", encoding="utf-8")
    assert not unnamed(say("show", made.place("rlinear-0"), code=2).stderr, "metrics.json")
    (made.place("rlinear-0") / "metrics.json").write_text("{}", encoding="utf-8")
    told = say("show", made.place("rlinear-0"), code=2).stderr
    assert not unnamed(told, "metrics.json", "run", "identity")
