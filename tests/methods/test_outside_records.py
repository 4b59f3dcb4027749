"""Records from outside the package: read as strictly as the package's own, and a mistake in one is named."""

import dataclasses
import importlib
import re
import sys

import pytest
import torch
import yaml

from tests import made_up, printed
from tests.refusal import refused
from timellama.experiments.matrix import make_matrix
from timellama.methods import registry
from timellama.methods.method import Method
from timellama.methods.obstacles import Setting
from timellama.methods.registry import method_of
from timellama.methods.time_llama import prompts
from timellama.training.build import build

MODULE = """
from dataclasses import dataclass

from torch import nn

from timellama.methods.method import Method
from timellama.methods.obstacles import Obstacle
from timellama.methods.time_llama.prompts import Prompt


@dataclass(frozen=True, kw_only=True)
class Options:
    scale: float = 1.0
    wide: bool = False
    sizes: tuple[int, ...] = (3,)
    limit: int | None = None
    way: str = "up"


@dataclass(frozen=True, kw_only=True)
class Loose:
    kernel: int = 25
    individual: bool = True


class Net(nn.Module):
    def __init__(self, *, context, horizon, scale, wide, sizes, limit, way):
        super().__init__()
        self.linear = nn.Linear(context, horizon)

    def forward(self, x):
        return self.linear(x.transpose(1, 2)).transpose(1, 2)


class OfWords(nn.Module):
    def __init__(self, *, horizon, prompt, scale, wide, sizes, limit, way):
        super().__init__()


@dataclass
class Melting:
    scale: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Wider(Options):
    forgotten: int = 1


def record(network="Net", **given):
    return Method(**{"name": "own", "options": Options, "network": f"records:{network}"} | given)


def sleepy(options, setting):
    yield Obstacle(reason=f"{1 / 0}", remedy="none")


def worded(options, setting):
    yield "too long"


def takes_nothing():
    return 1


RIGHT = record()
UNFROZEN = record(options=Melting)
NUMBER = record(stack=7)
WEIGHT = record(balance_weight=0.1)
SLEEPY = record(obstacles=sleepy)
WORDED = record(obstacles=worded)
NOTHING = record(stack=takes_nothing)
TALKS = record(alone=lambda options: "yes")
POEM = record(prompt="poem", backbone=True)
ODD = record(prompt=lambda options: 3, backbone=True)
LOST = record(column_order="scael")
FORGETS = record(options=Wider)
REMEMBERS = record(options=Wider, balance_weight="forgotten")
LINEAR = Method(name="own", options=Loose, network="timellama.methods.dlinear.network:DLinear")
WORDLESS = record(network="OfWords")


class Says(Prompt):
    @staticmethod
    def text(description):
        return None


class Fails(Prompt):
    @staticmethod
    def text(description):
        return description[10**6]


class Bound(Prompt):
    def text(self, description):
        return description


class Long(Prompt):
    extra = "40"


class Narrow(Prompt):
    @staticmethod
    def embeddings(text, *, context, embedder):
        return embedder.rows(text)[:, 1:]


class Still(Prompt):
    @staticmethod
    def embeddings(text, *, context, embedder):
        return nn.Linear(2, 2)


class Without(Prompt):
    @staticmethod
    def embeddings(text, embedder):
        return embedder.rows(text)
"""


