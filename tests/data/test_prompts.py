"""What each kind of prompt says, and which data set the misleading prompt describes."""

import json

import pytest

from tests.refusal import refused
from timellama.methods.time_llama.prompts import GENERIC, other_dataset, own_prompts, prompt_kind

DESCRIPTION = "Load of two transformers, one row an hour."


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("descriptive", DESCRIPTION),
        ("statistics", DESCRIPTION),
        ("random", DESCRIPTION),
        ("other", DESCRIPTION),
        ("generic", GENERIC),
        ("empty", ""),
    ],
)
def test_each_kind_has_its_text(kind, text):
    assert prompt_kind(kind).text(DESCRIPTION) == text
    assert prompt_kind(kind).of_another == (kind == "other")


def test_shuffled_words_are_the_same_words_in_a_fixed_order():
    text = prompt_kind("shuffled").text(DESCRIPTION)
    assert text == "one of row two Load transformers, hour. an", "the order must not change: a run's digest holds it"
    assert sorted(text.split()) == sorted(DESCRIPTION.split())


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with refused("prompt", "poem", *own_prompts(), "module:NAME"):
        prompt_kind("poem")


def test_the_schema_lists_the_same_kinds(root):
    schema = json.loads((root / "config/schema/methods.json").read_text(encoding="utf-8"))
    assert schema["$defs"]["TimeLlamaOptions"]["properties"]["prompt"]["anyOf"][0]["enum"] == list(own_prompts())


def test_the_other_data_set_is_the_next_from_another_domain():
    domains = {"a": "load", "b": "load", "c": "rain", "d": "load"}
    assert [other_dataset(name, domains=domains) for name in domains] == ["c", "c", "d", "c"]
    with refused("prompt", "domain", "load"):
        other_dataset("a", domains={"a": "load", "b": "load"})
