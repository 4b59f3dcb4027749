"""The folder that the repository keeps: its tables follow from its numbers only, and every change in it is detected."""

import hashlib
import json
import re

from tests.refusal import refused
from timellama.core import layout
from timellama.reports.catalogue import CLAIMED

RUN = "results/long-term/Synthetic/dlinear/"


def change(path, old: str, new: str) -> None:
    content = path.read_bytes()
    assert content.count(old.encode()) >= 1
    path.write_bytes(content.replace(old.encode(), new.encode(), 1))


def test_every_table_is_there_and_the_check_passes(complete):
    others = ("claims", "datasets", "failures", "ranking", "reproduction")
    names = {f"table_{name}" for name in [*complete.matrix.config["experiments"], *others]}
    assert set(complete.tables()) == names
    assert all((complete.kept / f"{name}.tex").is_file() for name in names)
    assert not [text for text in complete.tables().values() if "NOT COMPLETE" in text]
    assert complete.check() == []


def test_each_table_is_of_its_own_report(complete):
    labels = {path.stem: re.findall(r"\\label\{(.*?)\}", path.read_text()) for path in complete.kept.glob("*.tex")}
    assert labels["table_few_shot"] == ["tab:few-shot"] and labels["table_short_term"] == ["tab:short-term"]
    assert labels["table_backbones"] == ["tab:backbones-100"]
    assert labels["table_backbones_few_shot"] == ["tab:backbones-10"]
    assert len({label for (label,) in labels.values()}) == len(labels) > 15, "a paper may include them all"
    speed = {name for name, text in complete.tables().items() if "Windows a second" in text}
    assert speed == {"table_depth"}


def test_a_number_can_be_traced_to_its_run(complete):
    """From a table's cell through the index to the line of the run, with its seed and the digest of its data."""
    [run] = [r for r in complete.matrix.experiment("long_term") if (r.variant, r.context) == ("dlinear", 96)]
    path = layout.metrics_of(run.folder)
    index = json.loads((complete.kept / "provenance.json").read_text(encoding="utf-8"))
    table = index["tables"]["table_long_term"]
    assert path in table["results"] and table["seeds"] == [0] and table["commits"] == ["1111111"]
    assert table["data_sha256"] == {"Synthetic": run.data_sha256}
    lines = [line for line in (complete.kept / "metrics.csv").read_text(encoding="utf-8").splitlines() if path in line]
    mse = complete.files()[path]["mse"]
    assert len(lines) == 1 and f",{mse!r}," in lines[0] and run.data_sha256 in lines[0] and "1" * 40 in lines[0]
    assert f"{mse:.3f}" in complete.tables()["table_long_term"]


def test_a_table_of_several_or_another_experiments_can_be_traced_to_its_runs_too(complete):
    index = json.loads((complete.kept / "provenance.json").read_text(encoding="utf-8"))["tables"]
    plan = complete.matrix.config["experiments"]
    results = {name: set(complete.results_of(name)) for name in plan}
    for name in ("table_reproduction", "table_ranking"):
        assert set(index[name]["results"]) == results["long_term"] and index[name]["seeds"] == [0]
    read = [name for name in CLAIMED if name in plan]
    assert set(index["table_claims"]["results"]) == set().union(*(results[name] for name in read))
    assert index["table_claims"]["commits"] == ["1111111"] and index["table_claims"]["data_sha256"]
    assert [name for name, entry in index.items() if not entry["results"]] == ["table_datasets"]


def in_table(world) -> dict[str, dict]:
    """The results of DLinear in the long-term table, by path; a search has more of its runs."""
    planned = {layout.metrics_of(run.folder) for run in world.matrix.experiment("long_term")}
    return {path: of for path, of in world.files().items() if path.startswith(RUN) and path in planned}


