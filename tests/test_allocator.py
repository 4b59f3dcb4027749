"""What the allocator does with a large block that is freed, seen from outside: the resident memory of a process."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys
from timellama.core.machine.allocator import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory():
    sys.exit(3)
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
resident = lambda: int(open("/proc/self/statm").read().split()[1]) * 4096
before = resident()
block = libc.malloc(2**28)
libc.memset(block, 1, 2**28)
libc.free(block)
print(resident() - before)
"""


def left_after_free(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True)
    if done.returncode == 3:
        pytest.skip("the C library has no mallopt")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_freed_memory_is_kept_only_when_requested():
    assert left_after_free("as it is") < 2**24
    assert left_after_free("keep") > 2**27
