"""What a workflow job reports: everything to its log file and, when it fails, an error file and a line on stderr."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from timellama.core.jobs.job_state import JobError, read_progress, remove_error, write_error

FORMAT = "%(asctime)s %(levelname)s %(message)s"


@contextmanager
def job_log(path: str, *, progress: str | None = None) -> Iterator[None]:
    """Log to the file `path`; an error is written there in full and ends the job with code 1 and a line on stderr.

    The error also goes to a file beside the log (`job_state.error_file`), with the step that `progress.json` in the
    folder `progress` names. An error file of an earlier attempt is deleted.
    """
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    remove_error(file)
    handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter(FORMAT))
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(handler)
    try:
        yield
    except Exception as error:
        logging.exception("the job failed")
        try:
            write_error(file, JobError.of(error, progress=read_progress(Path(progress)) if progress else None))
        except OSError as refused:
            logging.warning("the error file cannot be written (%s)", refused)
        print(f"{type(error).__name__}: {error}\n(in full: {path})", file=sys.stderr)
        sys.exit(1)
    finally:
        root.removeHandler(handler)
        handler.close()
