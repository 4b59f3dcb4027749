"""The abstract of a run: amounts, machine, verdicts and links match the results."""

import html
import json
import re
from pathlib import Path

from docutils.core import publish_parts
from markdown_it import MarkdownIt

from tests.made_up import document
from timellama.reports import run_page
from timellama.reports.run_page import links, page

FACTS = {
    "configuration": "made-up",
    "methods": {
        "time-llama": {"label": "Time-LlaMA", "floor": False},
        "dlinear": {"label": "DLinear", "floor": False},
    },
    "generated": ["Synthetic"],
    "remark": "",
}
CELLS = [(dataset, 512, 96, variant) for dataset in ("ETTh1", "Synthetic") for variant in FACTS["methods"]]
FACTS["main"] = {"long_term": FACTS | {"planned": CELLS, "not_run": []}}
REPORTS = [Path("reports/table_claims.tex"), Path("reports/table_claims.md"), Path("reports/figures/paper_vs_ours.png")]


def metrics(folder, variant, *, dataset="ETTh1", seed=0, mse=0.4, hour=1, processor="made up"):
    chosen = {"selection_rate": [[0.5, 0.5, 1.0]], "collapsed_blocks": [], "distinct_patterns": [2]}
    routed = {"options": {"active": 2}, "router": chosen} if variant == "time-llama" else {"options": {}}
    made = document(
        **{"variant": variant, "method": variant, "dataset": dataset, "seed": seed, "mse": mse, "mae": mse, **routed},
        **{"identity": f"{variant}-{dataset}-{seed}", "n_windows": 100},
        seconds={"train": 1.0, "evaluate": 2.0, "total": 5400.0},
        origin={
            "hardware": {"processor": processor, "cores": 2, "memory_gib": 24, "system": "Linux", "device": "cpu"},
            "versions": {"torch": "2.0", "numpy": "2.1"},
            "started": f"2026-01-01T0{hour}:00:00+00:00",
            "ended": f"2026-01-01T0{hour}:30:00+00:00",
        },
    )
    path = folder / f"{made['identity']}.json"
    path.write_text(json.dumps(made), encoding="utf-8")
    return path


def written(files, root, **changes):
    arguments = {
        "planned": dict.fromkeys(files, 4),
        "settings": {"device": "cpu", "precision": "float32", "backbones": None, "seeds": [0, 1]},
        "reports": REPORTS,
        "place": Path("reports/README.md"),
        "published": root / "config/published",
        "facts": FACTS,
    }
    return page(files, **arguments | changes)


def test_the_page_of_real_data_shows_amounts_machine_verdicts_and_links(tmp_path, root):
    runs = [metrics(tmp_path, "time-llama", seed=seed, mse=0.4, hour=1 + seed) for seed in range(3)]
    runs += [metrics(tmp_path, "dlinear", seed=seed, mse=0.5, processor="another") for seed in range(2)]
    text = written({"long_term": runs, "router": runs[:1], "ablation": []}, root)
    assert text.startswith("# Run of configuration made-up\n")
    assert (
        "5 results" in text
        and "7 h 30 min of training and testing, between 2026-01-01 01:00 and 2026-01-01 03:30" in text
    )
    assert "| long_term | 5 | 4 | 7 h 30 min |" in text and "| router | 1 | 4 | 1 h 30 min |" in text
    assert "| ablation | 0 | 4 | \N{EN DASH} |" in text
    assert "Hardware: made up, 2 cores, 24 GiB, Linux (3 results)" in text and "another" in text
    assert "- Device: cpu\n" in text
    assert "- Versions: numpy 2.1, torch 2.0\n- Commit: 0123456" in text
    assert "**0.400**" in text and "0.500" in text
    assert "| 1.5 | lower MSE than DLinear | \N{MINUS SIGN}20.0 % (" in text and "2 of the 6 pairs" in text
    assert "![Ours against the paper's](figures/paper_vs_ours.png)" in text
    assert "[tex](table_claims.tex), [md](table_claims.md)" in text
    assert text.index("Time-LlaMA MSE") < text.index("DLinear MSE"), "in the catalogue's order"
    assert "generated" not in text