@pytest.fixture
def planned(root, tmp_path, monkeypatch):
    """Plans one run of a record, or of Time-LlaMA, with some options on a tiny language model, and returns it."""
    (tmp_path / "records.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    given = yaml.safe_load((root / "config/smoke.yaml").read_text(encoding="utf-8"))
    section = {"datasets": {"Synthetic": {"context": 96, "horizons": [24]}}, "methods": ["own"]}

    def make(method: str, **options: object):
        own = {"own": made_up.METHOD | {"method": method, "options": options}}
        changed = {"methods": own, "experiments": {"long_term": section}, "seeds": [0]}
        return next(iter(make_matrix(given | changed, root=root).every_run().values()))

    yield make
    sys.modules.pop("records", None)
    registry.method_of.cache_clear()
    prompts.prompt_kind.cache_clear()


@pytest.mark.parametrize(
    ("option", "value"),
    [("scale", "0.2"), ("wide", "false"), ("wide", 0), ("sizes", ["3"]), ("limit", "4"), ("limit", 2.5), ("way", 3)],
)
def test_an_option_of_another_type_is_refused(planned, option, value):
    with refused(f"own.options.{option}"):
        planned("records:RIGHT", **{option: value})


def test_options_for_a_network_of_the_package_are_read_as_strictly(planned):
    with refused("own.options.individual"):
        planned("records:LINEAR", individual="false")
    run = planned("records:LINEAR", kernel=5)
    assert build(run, backbone_folder=None)(torch.randn(2, run.context, run.variates)).shape[1] == run.horizon


def test_options_reach_the_run_as_they_are_written(planned):
    run = planned("records:RIGHT", scale=2, wide=True, sizes=[1, 2], limit=None, way="down")
    kind = method_of("records:RIGHT").options
    assert run.options == kind(scale=2, wide=True, sizes=(1, 2), limit=None, way="down")
    assert isinstance(run.options, sys.modules["records"].Options), "what the record's functions expect"
    assert dataclasses.asdict(kind()) == dataclasses.asdict(sys.modules["records"].Options())
    assert type(run).from_json(run.to_json()) == run and len({run}) == 1


@pytest.mark.parametrize(
    ("record", "named"),
    [
        ("UNFROZEN", ("options", "Melting", "frozen")),
        ("NUMBER", ("stack", "7")),
        ("WEIGHT", ("balance_weight", "0.1")),
        ("SLEEPY", ("obstacles", "ZeroDivisionError", "records.py", "line")),
        ("WORDED", ("obstacles", "'too long'", "must give Obstacles")),
        ("TALKS", ("alone", "'yes'", "must give True or False")),
        ("POEM", ("'poem'", "descriptive")),
        ("ODD", ("prompt", "3")),
        ("LOST", ("column_order", "'scael'", "scale")),
    ],
)
def test_a_mistake_in_a_record_is_named_when_planning(planned, record, named):
    # Whether each variate is forecast alone is asked where memory is cut.
    with refused(f"'records:{record}'", *named):
        run = planned(f"records:{record}")
        method_of(run.method).forecasts_alone(run.options)


@pytest.mark.parametrize(
    ("record", "named"),
    [("FORGETS", ("Net", "'forgotten'")), ("WORDLESS", ("OfWords", "'prompt'", "backbone=True"))],
)
def test_a_record_that_does_not_match_its_network_is_refused(planned, record, named):
    with refused(f"'records:{record}'", *named):
        build(planned(f"records:{record}"), backbone_folder=None)


def test_the_network_need_not_take_the_weight_of_its_balance_loss(planned):
    run = planned("records:REMEMBERS", forgotten=4)
    model, x = build(run, backbone_folder=None), torch.randn(2, run.context, run.variates)
    assert run.balance_weight == 4 and model(x).shape == (2, run.horizon, run.variates)


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("Says", ("text", "None")),
        ("Fails", ("text", "IndexError", "records.py", "line")),
        ("Bound", ("text", "TypeError")),
        ("Long", ("extra", "'40'")),
    ],
)
def test_a_mistake_in_a_kind_of_prompt_is_named_when_planning(planned, kind, named):
    with refused(f"'records:{kind}'", *named):
        planned("time-llama", prompt=f"records:{kind}")


@pytest.mark.parametrize(
    ("kind", "named"),
    [("Narrow", ("31", "D 32")), ("Still", ("extra", "0")), ("Without", ("embeddings", "TypeError"))],
)
def test_what_is_no_prompt_is_refused_before_training(planned, tiny, kind, named):
    with refused(f"'records:{kind}'", *named):
        build(planned("time-llama", prompt=f"records:{kind}"), backbone_folder=tiny)


def test_the_page_explains_every_field_of_a_record():
    section = printed.text().partition("### A record\n")[2].partition("\n### ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == {field.name for field in dataclasses.fields(Method)}


def test_the_pages_obstacle_is_one(tmp_path, monkeypatch):
    (tmp_path / "page_obstacles.py").write_text(printed.block("python", "def obstacles("), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    obstacles = importlib.import_module("page_obstacles").obstacles
    method = Method(name="own", options=method_of("dlinear").options, network="none:None", obstacles=obstacles)
    short, long = (Setting(context=context, horizon=24, variates=1) for context in (12, 24))
    assert len(method.obstacles_to(None, short)) == 1 and not method.obstacles_to(None, long)
