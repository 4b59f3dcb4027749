"""Tells the C library to keep memory that was freed, for the next array.

glibc gives large blocks back to the system as soon as they are free, and takes and clears new pages for the next one:
a pass of the model over 64 windows of 21 variates spends a tenth of its time so, and single operations on larger
batches take up to five times as long. The peak stays what it is; between passes the process holds on to it.
"""

import ctypes
import sys

# glibc, malloc.h: options of mallopt, and the largest value that its `int` parameter can hold.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Raise both thresholds above which glibc returns memory; False where the C library has no such option."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(option, LARGEST) == 1 for option in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD))