def test_a_change_in_the_numbers_is_detected(complete):
    [path] = [p for p, document in in_table(complete).items() if document["run"]["context"] == 96]
    mse = complete.files()[path]["mse"]
    change(complete.kept / "metrics.csv", repr(mse), repr(mse + 0.25))
    wrong = {each.path.rpartition("/")[2]: each.problem for each in complete.check()}
    assert {"table_long_term.md", "table_long_term.tex", "provenance.json"} <= set(wrong)
    assert f"{mse:.3f}" in wrong["table_long_term.md"] and f"{mse + 0.25:.3f}" in wrong["table_long_term.md"]


def test_a_change_in_a_digit_that_no_table_prints_is_detected(complete):
    change(complete.kept / "metrics.csv", ",4096,", ",4097,")
    assert [each.path.rpartition("/")[2] for each in complete.check()] == ["provenance.json"]


def test_files_that_were_changed_removed_or_added_by_hand_are_detected(complete):
    changed = ["table_long_term.md", "table_efficiency.tex", "table_short_term.md", "README.md"]
    for name in changed:
        text = (complete.kept / name).read_text(encoding="utf-8")
        digit = re.findall(r"\d", text)[-1]
        head, _, tail = text.rpartition(digit)
        (complete.kept / name).write_text(f"{head}{(int(digit) + 1) % 10}{tail}", encoding="utf-8")
    figure = complete.kept / "figures/router_heatmap.png"
    figure.write_bytes(figure.read_bytes() + b"x")
    gone = ["table_ablation.md", "figures/critical_difference.png"]
    for name in gone:
        (complete.kept / name).unlink()
    (complete.kept / "notes.txt").write_text("by hand")
    found = {each.path.removeprefix(f"{complete.kept}/"): each.problem for each in complete.check()}
    for name in changed:
        assert "is not what the numbers give" in found.pop(name)
    assert found.pop("figures/router_heatmap.png") == "was changed after it was made"
    assert found.pop("notes.txt") == "is not part of the reference"
    assert set(found) == set(gone)


def test_an_absent_file_of_numbers_is_detected(complete):
    (complete.kept / "efficiency.csv").unlink()
    assert [each.path.endswith("absent.csv") for each in complete.check()] == [True]


