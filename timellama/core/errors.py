"""The one exception for input that the user can correct, and the guess at the word that was meant."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Raised where a value is used; the message names the value, the rule it breaks and the remedy."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean ETTh1?` for the known name nearest to `word`, ignoring case; empty if none is near."""
    by_fold = {name.casefold(): name for name in reversed(list(known))}
    near = difflib.get_close_matches(word.casefold(), by_fold, n=1)
    return f"; did you mean {by_fold[near[0]]}?" if near else ""
