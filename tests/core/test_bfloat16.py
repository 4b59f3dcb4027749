"""How `precision: auto` is resolved: by flags where they are decisive, otherwise by one measurement that is kept."""

import json

import pytest
import yaml

from timellama.core.layout import BFLOAT16
from timellama.core.machine import bfloat16
from timellama.core.machine.bfloat16 import FASTER, is_faster, ratio
from timellama.experiments.matrix import make_matrix


def asked(tmp_path, flags: str, *, device: str = "cpu", found: float | None = None, gpu: bool = False) -> bool:
    (tmp_path / "cpuinfo").write_text(f"model name : X\nflags : fpu {flags}\nflags : fpu\n", encoding="utf-8")
    places = {"cpuinfo": tmp_path / "cpuinfo", "cache": tmp_path / "cache/found.json"}
    if gpu:
        (tmp_path / "gpu").touch()

    def probe() -> float:
        assert found is not None, "nothing is to be measured here"
        return found

    return is_faster(device, **places, gpu=tmp_path / "gpu", probe=probe)


def test_processor_flags_decide_where_they_can(tmp_path):
    assert asked(tmp_path, "avx2 amx_bf16 avx512_bf16")
    assert not asked(tmp_path, "avx2 avx512f")
    assert asked(tmp_path, "avx2", device="cuda:1")
    assert not asked(tmp_path, "avx2", device="auto")
    assert asked(tmp_path, "avx2", device="auto", gpu=True)
    assert not asked(tmp_path, "avx2", device="cpu", gpu=True)


@pytest.mark.parametrize(("found", "expected"), [(FASTER, True), (0.9, False)])
def test_a_measurement_is_made_once_and_kept(tmp_path, found, expected):
    assert asked(tmp_path, "avx512_bf16", found=found) is expected
    assert asked(tmp_path, "avx512_bf16") is expected, "the kept measurement"
    assert json.loads((tmp_path / "cache/found.json").read_text(encoding="utf-8")) == {"X (AVX512-BF16)": found}


def test_the_measurement_is_a_positive_ratio():
    assert 0 < ratio() < 1000


@pytest.mark.parametrize(("faster", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_a_plan_holds_the_resolved_precision(root, monkeypatch, faster, expected):
    places = []
    monkeypatch.setattr(
        "timellama.experiments.matrix.is_faster", lambda device, *, cache: places.append((device, str(cache))) or faster
    )
    config = yaml.safe_load((root / "config/smoke.yaml").read_text(encoding="utf-8"))
    plain = make_matrix(config, root=root).every_run()
    assert {run.precision for run in plain.values()} == {"float32"} and not places
    config["precision"] = "auto"
    config["overrides"].setdefault("patchtst", {})["precision"] = "float32"
    planned = make_matrix(config, root=root).every_run().values()
    assert {run.precision for run in planned if run.method != "patchtst"} == {expected}
    assert {run.precision for run in planned if run.method == "patchtst"} == {"float32"}
    assert places == [(config["device"], BFLOAT16)], "measured once, however many runs there are"


def test_planning_measures_in_another_process(monkeypatch):
    """torch takes seconds to import, and planning does not import it."""
    monkeypatch.setattr(bfloat16.subprocess, "run", lambda command, **_: type("Said", (), {"stdout": "2.5\n"})())
    assert bfloat16.measured() == 2.5
