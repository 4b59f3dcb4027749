"""The state of a training in a file, from which a killed run resumes as if it had not been killed.

A file is one line of JSON (whose training it is, and the digest of what follows) and then tensors and plain values in
torch's format, read back without unpickling any code. It is complete or absent. A damaged one, or one from other
settings, other code or another machine, is never used: the log names it, and the training starts afresh.
"""

import hashlib
import io
import json
import logging
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from timellama.core.files import atomic, remove_unfinished

log = logging.getLogger(__name__)

NAME = "checkpoint"


class Checkpoint:
    """The file `checkpoint` in `folder`, which is for this one run. `identity` is what must be equal to resume.

    `identity` holds plain values by name; a refusal reports which of them differ.
    """

    def __init__(self, folder: Path, *, identity: dict[str, Any]):
        self.path = folder / NAME
        self.identity = identity

    def save(self, state: dict[str, Any]) -> None:
        """Replace what was there with `state` (tensors, numbers, text, None, lists and dicts of them).

        If the file cannot be written, the old one stays and the log says so: results may still have room.
        """
        payload = io.BytesIO()
        torch.save(state, payload)
        header = {"identity": self.identity, "sha256": hashlib.sha256(payload.getbuffer()).hexdigest()}
        try:
            with atomic(self.path) as file:
                file.write(json.dumps(header).encode() + b"\n")
                file.write(payload.getbuffer())
        except OSError as error:
            log.warning("no checkpoint was written (%s); a run killed now resumes from an older one, if any", error)

    def load(self) -> dict[str, Any] | None:
        """The state, with tensors on the CPU, or None if there is none that this run can resume from."""
        remove_unfinished(self.path)
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            return self._refuse(f"cannot be read ({error})")
        line, _, payload = content.partition(b"\n")
        try:
            header = json.loads(line)
            found, digest = dict(header["identity"]), header["sha256"]
        except (ValueError, TypeError, KeyError):
            return self._refuse("is damaged")
        if hashlib.sha256(payload).hexdigest() != digest:
            return self._refuse("is damaged or cut short")
        other = [name for name in {**self.identity, **found} if found.get(name) != self.identity.get(name)]
        if other:
            return self._refuse(f"was made with another {', another '.join(other)}")
        return torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)

    def _refuse(self, reason: str) -> None:
        log.warning("the checkpoint %s %s: the training starts afresh", self.path, reason)

    def remove(self) -> None:
        """Delete the file, if there is one."""
        self.path.unlink(missing_ok=True)


def generator_states() -> dict[str, Any]:
    """The state of every generator that `timellama.training.device.seed_everything` seeds."""
    numpy_name, keys, *numpy_rest = np.random.get_state()
    version, words, gauss = random.getstate()
    return {
        "python": [version, list(words), gauss],
        "numpy": [numpy_name, keys.tolist(), *numpy_rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_generators(states: dict[str, Any]) -> None:
    """The inverse of `generator_states`."""
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    np.random.set_state(tuple(states["numpy"]))
    torch.set_rng_state(states["torch"])
    if states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])
