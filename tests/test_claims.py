"""The rules: made-up results give every verdict that a statement can have, and effects match hand-computed values."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest

from tests import made_up
from timellama.reports.claims import errors as effects
from timellama.reports.claims import routing
from timellama.reports.claims import rules as claims
from timellama.reports.claims.rules import CANNOT_FAIL, DOES_NOT_HOLD, HOLDS, INCONCLUSIVE, NOT_RUN, STATEMENTS
from timellama.reports.claims.table import count, effect_and_interval, interval, region, table_of_claims
from timellama.reports.claims.verdicts import Results, Router, findings, papers_part
from timellama.reports.render.markup import MISSING, to_latex, to_markdown

LABELS = {"time-llama": "Time-LlaMA", "time-llm": "Time-LLM", "time-llama-n1": "Time-LlaMA, n = 1"}
BACKBONE = "SmolLM2-135M x6"
SEEDS = (0, 1, 2, 3)
M4 = {13: "M4-Weekly", 48: "M4-Hourly"}
TABLE_1 = ("ECL", "ETTh1", "ETTm1", "Traffic", "Weather")


@pytest.fixture(scope="module")
def published(root):
    return root / "config/published"


def run(experiment, variant, *, dataset="ETTh1", horizon=96, seed=0, error=1.0, **changes):
    """A row of `aggregate.collect`."""
    m4 = experiment == "short_term"
    row = made_up.row(
        variant,
        **{
            **{"task": experiment, "dataset": dataset, "horizon": horizon, "seed": seed},
            "context": 2 * horizon if m4 else 512,
            "train_percent": claims.PARTS[experiment].train_percent if experiment in claims.PARTS else 100,
            "label": LABELS.get(variant, variant),
            "backbone": BACKBONE if variant.startswith("time-l") else "",
            **dict.fromkeys(("smape", "mase", "owa") if m4 else ("mse", "mae"), error),
            **changes,
        },
    )
    settings = f"{variant} {dataset} {horizon} {row['context']} {row['backbone']} {row['train_percent']}"
    return row | {"settings": settings, "identity": f"{settings} {seed}"}


def places(experiment):
    if experiment == "short_term":
        return [(name, horizon) for horizon, name in M4.items()]
    if experiment == "long_term":
        return [(name, 192) for name in TABLE_1]
    return [("ETTh1", 192), ("Weather", 192)]


def errors(statement, change):
    """Time-LlaMA at 1 + change / 100 (a number per cell and seed), every other method at 1."""
    (experiment,) = statement.experiments
    rows = []
    for (place, (dataset, horizon)), seed in itertools.product(enumerate(places(experiment)), SEEDS):
        at = {"dataset": dataset, "horizon": horizon, "seed": seed}
        rows.append(run(experiment, "time-llama", error=1 + change(place, seed) / 100, **at))
        rows += [run(experiment, other, **at) for other in statement.others]
    return Results(frames={experiment: pd.DataFrame(rows)})


def routed(rates, *, active=4):
    """Time-LlaMA's runs with the selection rates [L, E] that `rates` returns for a data set's place and a seed."""
    rows, routers = [], {}
    for (place, (dataset, horizon)), seed in itertools.product(enumerate(places("active_loras")), SEEDS):
        rows.append(run("active_loras", "time-llama", dataset=dataset, horizon=horizon, seed=seed))
        routers[rows[-1]["identity"]] = Router(active=active, rates=np.array(rates(place, seed), dtype=float))
    return Results(frames={"active_loras": pd.DataFrame(rows)}, routers=routers)


def speeds(statement, ratio, *, slow=1.0, backbone=claims.PAPER_SIZE):
    (other,) = statement.others
    same = {"variates": 862, "context": 512, "batch_size": 1, "forward_status": "measured"}
    same |= {"processor": "made up", "threads": 1, "device": "cpu"}
    ours = {"variant": "time-llama", "backbone": backbone, "forward": {"seconds": 1.0, "p95": slow}}
    theirs = {"variant": other, "backbone": "", "forward": {"seconds": ratio, "p95": ratio * slow}}
    return Results(sweeps=[same | ours, same | theirs])


def of_errors(statement):
    """Results for each verdict: effects well inside the region, well outside it, and on both sides."""
    if statement.measure == claims.SHARE:
        inside, outside = -5.0, 5.0
        mixed = lambda place, seed: -5.0 if (place + seed) % 2 else 5.0  # noqa: E731
    else:
        high = statement.high
        inside, outside = high - 0.5, high + 5.0
        mixed = lambda place, seed: high + (9.0 if (seed + place) % 2 else -9.0)  # noqa: E731
        if statement.about == claims.BEYOND:
            mixed = lambda place, seed: high + (9.0 if place % 2 else -9.0)  # noqa: E731
    return {
        HOLDS: errors(statement, lambda place, seed: inside),
        DOES_NOT_HOLD: errors(statement, lambda place, seed: outside),
        INCONCLUSIVE: errors(statement, mixed),
    }


def of_highest(statement):
    """With two modules on, a share can be anything up to 50 %."""
    even = [[2 / 7] * 7] * 2
    uneven = [[1.0] + [1 / 6] * 6] * 2
    return {
        HOLDS: routed(lambda place, seed: even, active=2),
        DOES_NOT_HOLD: routed(lambda place, seed: uneven, active=2),
        INCONCLUSIVE: routed(lambda place, seed: even if seed % 2 else uneven, active=2),
        CANNOT_FAIL: routed(lambda place, seed: even),
    }


def of_shares(statement):
    """The omitted module depends on the block or the data set, on nothing, or on it for only one seed in two."""
    left_out = lambda module: [0.0 if place == module else 4 / 6 for place in range(7)]  # noqa: E731
    blocks = statement.measure == claims.BLOCKS

    def rates(systematic):
        def of(place, seed):
            own = systematic(place, seed)
            return [left_out(block if own else 5) if blocks else left_out(place if own else 5) for block in range(2)]

        return of

    return {
        HOLDS: routed(rates(lambda place, seed: True)),
        DOES_NOT_HOLD: routed(rates(lambda place, seed: False)),
        INCONCLUSIVE: routed(rates(lambda place, seed: seed % 2 == 0 and place == 0)),
    }


def of_speeds(statement):
    inside = statement.low * 1.5
    return {
        HOLDS: speeds(statement, inside),
        DOES_NOT_HOLD: speeds(statement, statement.low / 2),
        INCONCLUSIVE: speeds(statement, inside, slow=3.0),
    }


KINDS = {claims.HIGHEST: of_highest, claims.BLOCKS: of_shares, claims.DATASETS: of_shares, claims.SPEED: of_speeds}
CASES = [
    pytest.param(statement, verdict, results, id=f"{statement.number} {verdict}")
    for statement in STATEMENTS
    for verdict, results in (KINDS.get(statement.measure, of_errors)(statement) | {NOT_RUN: Results()}).items()
]


@pytest.mark.parametrize(("statement", "verdict", "results"), CASES)
def test_every_statement_can_have_every_verdict(statement, verdict, results, published):
    (found,) = findings(results, published=published, labels=LABELS, statements=[statement])
    assert found.verdict == verdict, found


def test_every_statement_has_all_its_cases():
    assert len(STATEMENTS) == 28 and len(CASES) == 4 * 28 + 1
    assert {statement.claim for statement in STATEMENTS} == set(claims.CLAIMS)
    assert len({statement.number for statement in STATEMENTS}) == len(STATEMENTS)


def test_the_document_and_the_data_have_the_same_rules(root):
    text = (root / "docs/claims.md").read_text(encoding="utf-8").partition("<!-- editions: begin -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line]
    regions = {}
    for row in rows:
        if numbers := re.findall(r"\d\.\d", row[0]):
            first, last = int(numbers[0][-1]), int(numbers[-1][-1])
            regions |= {f"{numbers[0][0]}.{place}": row[-1] for place in range(first, last + 1)}
    for statement in STATEMENTS:
        said = regions.pop(statement.number)
        assert said.removeprefix("in ") == region(statement).replace("\N{MINUS SIGN}", "-").removeprefix("in ")
    assert not regions


def cell(dataset="ETTh1", horizon=96, ratios=(0.0,), windows=None):
    return effects.Cell(dataset=dataset, horizon=horizon, ratios=dict(enumerate(ratios)), windows=windows)


def test_every_statement_has_a_scope_and_a_reason():
    beyond = {statement.number for statement in STATEMENTS if statement.about == claims.BEYOND}
    assert beyond == {"1.2", "1.3", "1.4", "1.5", "1.6"}
    assert {statement.about for statement in STATEMENTS} == {claims.CELLS, claims.BEYOND}
    assert all(statement.because for statement in STATEMENTS)


def test_a_seed_counts_as_its_mean_over_the_cells_of_a_data_set():
    # Seeds 0 and 1 of ETTh1 have means of 2 and 4 (variance 2), those of Weather 1 and 1.
    cells = [cell(ratios=(1, 3)), cell(horizon=192, ratios=(3, 5)), cell("Weather", ratios=(1, 1))]
    found = effects.mean_of(cells)
    assert found.value == pytest.approx((2 + 4 + 1) / 3)
    # ETTh1 has a weight of two thirds: 2 / 2 seeds * 4 / 9, with one degree of freedom.
    assert (found.part.variance, found.part.degrees) == (pytest.approx(4 / 9), 1)
    low, high = found.ends()
    assert high - low == pytest.approx(2 * 12.7062 * 2 / 3, rel=1e-5)


def test_a_data_set_with_one_seed_gives_no_interval():
    assert effects.mean_of([cell(ratios=(1, 3)), cell("Weather", ratios=(1,))]).part is None


def test_statements_about_any_data_set_use_data_sets_as_units():
    # Means of 1, 2, 3, 4 and 5 per data set, the first over two horizons.
    cells = [cell("0", ratios=(0,)), cell("0", 192, ratios=(2,)), *(cell(str(n), ratios=(n + 1,)) for n in range(1, 5))]
    found = effects.of_datasets(cells)
    assert (found.value, found.part.degrees) == (3.0, 4)
    assert found.part.variance == pytest.approx(2.5 / 5)
    assert found.ends() == pytest.approx((3 - 2.776445 * 0.5**0.5, 3 + 2.776445 * 0.5**0.5))


def test_windows_of_two_horizons_are_treated_as_correlated():
    # Both have windows 0 and 1: `long` / 2, and 2 * (1, -1, 0, 0) / 2 as the two windows of `short` count twice each.
    long, short = np.array([1.0, -1.0, 0.0, 0.0]), np.array([1.0, -1.0])
    cells = [cell(horizon=1, ratios=(0, 0), windows=long), cell(horizon=1, ratios=(0, 0), windows=short)]
    (part,) = effects.period_of(cells)
    series = long / 2 + np.array([1.0, -1.0, 0.0, 0.0]) * 2 / 2
    assert part.variance == pytest.approx(series.var() / 4 / (2 / 3 * 3 / 4))
    assert effects.mean_of(cells).part.variance == pytest.approx(part.variance), "the seeds agree"


def test_without_windows_of_every_run_only_seeds_count():
    cells = [cell(ratios=(1, 3), windows=np.array([1.0, -1.0] * 96)), cell(horizon=192, ratios=(1, 3))]
    assert effects.period_of(cells) is None and effects.mean_of(cells).part.variance == 1.0
    assert effects.chance_of({"a": cells}) == "interval over seeds only"
    assert effects.chance_of({"a": cells[:1]}) == "interval over seeds and test period"


def test_windows_are_read_beside_the_metrics(published, tmp_path):
    rows = []
    for place, (variant, seed) in enumerate(itertools.product(("time-llama", "patchtst"), SEEDS)):
        folder = tmp_path / str(place)
        folder.mkdir()
        np.savez(folder / "windows.npz", mse=np.random.default_rng(place).random(400) + 1)
        error = 1.0 + seed / 100 + (variant == "patchtst")
        rows.append(run("few_shot", variant, seed=seed, error=error, path=str(folder / "metrics.json")))
    statement = next(each for each in STATEMENTS if each.number == "3.2")
    given = {"published": published, "labels": LABELS, "statements": [statement]}
    (found,) = findings(Results(frames={"few_shot": pd.DataFrame(rows)}), **given)
    assert found.effect.run.endswith("seeds 0, 1, 2 and 3; interval over seeds and test period")
    (tmp_path / "0" / "windows.npz").unlink()
    (found,) = findings(Results(frames={"few_shot": pd.DataFrame(rows)}), **given)
    assert found.effect.run.endswith("seeds 0, 1, 2 and 3; interval over seeds only")


def test_share_counts_decided_cells():
    clear, open_, worse = (-1.0, -1.01, -0.99), (-1.0, 1.0, -0.5), (1.0, 1.01, 0.99)
    cells = [cell(horizon=horizon, ratios=of) for horizon, of in enumerate((clear, open_, worse, worse))]
    assert effects.share_of({"a": cells}) == (50.0, 25.0, 50.0)
    # Against two methods it has to be lower than both.
    other = [cell(horizon=horizon, ratios=worse if horizon == 0 else clear) for horizon in range(4)]
    assert effects.share_of({"a": cells, "b": other}) == (25.0, 0.0, 25.0)
    assert effects.share_of({"a": [cell(ratios=(-5.0,))]}) == (100.0, 0.0, 100.0), "one seed decides nothing"


def test_fewer_than_five_data_sets_are_described_and_not_judged(published):
    statement = next(each for each in STATEMENTS if each.number == "1.5")
    frame = errors(statement, lambda place, seed: -5.0 - seed).frames["long_term"]
    for sets, verdict in ((4, INCONCLUSIVE), (5, HOLDS)):
        some = frame[frame["dataset"].isin(TABLE_1[:sets])]
        (found,) = findings(
            Results(frames={"long_term": some}), published=published, labels=LABELS, statements=[statement]
        )
        assert (found.verdict, found.effect.datasets) == (verdict, sets)
        assert ("4 of the 5 data sets" in found.why, "interval over seeds" in found.effect.run) == (sets == 4,) * 2
        width = found.effect.high - found.effect.low
        assert (width > 1) == (sets == 4), "the data sets agree, the seeds do not"


def test_pseudo_values_match_hand_computed_values():
    entries = [(frozenset((0, 1)), 1.0), (frozenset((0, 2)), 2.0), (frozenset((1, 2)), 6.0)]
    # Without seed 0 the mean is 6, without 1 it is 2, without 2 it is 1: 3 + 2 * (3 - each).
    assert routing.pseudo_values(entries) == pytest.approx([-3.0, 5.0, 7.0])


def test_pairs_share_data_set_horizon_look_back_seed_and_language_model():
    rows = [
        run("backbones", "time-llama", error=0.9),
        run("backbones", "time-llama", error=0.8, seed=1),
        run("backbones", "time-llama", error=0.6, backbone="Gemma-2B x8"),
        run("backbones", "time-llm", error=1.0),
        run("backbones", "time-llm", error=2.0, seed=7),
        run("backbones", "time-llm", error=0.5, backbone="Gemma-2B x8"),
        run("backbones", "time-llm", error=9.0, context=96, seed=1),
        run("backbones", "dlinear", error=1.2),
    ]
    found = effects.log_ratios(pd.DataFrame(rows), ("time-llm", "gpt4ts"), "mse")
    assert list(found) == ["time-llm"]
    assert {key[0]: np.exp(value) for key, value in found["time-llm"]["ratio"].items()} == pytest.approx(
        {BACKBONE: 0.9, "Gemma-2B x8": 1.2}
    )
    both = effects.log_ratios(pd.DataFrame(rows), ("time-llm", "dlinear"), "mse")
    ratios = sorted(np.exp(both["dlinear"]["ratio"]))
    assert ratios == pytest.approx([0.5, 0.75]), "a method without a language model is paired with each"
    assert list(both["dlinear"].index) == list(both["time-llm"].index)
    rows = [run("backbones", "time-llama", error=0.9, seed=seed) for seed in (0, 1)]
    rows += [run("backbones", "time-llm", error=1.0), run("backbones", "dlinear", error=1.2, seed=1)]
    nothing = effects.log_ratios(pd.DataFrame(rows), ("time-llm", "dlinear"), "mse")
    assert {name: len(of) for name, of in nothing.items()} == {"time-llm": 0, "dlinear": 0}, "no pair in common"


def test_a_missing_rival_makes_only_a_favourable_verdict_inconclusive(published):
    lowest = STATEMENTS[0]
    for change, verdict in ((-5.0, INCONCLUSIVE), (5.0, DOES_NOT_HOLD)):
        results = errors(lowest, lambda place, seed, change=change: change)
        frame = results.frames["long_term"]
        results = Results(frames={"long_term": frame[frame["variant"] != "time-llm"]})
        (found,) = findings(results, published=published, labels=LABELS, statements=[lowest])
        assert found.verdict == verdict and found.effect.missing == ("Time-LLM",)
        assert ("Time-LLM could still overturn it" in found.why) == (verdict == INCONCLUSIVE)


def test_too_few_pairs_are_inconclusive(published):
    statement = next(each for each in STATEMENTS if each.number == "5.1")
    frame = errors(statement, lambda place, seed: -5.0).frames["ablation"]
    for seeds, verdict in ((2, INCONCLUSIVE), (3, HOLDS)):
        results = Results(frames={"ablation": frame[frame["seed"] < seeds]})
        (found,) = findings(results, published=published, labels=LABELS, statements=[statement])
        assert (found.effect.pairs, found.verdict) == (2 * seeds, verdict)


def test_one_pair_has_no_interval(published):
    statement = next(each for each in STATEMENTS if each.number == "5.1")
    frame = errors(statement, lambda place, seed: -5.0).frames["ablation"]
    one = frame[(frame["seed"] == 0) & (frame["dataset"] == "ETTh1")]
    (found,) = findings(Results(frames={"ablation": one}), published=published, labels=LABELS, statements=[statement])
    assert interval(found) == MISSING and effect_and_interval(found) == "\N{MINUS SIGN}5.0 %"
    (found,) = findings(Results(frames={"ablation": frame}), published=published, labels=LABELS, statements=[statement])
    assert effect_and_interval(found) == "\N{MINUS SIGN}5.0 % (\N{MINUS SIGN}5.0 to \N{MINUS SIGN}5.0)"


def test_only_the_papers_cells_count(published):
    kept = run("long_term", "time-llama")
    rows = [
        kept,
        run("long_term", "time-llama", dataset="Synthetic"),
        run("long_term", "time-llama", dataset="ILI", horizon=24),
        run("long_term", "time-llama", horizon=24),
        run("long_term", "time-llama", context=96),
        run("long_term", "time-llama", train_percent=10),
        run("long_term", "time-llama", backbone="tiny-llama x2 (random weights)"),
    ]
    assert papers_part(pd.DataFrame(rows), "long_term", published=published)["identity"].tolist() == [kept["identity"]]
    few = [run("few_shot", "patchtst", horizon=horizon) for horizon in (336, 720)]
    assert papers_part(pd.DataFrame(few), "few_shot", published=published)["horizon"].tolist() == [336], "a dash"
    m4 = [run("short_term", "dlinear", dataset=name, horizon=48) for name in ("M4-Hourly", "Synthetic-M4")]
    assert papers_part(pd.DataFrame(m4), "short_term", published=published)["dataset"].tolist() == ["M4-Hourly"]


def test_distances_between_shares_match_hand_computed_values(published):
    by_number = {statement.number: statement for statement in STATEMENTS}
    # Block 1 always selects modules 1 and 2, block 2 modules 3 and 4: 100 points apart, and 0 from themselves.
    fixed_blocks = routed(lambda place, seed: [[1, 1, 0, 0], [0, 0, 1, 1]], active=2)
    (found,) = findings(fixed_blocks, published=published, labels={}, statements=[by_number["7.2"]])
    assert (found.effect.value, found.effect.pairs) == (100.0, 12), "six pairs of four seeds on two data sets"
    # Over all blocks each module has 25 %, on both data sets.
    (found,) = findings(fixed_blocks, published=published, labels={}, statements=[by_number["7.3"]])
    assert (found.effect.value, found.effect.pairs) == (0.0, 12), "twelve ordered pairs of different seeds"
    assert found.effect.run == "2 cells (ETTh1 192; Weather 192), seeds 0, 1, 2 and 3"


@pytest.mark.parametrize("measure", [claims.HIGHEST, claims.BLOCKS, claims.DATASETS])
def test_a_run_in_two_experiments_stays_in_its_cell(measure, published):
    """active_loras holds one of few_shot's seeds on Weather and the others on ETTh1, as its own seeds allow."""
    draw = np.random.default_rng(0)
    made = routed(lambda place, seed: draw.dirichlet(np.ones(7), size=2) * 4)
    every = made.frames["active_loras"]
    some = every[(every["dataset"] == "Weather") == (every["seed"] == SEEDS[0])]
    assert 0 < len(some) < len(every)
    (statement,) = (one for one in STATEMENTS if one.measure == measure)
    found = [
        findings(Results(frames=frames, routers=made.routers), published=published, labels={}, statements=[statement])[
            0
        ]
        for frames in ({"few_shot": every}, {"active_loras": some, "few_shot": every})
    ]
    assert found[0].effect == found[1].effect and found[0].effect.pairs > 6


