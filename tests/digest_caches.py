"""Lets the code digest see files that were edited within a process."""

from timellama.core import code_digest, code_files


def forget(*, sources: bool = True) -> None:
    """Clear what the process remembers of the digested files; `sources=False` leaves the parsed modules."""
    remembered = (code_digest.code_digest, code_files.module_file, code_files._package, code_files._state)
    for cached in (*remembered, *([code_digest._source] if sources else [])):
        cached.cache_clear()