def abstract(text):
    """The part that the page of the reports includes."""
    return text.partition(run_page.BEGIN)[2].partition(run_page.END)[0]


NASTY = "a_b* |c| [d]_ `e` <f> &amp; $g$ h_ #1"


def test_the_abstract_reads_the_same_as_markdown_and_as_restructured_text(tmp_path, root):
    """Both are rendered; the text that remains is the same."""
    facts = FACTS | {"generated": [NASTY], "remark": f"NOT COMPLETE: {NASTY}"}
    settings = {"device": "cpu", "precision": "float32", "seeds": [0, 1, 2]}
    settings |= {"backbones": [{"name": "My_LM*", "blocks": 6}]}
    text = abstract(
        written({"router": [metrics(tmp_path, "dlinear", dataset=NASTY)]}, root, facts=facts, settings=settings)
    )
    as_rst = publish_parts(text, writer="html", settings_overrides={"halt_level": 2})["body"]
    plain = [
        " ".join(html.unescape(re.sub(r"<[^>]+>", "", rendered)).split())
        for rendered in (as_rst, MarkdownIt().render(text))
    ]
    assert plain[0] == plain[1]
    assert NASTY in plain[0] and "the first 6 blocks of My_LM*" in plain[0] and "the seeds 0, 1 and 2" in plain[0]
    assert as_rst.count("<strong>") == 4


def test_generated_data_are_reported_at_the_top(tmp_path, root):
    text = written({"long_term": [metrics(tmp_path, "dlinear", dataset="Synthetic")]}, root)
    warning = "**All data are generated, by a formula: their numbers test the code and mean nothing beyond it.**"
    assert warning in abstract(text).split("\n\n")
    assert "28 not run" in text
    mixed = [metrics(tmp_path, "dlinear", dataset="Synthetic"), metrics(tmp_path, "dlinear")]
    assert "**The data of Synthetic are generated" in written({"router": mixed}, root)


def test_a_page_without_any_result_says_so(root):
    text = written({"long_term": []}, root, facts=FACTS | {"remark": "NOT COMPLETE: 4 of 4"}, reports=REPORTS[:1])
    assert "No run has a result." in text and "**NOT COMPLETE: 4 of 4**" in text and "![" not in text


def test_links_are_relative_to_the_page():
    text = links([Path("reports/a_b.md"), Path("reports/figures/c.png")], place=Path("reports/README.md"))
    assert text == "- a\\_b: [md](a_b.md)\n- c: [png](figures/c.png)"


def test_the_language_model_of_the_settings_has_a_note(tmp_path, root):
    settings = {"device": "cpu", "precision": "float32", "seeds": [0], "backbones": [{"name": "SmolLM2", "blocks": 6}]}
    files = {"router": [metrics(tmp_path, "dlinear")]}
    facts = FACTS | {"models": {"SmolLM2": "a stand-in.", "Llama": "the paper's."}}
    text = written(files, root, settings=settings, facts=facts)
    assert "SmolLM2 is a stand-in." in text and "Llama is" not in text


def test_the_main_table_has_user_supplied_metrics_and_the_reasons_for_its_dashes(tmp_path, root):
    near = {"name": "near", "label": "Near", "direction": "higher", "unit": "share", "decimals": 2}
    kept = near | {"place": "mine:NEAR", "definition": "a", "value": 0.875}
    path = metrics(tmp_path, "dlinear")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"metrics": {"near": kept}}), encoding="utf-8")
    main = FACTS["main"]["long_term"] | {"metrics": [near | {"definition": "a"}]}
    lacking = ("ETTh1", 512, 96, "time-llama", "failed")
    facts = FACTS | {"main": {"long_term": main | {"planned": CELLS[:2], "lacking": [lacking]}}}
    text = written({"long_term": [path]}, root, facts=facts)
    assert "DLinear Near" in text and "0.88" in text
    assert "Failed: Time-LlaMA on ETTh1." in text
