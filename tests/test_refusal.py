import pytest

from tests.refusal import refused, unnamed
from timellama.core.errors import InputError


def refuse() -> None:
    raise InputError(
        "own.csv, line 12: heads is 4, which does not divide width 6.5; set\n--heads to 2 or --fill linear."
    )


def test_a_refusal_names_each_thing_in_any_order():
    with refused("--fill linear", "width", 6.5, "heads", 4, "own.csv", "set --heads", 2) as caught:
        refuse()
    assert caught.type is InputError


@pytest.mark.parametrize(
    "name", ["layers", "head", "--head", 1, 6, 5, "line 1", "--fill previous", "n.csv", "own", "first"]
)
def test_a_thing_that_is_not_named_fails(name):
    assert unnamed("own.csv, line 12: heads is 4 of 6.5, not -7: --heads-first, --fill linear", "line 12", name) == [
        str(name)
    ]
    with pytest.raises(AssertionError) as failed, refused("heads", name):
        refuse()
    assert str(name) in str(failed.value)


def test_no_error_and_another_error_fail():
    with pytest.raises(pytest.fail.Exception), refused("heads"):
        pass
    with pytest.raises(KeyError), refused("heads"):
        raise KeyError("heads")
    with pytest.raises(ValueError), refused("heads"):
        raise ValueError("heads")
    with refused("heads", error=KeyError):
        raise KeyError("heads")


@pytest.mark.parametrize("named", [(), ("",), ("heads", " ")])
def test_a_check_that_names_nothing_is_an_error(named):
    with pytest.raises(TypeError), refused(*named):
        refuse()
    with pytest.raises(TypeError):
        unnamed("heads is 4", *named)
