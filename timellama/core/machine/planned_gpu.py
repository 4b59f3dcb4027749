"""Whether a plan that is made on this machine is for a GPU. Planning imports this, so no library is imported."""

from pathlib import Path

GPU = Path("/dev/nvidiactl")  # exists where NVIDIA's driver is loaded


def plans_for_gpu(device: str, *, gpu: Path = GPU) -> bool:
    """Whether runs on `device` (auto, cpu or cuda) are for a GPU; for auto, whether `gpu` exists."""
    return device.startswith("cuda") or (device == "auto" and gpu.exists())
