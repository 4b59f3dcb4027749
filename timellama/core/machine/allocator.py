"""Tells the C library to keep freed memory for the next array.

glibc returns large blocks to the system as soon as they are free, and requests and clears new pages for the next one.
A pass of the model over 64 windows of 21 variates spends a tenth of its time on this, and single operations on larger
batches take up to five times as long. The peak does not change; the process keeps that memory between passes.
"""

import ctypes
import sys

# glibc, malloc.h: options of mallopt, and the largest value that its `int` parameter can hold.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Raise both thresholds above which glibc returns memory; False if the C library has no such option."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(option, LARGEST) == 1 for option in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD))