def test_speed_matches_hand_computed_values(published):
    statement = next(each for each in STATEMENTS if each.number == "8.1")
    results = speeds(statement, 2.0, slow=1.25)
    larger = [
        {**row, "batch_size": 4, "forward": {k: v * 4 for k, v in row["forward"].items()}} for row in results.sweeps
    ]
    larger[1]["forward"] = {"seconds": 32.0, "p95": 32.0}
    other = [{**row, "variates": 7} for row in results.sweeps]
    together = Results(sweeps=[*results.sweeps, *larger, *other])
    (found,) = findings(together, published=published, labels={}, statements=[statement])
    assert found.effect.value == pytest.approx(4.0), "the geometric mean of 2 and 8"
    assert (found.effect.low, found.effect.high) == pytest.approx((1.6, 8.0))
    assert found.effect.pairs == 2 and "batches 1 and 4" in found.effect.run


@pytest.mark.parametrize("number", ["8.1", "8.2", "8.3"])
def test_costs_count_only_at_the_papers_size_whatever_the_weights(published, number):
    statement = next(each for each in STATEMENTS if each.number == number)
    for backbone, counts in (("SmolLM2-135M x6", 0), ("Llama-2-7B x4", 0), ("Llama-2-7B x8 (random weights)", 1)):
        results = speeds(statement, statement.low * 1.1, backbone=backbone)
        (found,) = findings(results, published=published, labels={}, statements=[statement])
        assert (found.verdict == HOLDS, found.verdict == NOT_RUN) == (bool(counts), not counts)
        assert counts or backbone in found.why


