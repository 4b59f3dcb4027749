"""What a run computes on: its device, generators, memory, and what its result says about the machine."""

import os
import random
import resource

import numpy as np
import torch

from timellama.core import provenance
from timellama.core.machine.control_groups import memory_limits

# Our choice: share of a GPU's memory; CUDA, its libraries and the allocator's gaps take the rest.
SHARE_OF_GPU = 0.85
# Our choice: share of a machine's memory; the system and freed memory that the C library keeps take the rest.
SHARE_OF_HOST = 0.5


def seed_everything(seed: int, device: str) -> None:
    """Seed every generator that a method may draw from, and keep CUDA to deterministic kernels.

    On a CPU the seeds alone make results repeatable to the bit, and requesting such kernels costs three seconds of
    imports.
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    if device.startswith("cuda"):
        # Matrix products are repeatable only if this is set before the first one.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)


def pick_device(wanted: str) -> str:
    """`auto` is CUDA if it is available. Raises ValueError for a device that is missing."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device is {wanted!r}, but torch finds no CUDA here: set device to auto or cpu")
    return wanted


def device_name(device: str) -> str:
    """The device's own name."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu"


def processor_of(device: str) -> str:
    """The make of the processor: bits agree only between equal makes."""
    return device_name(device) if device.startswith("cuda") else provenance.processor()


def hardware(device: str) -> dict:
    """The machine, summarised in `host_class`; never its name."""
    found = provenance.hardware()
    host_class = f"{found['processor']}, {found['cores']} cores, {found['memory_gib']} GiB, {device_name(device)}"
    return found | {"device": device_name(device), "host_class": host_class}


def peak_memory(device: str) -> int:
    """Bytes: CUDA's allocator peak, or the process's resident peak."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def memory_at_hand(device: str, *, threads: int) -> int:
    """Bytes that one run may use where it computes.

    On a CPU it is a share of the machine's memory, or of what a container or a cluster job has of it, in proportion to
    the cores that its threads use. It is the same at each start on a machine, whatever else runs there.
    """
    if device.startswith("cuda"):
        return int(SHARE_OF_GPU * torch.cuda.get_device_properties(device).total_memory)
    of_machine = min([provenance.memory_bytes(), *(allowed for allowed, _ in memory_limits())])
    return int(SHARE_OF_HOST * of_machine * min(1.0, threads / (os.cpu_count() or 1)))
