"""What an error message names: the parameter, the value, the place and the remedy, in any words and order."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from timellama.core.errors import InputError


def unnamed(message: str, *named: object) -> list[str]:
    """The things that `message` does not name: a name, number, path or option counts only as a whole word.

    `fill` is not in `filled` nor `--fill` in `--fill-value`, `4` is in none of `14`, `4.5` and `-4`, and `a.csv` is not
    in `a.csv.gz`. A dotted name or a path also names its last part, and a line break is as good as a space.
    """
    if not named:
        raise TypeError("say what the message must name: the parameter or the place, the value and the remedy")
    return [name for name in map(str, named) if not _pattern(name).search(message)]


@contextmanager
def refused(*named: object, error: type[BaseException] = InputError) -> Iterator[pytest.ExceptionInfo]:
    """The block raises an `error` whose message names everything in `named`."""
    unnamed("", *named)
    with pytest.raises(error) as caught:
        yield caught
    lacking = unnamed(str(caught.value), *named)
    assert not lacking, f"the message does not name {', '.join(lacking)}: {caught.value}"


def _pattern(name: str) -> re.Pattern:
    if not name.strip():
        raise TypeError(f"{name!r} names nothing")
    words = r"\s+".join(map(re.escape, name.split()))
    number = r"(?<!\d\.)(?<!-)" if name[0].isdigit() else ""  # the last digits of another number
    before = rf"(?<!\w)(?<!\w-){number}" if name[0].isalnum() or name[0] in "_-" else ""
    after = r"(?!\w)(?!\.\w)(?!-\w)" if name[-1].isalnum() or name[-1] == "_" else ""
    return re.compile(before + words + after)