def test_a_figure_must_be_a_picture_of_kept_results_even_if_the_index_says_otherwise(complete):
    picture, index = complete.kept / "figures/router_heatmap.png", complete.kept / "provenance.json"
    content, said = b"not a picture", json.loads(index.read_text(encoding="utf-8"))
    picture.write_bytes(content)
    entry = said["figures"]["router_heatmap"]
    entry |= {"sha256": hashlib.sha256(content).hexdigest(), "results": [*entry["results"], "results/nonsense"]}
    index.write_text(json.dumps(said, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    problems = [each.problem for each in complete.check() if each.path.endswith("router_heatmap.png")]
    assert problems == ["is no PNG picture", "is said to show results/nonsense, which is not kept"]


def test_nothing_to_check_is_an_error(world):
    with refused(world.kept, "timellama reference export"):
        world.check()
    with refused(world.results):
        world.export()
    assert not world.kept.exists()


def below(world, figure: str) -> str:
    """The text below a figure on the folder's first page."""
    page = (world.kept / "README.md").read_text(encoding="utf-8")
    return page.partition(f"(figures/{figure}.png)")[2].partition("![")[0]


def test_several_sessions_give_the_same_as_a_single_one(complete, world, tmp_path):
    """Half of the results, then the others on a machine without the first half."""
    one = {path.relative_to(world.kept): path.read_bytes() for path in world.kept.rglob("*") if path.is_file()}
    for place in (world.kept, world.results):
        place.rename(tmp_path / f"first-{place.name}")
    documents = list(world.files().items())
    world.put(dict(documents[::2]))
    done = world.export()
    assert (done.results, done.added) == (len(documents[::2]), len(documents[::2])) and world.check() == []
    assert "NOT COMPLETE" in world.tables()["table_long_term"] and "–" in world.tables()["table_long_term"]  # noqa: RUF001
    assert documents[1][0] in world.tables()["table_failures"].replace("\\", "")
    assert "NOT COMPLETE" in below(world, "depth") and "Code: commit 1111111" in below(world, "depth")
    world.results.rename(tmp_path / "second-results")
    world.put(dict(documents[1::2]))
    done = world.export()
    assert (done.added, done.replaced, done.results) == (len(documents[1::2]), 0, len(documents))
    assert world.check() == []
    assert "NOT COMPLETE" not in below(world, "depth") and "Code: commit 1111111" in below(world, "depth")
    two = {path.relative_to(world.kept): path.read_bytes() for path in world.kept.rglob("*") if path.is_file()}
    assert {name: two[name] for name in two if name.name != "provenance.json"} == {
        name: one[name] for name in one if name.name != "provenance.json"
    }


def test_captions_name_the_commits_of_all_sessions(complete):
    documents = in_table(complete)
    for document in documents.values():
        document["provenance"] |= {"git_commit": "2" * 40, "git_dirty": True, "ended": "2026-01-03T00:00:00+00:00"}
    complete.put(documents)
    assert complete.export().replaced == len(documents) == 2
    text = complete.tables()["table_long_term"]
    assert "2 different versions: commits 1111111 and 2222222 + uncommitted changes" in text
    assert complete.check() == []


def test_a_figure_whose_curves_are_absent_is_kept(world, tmp_path):
    """Curves are not kept as numbers, so a session without them must not replace the figure with an emptier one."""
    documents = {path: document for path, document in world.files().items() if "/long-term/" in path}
    curves = [path for path in documents if "/dlinear/" in path or "/patchtst/" in path]
    world.put(documents)
    for path in curves:
        file = world.results.parent / path
        file.with_name("history.csv").write_text(
            "step,epoch,train_loss,validation_loss,learning_rate,seconds\n2,0.5,0.5,0.4,0.001,1.0\n4,1,0.4,0.3,0.001,2\n"
        )
    assert "learning_curves" in world.export().drawn
    picture = (world.kept / "figures/learning_curves.png").read_bytes()
    (world.results.parent / curves[0]).with_name("history.csv").unlink()
    done = world.export()
    assert "learning_curves" in done.stayed and "router_heatmap" in done.drawn
    assert (world.kept / "figures/learning_curves.png").read_bytes() == picture
    assert world.check() == []


def test_a_figure_that_once_showed_other_runs_is_drawn_again(complete):
    """What a figure shows can change with the code; only the loss of what it shows today keeps the old picture."""
    complete.export()
    file = complete.kept / "provenance.json"
    index = json.loads(file.read_text(encoding="utf-8"))
    shown = index["figures"]["llm_worth"]["results"]
    other = next(path for path in complete.files() if path not in shown)
    index["figures"]["llm_worth"]["results"] = [*shown, other]
    file.write_text(json.dumps(index), encoding="utf-8")
    assert "llm_worth" in complete.export().drawn
    assert json.loads(file.read_text(encoding="utf-8"))["figures"]["llm_worth"]["results"] == shown


def test_results_of_other_settings_are_dropped_only_on_request(complete):
    before = {path: path.read_bytes() for path in complete.kept.rglob("*") if path.is_file()}
    complete.matrix.config["experiments"].pop("llm_value")
    complete.matrix.runs.pop("llm_value")
    with refused(complete.kept, "--drop"):
        complete.export()
    assert {path: path.read_bytes() for path in complete.kept.rglob("*") if path.is_file()} == before
    assert complete.check() == [], "what is kept is checked against the plan under which it was made"
    complete.export(drop=True)
    assert "table_llm_value" not in complete.tables() and complete.check() == []


def test_a_damaged_result_changes_nothing(complete):
    before = {path: path.read_bytes() for path in complete.kept.rglob("*") if path.is_file()}
    path, document = next((p, d) for p, d in complete.files().items() if p.startswith(RUN))
    document["provenance"]["ended"] = "2026-01-03T00:00:00+00:00"
    complete.put({path: document | {"mse": None}})
    with refused("mse", None):
        complete.export()
    assert {path: path.read_bytes() for path in complete.kept.rglob("*") if path.is_file()} == before
