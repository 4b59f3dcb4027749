"""What a run computes on: its device, generators, memory, and what is said of the machine in its result."""

import os
import random
import resource

import numpy as np
import torch

from timellama.core import provenance
from timellama.core.machine.control_groups import memory_limits

# Our choice: of a GPU's memory, beside what CUDA, its libraries and the allocator's gaps take.
SHARE_OF_GPU = 0.85
# Our choice: of a machine's memory, beside the system and what the C library keeps of freed memory.
SHARE_OF_HOST = 0.5


def seed_everything(seed: int, device: str) -> None:
    """Seed every generator that a method may draw from, and keep CUDA to deterministic kernels.

    A CPU repeats itself bit by bit from the seeds alone, and asking costs three seconds of imports.
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    if device.startswith("cuda"):
        # Matrix products are only repeatable with this set before the first one.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)


def pick_device(wanted: str) -> str:
    """`auto` takes CUDA where there is one. Raises ValueError for a device that is not there."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device is {wanted!r}, but torch finds no CUDA here: set device to auto or cpu")
    return wanted


def device_name(device: str) -> str:
    """What the device calls itself."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu"


def processor_of(device: str) -> str:
    """The make of what computes: bits agree between equal makes only."""
    return device_name(device) if device.startswith("cuda") else provenance.processor()


def hardware(device: str) -> dict:
    """The machine, and in `host_class` the short of it; never its name."""
    found = provenance.hardware()
    host_class = f"{found['processor']}, {found['cores']} cores, {found['memory_gib']} GiB, {device_name(device)}"
    return found | {"device": device_name(device), "host_class": host_class}


def peak_memory(device: str) -> int:
    """Bytes: CUDA's allocator peak, or the process's resident peak."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def memory_at_hand(device: str, *, threads: int) -> int:
    """Bytes that one run may take where it computes.

    On a CPU it is the share of the machine's memory, or of what a container or a cluster's job has of it, that its
    threads are of the cores.
    It is the same at each start on a machine, whatever else runs there.
    """
    if device.startswith("cuda"):
        return int(SHARE_OF_GPU * torch.cuda.get_device_properties(device).total_memory)
    of_machine = min([provenance.memory_bytes(), *(allowed for allowed, _ in memory_limits())])
    return int(SHARE_OF_HOST * of_machine * min(1.0, threads / (os.cpu_count() or 1)))
