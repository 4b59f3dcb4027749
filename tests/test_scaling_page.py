"""What docs/scaling.md says about PatchTST's schedules is recomputed from the kept numbers."""

from tests.kept import kept_runs


def series(run: dict, steps: str = "steps") -> int:
    """Series that a training saw."""
    return int(run[steps] * run["run/training/batch_size"] * run["run/variates"])


def printed(count: int) -> str:
    return f"{round(count, -3):,}".replace(",", " ")


def test_the_errors_of_patchtst_on_its_published_schedule_match_the_runs(root):
    runs = kept_runs(root)
    runs = runs[(runs["run/dataset"] == "ETTh1") & (runs["run/horizon"] == 96) & (runs["run/train_percent"] == 100)]
    [published] = runs[runs["run/variant"] == "patchtst-published"].to_dict("records")
    budgeted = runs[runs["run/variant"] == "patchtst"].sort_values("run/seed").to_dict("records")
    [budget] = {series(run) for run in budgeted}
    assert published["run/seed"] == budgeted[0]["run/seed"] == 0 and published["mse"] > budgeted[0]["mse"]
    mean = sum(run["mse"] for run in budgeted) / len(budgeted)

    words = " ".join((root / "docs/scaling.md").read_text(encoding="utf-8").split())
    seen, best = printed(series(published)), printed(series(published, "best_step"))
    assert f"| PatchTST | {published['mse']:.3f} (seed 0) | {seen}, its best after {best} |" in words
    assert f"has {mean:.3f} after {printed(budget)} series (`config/cpu.yaml`)" in words
    assert f"has no less after {series(published) / budget:.0f} times as many" in words
