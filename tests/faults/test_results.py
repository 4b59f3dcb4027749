"""Truncated results: everything drawn or computed from them is unchanged, or the file is named."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from tests import made_up
from tests.refusal import refused
from timellama.backbones.catalogue import load_backbones, prepare
from timellama.core.errors import InputError
from timellama.data.splits import Split
from timellama.experiments.run import Backbone, Training
from timellama.methods.time_llama import TimeLlamaOptions
from timellama.reports.catalogue import OWN
from timellama.reports.figures import learning_curves, routers
from timellama.reports.registry import built
from timellama.reports.report import ReportContext
from timellama.results import aggregate
from timellama.results.forecasts.forecasting import load_forecaster
from timellama.results.read import run_files
from timellama.results.read.runs import read_run

METHODS = {"time-llama": {"label": "Time-LlaMA", "floor": False}}
PREPARED = ("backbone.json", "config.json", "blocks.safetensors", "embeddings.safetensors", "tokenizer.json")


@dataclasses.dataclass
class Result:
    """A run's folder, its language model's folder, and the content of every file before it is damaged."""

    folder: Path
    backbone: Path
    whole: dict[Path, bytes]
    train: Callable[[Path], object]  # repeats the training in another folder

    def cut(self, path: Path, length: int) -> None:
        path.write_bytes(self.whole[path][:length])

    def restore(self) -> None:
        for path, content in self.whole.items():
            path.write_bytes(content)


@pytest.fixture(scope="module")
def result(root, sample_run, tmp_path_factory) -> Result:
    """Time-LlaMA on a tiny language model, trained for a few steps."""
    folder = tmp_path_factory.mktemp("results")
    backbone = folder / "backbones/tiny-gpt2/x2-pretrained"
    prepare(load_backbones(root / "config/backbones.yaml")["tiny-gpt2"], blocks=2, source=None, folder=backbone)
    series = made_up.walk(folder / "data/ETTh1/series.npz", 160, sha256=sample_run.data_sha256)
    sizes = {"context": 16, "horizon": 4, "variates": 2, "season": 8, "options": TimeLlamaOptions(rank=2, heads=2)}
    training = Training(max_steps=8, batch_size=4, least_validations=3)
    split = Split(rule="ratio", train=0.6, validation=0.2, test=0.2)
    tiny = Backbone(name="tiny-gpt2", blocks=2, pin="0")
    run = dataclasses.replace(sample_run, **sizes, training=training, split=split, backbone=tiny)
    place = folder / run.folder

    def train(place: Path) -> None:
        made_up.carry_out(run, place, series=series, kept=place.parent / "checkpoints", backbone_folder=backbone)

    train(place)
    paths = [place / name for name in made_up.RUN_FILES] + [backbone / name for name in PREPARED]
    return Result(place, backbone, {path: path.read_bytes() for path in paths}, train)


@pytest.fixture(autouse=True)
def restored(result):
    yield
    result.restore()


def refuses(path: Path, action) -> bool:
    """Whether `action` reports `path` as invalid; it may raise nothing else."""
    try:
        action()
    except InputError as error:
        assert str(path) in str(error)
        return True
    return False


@pytest.mark.parametrize(("name", "figure"), [("history.csv", "learning_curves"), ("router.csv", "router_training")])
def test_a_truncated_curve_is_not_drawn(result, monkeypatch, name, figure):
    """Wherever it is cut, even at the end of a line, where the rest can still be read."""
    for module, drawing in ((learning_curves, "draw_learning_curves"), (routers, "draw_router_training")):
        monkeypatch.setattr(module, drawing, lambda *_, **__: Figure())
    path = result.folder / name
    (report,) = [report for report in OWN if report.name == figure]
    facts = {"configuration": "made_up", "methods": METHODS, "generated": [], "remark": ""}

    def draw():
        return built(ReportContext(report=report, files={"long_term": [path]}, facts=facts))

    assert len(path.read_text(encoding="utf-8").splitlines()) > 3
    assert not refuses(path, draw)
    content = result.whole[path]
    ends = [place + 1 for place, sign in enumerate(content) if sign == ord("\n")][:-1]
    lengths = {*ends, *(end - 1 for end in ends), *range(0, len(content) - 1, max(1, len(content) // 60))}
    for length in sorted(lengths):
        result.cut(path, length)
        assert refuses(path, draw), length


def test_forecasts_truncated_anywhere_are_refused(result):
    path = result.folder / "forecasts.npz"
    assert not refuses(path, lambda: run_files.read_forecasts(path))
    size = len(result.whole[path])
    for length in {*range(0, size, max(1, size // 80)), 1, size - 1}:
        result.cut(path, length)
        assert refuses(path, lambda: run_files.read_forecasts(path)), length


def test_metrics_truncated_anywhere_are_refused(result):
    path = result.folder / "metrics.json"
    rows = aggregate.collect([path], methods=METHODS)
    text = result.whole[path].rstrip()
    for length in {*range(0, len(text), max(1, len(text) // 80)), len(text) - 1}:
        result.cut(path, length)
        assert refuses(path, lambda: aggregate.collect([path], methods=METHODS)), length
    result.cut(path, len(text))
    assert aggregate.collect([path], methods=METHODS).equals(rows), "without its last newline it holds the same"


def test_a_result_on_other_data_enters_no_table(result):
    path = result.folder / "metrics.json"
    document = json.loads(result.whole[path])
    document["provenance"]["data_sha256"] = "cd"
    path.write_text(json.dumps(document), encoding="utf-8")
    with refused(path, "ab", "cd", "results/raw"):
        aggregate.collect([path], methods=METHODS)


@pytest.mark.parametrize("name", ["weights.safetensors", *PREPARED])
def test_damaged_weights_give_no_forecast(result, name):
    load_forecaster(read_run(result.folder), device="cpu")
    path = (result.folder if name.startswith("weights") else result.backbone) / name
    size = len(result.whole[path].rstrip())
    for length in {0, 1, size // 2, size - 1}:
        result.cut(path, length)
        with refused(name):
            load_forecaster(read_run(result.folder), device="cpu")
    if not name.startswith("weights"):
        content = bytearray(result.whole[path])
        content[-2] ^= 1
        path.write_bytes(content)
        with pytest.raises(InputError):
            load_forecaster(read_run(result.folder), device="cpu")


@pytest.mark.parametrize("name", PREPARED)
def test_no_training_starts_on_a_damaged_language_model(result, name, tmp_path):
    path = result.backbone / name
    size = len(result.whole[path].rstrip())
    for length in {0, 1, size // 2, size - 1}:
        result.cut(path, length)
        with refused(name):
            result.train(tmp_path / "run")
        assert not (tmp_path / "run/metrics.json").exists()
