"""What a workflow job says: everything to its log file, one clear line to standard error when it fails."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FORMAT = "%(asctime)s %(levelname)s %(message)s"


@contextmanager
def job_log(path: str) -> Iterator[None]:
    """Log to the file `path`; an error is written there in full and ends the job with code 1 and a line on stderr."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter(FORMAT))
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(handler)
    try:
        yield
    except Exception as error:
        logging.exception("the job failed")
        print(f"{type(error).__name__}: {error}\n(in full: {path})", file=sys.stderr)
        sys.exit(1)
    finally:
        root.removeHandler(handler)
        handler.close()
