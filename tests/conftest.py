"""What every test may ask for: the project's root and, where it stands beside the project, the folder of real data."""

import os
from pathlib import Path

import pytest

from timellama.specs import Backbone, Run, Split, TimeLlamaOptions, Training

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data files; a test that needs it is skipped by name where there is none."""
    folder = Path(os.environ.get("TIMELLAMA_SHARED", ROOT.parent / "shared"))
    if not (folder / "data" / "SOURCES.csv").is_file():
        pytest.skip(f"needs the real data files of {folder}, which is absent")
    return folder


@pytest.fixture(scope="session")
def backbone_of():
    """Turns a model of transformers into ours, through what a prepared folder keeps of it."""
    from timellama.data.backbone_parts import architecture
    from timellama.model.backbone import Architecture, Backbone

    def backbone_of(model):
        described = architecture(model.config.to_dict(), where="the test's model")
        embedding = {id(parameter) for parameter in model.get_input_embeddings().parameters()}
        weights = {n: p.detach() for n, p in model.named_parameters() if id(p) not in embedding}
        described["frequencies"] = tuple(described["frequencies"])
        return Backbone(architecture=Architecture(**described), weights=weights).eval()

    return backbone_of


@pytest.fixture(scope="session")
def sample_run() -> Run:
    """A run of Time-LlaMA on ETTh1 with a tiny language model."""
    return Run(
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
