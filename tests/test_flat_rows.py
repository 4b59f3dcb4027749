"""A round trip through the CSV file changes nothing: every JSON value is kept, every float to the last bit."""

import json
import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.refusal import refused
from timellama.core.flat_rows import flatten, from_csv, nested, to_csv

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8"))
KEYS = st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda key: "/" not in key and key.isprintable())
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=12)


def exact(value):
    """A value in which 1, 1.0, True, 0.0 and -0.0 are distinguished."""
    if isinstance(value, dict):
        return {key: exact(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [exact(inner) for inner in value]
    return (type(value), struct.pack("<d", value) if isinstance(value, float) else value)


@settings(deadline=None)
@given(st.lists(st.dictionaries(KEYS, VALUES, min_size=1), min_size=1, max_size=4))
def test_a_round_trip_changes_nothing(documents):
    back = [nested(row) for row in from_csv(to_csv(map(flatten, documents), first=[]))]
    assert [exact(document) for document in back] == [exact(document) for document in documents]


@pytest.mark.parametrize(
    "text", ["1", "1e5", "true", "null", "NaN", "", " 2 ", '"a"', "[1]", "{}", "a,b\nc", "a\r", "00e1"]
)
def test_text_stays_text(text):
    assert nested(from_csv(to_csv([flatten({"a": {"b": text}})], first=[]))[0]) == {"a": {"b": text}}


def test_rows_are_written_as_expected_text():
    rows = [
        {"mse": 0.1 + 0.2, "run": {"seed": 0, "variant": "dlinear", "backbone": None}},
        {"mse": 5e-324, "run": {"seed": 1, "variant": "12", "backbone": {"blocks.safetensors": [1, 2.0]}}},
    ]
    assert to_csv(map(flatten, rows), first=["run/seed", "absent"]) == (
        "run/seed,mse,run/backbone,run/backbone/blocks.safetensors,run/variant\n"
        "0,0.30000000000000004,null,,dlinear\n"
        '1,5e-324,,"[1, 2.0]","""12"""\n'
    )


def test_the_order_of_keys_does_not_matter():
    document = {"b": 1, "a": {"d": math.pi, "c": "x"}}
    assert to_csv([flatten(document)], first=[]) == to_csv(
        [flatten(json.loads(json.dumps(document, sort_keys=True)))], first=[]
    )


@pytest.mark.parametrize("key", ["a/b", "", 3, "a\r"])
def test_a_key_that_names_no_column_is_refused(key):
    with refused("key", repr(key)):
        flatten({"run": {key: 1}})


@pytest.mark.parametrize(("text", "named"), [("a,a\n1,2\n", ("'a'",)), ("a,b\n1\n", ("row 2", 1, "header 2"))])
def test_a_damaged_file_is_refused(text, named):
    with refused(*named):
        from_csv(text)


@pytest.mark.parametrize("cells", [{"a": "1", "a/b": "2"}, {"a/b": "2", "a": "1"}])
def test_a_value_inside_a_value_is_refused(cells):
    with refused(f"'{list(cells)[-1]}'"):
        nested(cells)
