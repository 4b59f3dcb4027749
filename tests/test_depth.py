"""benchmarks/depth.py matches hand-computed values on small tensors, and the pages have its kept numbers."""

import json
import re

import pytest
import torch

from benchmarks.depth import _read, _row, errors, share_of_blocks


def test_a_row_matches_hand_computed_values():
    tokens = torch.tensor([[[3.0, 4.0], [0.0, 2.0]], [[3.0, 4.0], [0.0, 6.0]]])  # [B 2, N 2, D 2]
    days = tokens.flatten(0, 1)
    row = _row("in", 0, {"train": ([tokens], days), "validation": ([tokens], days)})
    assert (row["norm"], row["first_token"], row["last_token"]) == pytest.approx((4.5, 5.0, 4.0))
    assert row["one_coordinate"] == pytest.approx((16 / 25 + 1 + 16 / 25 + 1) / 4)


def test_a_linear_map_is_recovered_and_noise_is_not():
    torch.manual_seed(0)
    tokens, others = torch.randn(4000, 8), torch.randn(1000, 8)
    weight = torch.randn(8, 3)
    assert _read(tokens, tokens @ weight)(others, others @ weight) == pytest.approx(1, abs=1e-4)
    assert abs(_read(tokens, torch.randn(4000, 3))(others, torch.randn(1000, 3))) < 0.02


def test_the_share_of_the_blocks_matches_a_hand_computed_value():
    before = torch.tensor([[[3.0, 0.0], [0.0, 1.0]]])
    after = torch.tensor([[[3.0, 4.0], [0.0, 1.0]]])
    assert share_of_blocks(before, after) == pytest.approx((16 / 25 + 0) / 2)


def test_errors_of_a_scale_are_those_of_its_cell(tmp_path):
    kept = tmp_path / "metrics.csv"
    lines = ["run/dataset,run/horizon,run/train_percent,run/variant,mse"]
    lines += ["ETTh1,96,5,time-llama-scale-20,0.6", "ETTh1,96,5,time-llama-scale-20,0.7"]
    lines += ["ETTh1,96,100,time-llama-scale-20,0.3", "ETTh1,96,5,time-llama,0.8"]
    kept.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = errors(kept)
    assert found[20] == [0.6, 0.7] and not any(found[scale] for scale in (1, 5, 60, 100, 300))


def test_the_pages_have_the_kept_numbers(root):
    rows = {row["depth"]: row for row in json.loads((root / "docs/depth/depth.json").read_text())}
    text = (root / "docs/open_questions.md").read_text(encoding="utf-8")
    last, first = re.search(r"has a norm of (\d+) after block 3, and the first one (\d+)", text).groups()
    third = rows["after block 3"]
    assert (int(last), int(first)) == (round(third["last_token"]), round(third["first_token"]))


def test_the_table_of_scales_has_the_kept_errors(root):
    text = (root / "docs/depth/README.md").read_text(encoding="utf-8")
    scaled = json.loads((root / "docs/depth/scale.json").read_text(encoding="utf-8"))
    tested = errors(root / "docs/reference/cpu/metrics.csv")
    for row in scaled:
        of = tested[row["scale"]]
        assert f"| {row['r2']:.2f} | {sum(of) / len(of):.3f} ({len(of)}) |" in text
    ends = [f"{sum(of) / len(of):.3f}" for of in (tested[1], tested[300])]
    few_shot = (root / "docs/few_shot.md").read_text(encoding="utf-8")
    first, last = scaled[0], scaled[-1]
    assert f"test error is {ends[1]} in place of {ends[0]}" in few_shot
    assert f"norm of {first['norm']:.0f} here" in few_shot and f"times 300 have {last['norm']:.0f}" in few_shot
    assert f"R2 {last['r2']:.2f} in place of {first['r2']:.2f}" in few_shot and 0.09 < last["blocks"] < 0.11