def test_the_notes_name_the_commits_of_the_speeds(published):
    statement = next(each for each in STATEMENTS if each.number == "8.1")
    made = [row | {"commit": "1234567", "dtype": "float32"} for row in speeds(statement, 2.0).sweeps]
    unused = made[0] | {"commit": "7654321", "variates": 7}
    arguments = {"published": published, "configuration": "made-up", "labels": LABELS}
    *_, origin = table_of_claims(Results(sweeps=[*made, unused]), **arguments).notes
    assert "Speeds: float32, on cpu, commit 1234567." in origin and "7654321" not in origin


def test_the_table_shows_the_part_and_the_verdict(published):
    results = errors(next(each for each in STATEMENTS if each.number == "6.3"), lambda place, seed: -5.0)
    arguments = {"published": published, "configuration": "made-up", "labels": LABELS, "remark": "NOT COMPLETE"}
    table = table_of_claims(results, **arguments)
    text = to_markdown(table)
    assert (
        "| 6.3 | lower MSE with n = 4 than with 7 | these cells | \N{MINUS SIGN}5.0 % |" in text
        and "**holds here** |" in text
    )
    assert "2 of 2 cells (ETTh1 192; Weather 192), seeds 0, 1, 2 and 3; interval over seeds only" in text
    assert "NOT COMPLETE" in table.caption and BACKBONE in text and "abcdef0" in text
    assert text.count("| not run |") == 26 and "Verdicts: 1 holds here, 1 inconclusive and 26 not run." in text
    assert "holds here" in to_latex(table)


def test_generated_data_are_reported_and_test_no_statement(published):
    rows = [
        run("long_term", name, dataset="Synthetic", seed=seed) for name in ("time-llama", "dlinear") for seed in SEEDS
    ]
    results = Results(frames={"long_term": pd.DataFrame(rows)})
    found = findings(results, published=published, labels=LABELS)
    assert count(found) == "28 not run"
    table = table_of_claims(results, published=published, configuration="smoke", labels=LABELS, generated=["Synthetic"])
    assert "Synthetic are generated" in table.notes[-1] and "None of its trainings" in table.notes[-1]
