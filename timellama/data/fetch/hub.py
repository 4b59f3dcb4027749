"""Fetches a file from the Hugging Face hub, `hub:owner/name@revision!file`, through huggingface_hub.

The library handles gated repositories, the hub's storage and resuming from it. The source pins the revision, and
`sources.fetch` checks the SHA-256 of what arrives.
"""

import errno
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from timellama.core.errors import InputError
from timellama.data.fetch.download import NoRoom, NotThere

HUB_VARIABLE = "HF_ENDPOINT"  # the variables that huggingface_hub itself reads
TOKEN_VARIABLE = "HF_TOKEN"  # gated repositories require it
HUB_ADDRESS = "https://huggingface.co"  # if HF_ENDPOINT is not set
SOURCE = re.compile(r"hub:(?P<kind>(datasets|spaces)/)?(?P<repository>[^@!]+)@(?P<revision>[^@!]+)!(?P<file>[^@!]+)")
KINDS = {"datasets/": "dataset", "spaces/": "space", None: None}  # as huggingface_hub calls them


def _parts(source: str) -> re.Match:
    match = SOURCE.fullmatch(source)
    if not match:
        raise InputError(f"the source {source!r} must read hub:owner/name@revision!file; correct it in the catalogue")
    return match


def address_of(source: str) -> str:
    """The public address of a source. Raises InputError for one of another form."""
    match = _parts(source)
    repository = f"{match['kind'] or ''}{match['repository']}"
    return f"{HUB_ADDRESS}/{repository}/resolve/{match['revision']}/{match['file']}"


def bring(source: str, part: Path, *, environment: Mapping[str, str], progress: bool) -> bool:
    """Puts the file at `part`; returns whether an existing beginning of it was used, which is never the case.

    What a broken connection left stays in a folder beside `part` for the next try. Raises InputError for a source of
    another form, NotThere if the hub does not provide the file, and NoRoom if the disk is full.
    """
    match = _parts(source)
    # Imported here because it takes a second, and most fetches need none of it.
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    from tqdm import tqdm

    class Bar(tqdm):
        """A bar, or none."""

        def __init__(self, *args, **settings):
            super().__init__(*args, **settings | ({} if progress else {"disable": True}))

    folder = part.with_name(f"{part.name}.hub")
    try:
        brought = hf_hub_download(
            match["repository"],
            match["file"],
            repo_type=KINDS[match["kind"]],
            revision=match["revision"],
            cache_dir=folder,
            endpoint=environment.get(HUB_VARIABLE, "").rstrip("/") or None,
            token=environment.get(TOKEN_VARIABLE) or False,
            library_name="timellama",
            tqdm_class=Bar,
        )
        Path(brought).resolve().replace(part)
    except (HfHubHTTPError, HFValidationError, ValueError) as error:
        raise NotThere(_reason(error)) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoRoom(f"the disk was full ({error})") from error
        raise NotThere(_reason(error)) from error
    shutil.rmtree(folder)
    return False


def _reason(error: Exception) -> str:
    """The library's message on one line, or its cause, if the message says only that the file is not here."""
    return " ".join(str(error.__cause__ or error).split())
