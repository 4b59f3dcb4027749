"""Lets the code digest see files that were edited within a process."""

from timellama.core import code_digest, code_files


def forget() -> None:
    """Have the package read again. Its modules are parsed again too, since a parsed module belongs to one reading."""
    code_digest.code_digest.cache_clear()
    code_files.package.cache_clear()
