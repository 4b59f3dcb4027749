"""What a configuration's `compile` means for a run: `off`, `graph` or `inductor`, decided once, when the plan is made.

A CUDA graph holds a whole training step, which the host then launches as one; inductor is torch.compile's version of
the forward and the backward pass. Both differ from eager steps in the last bits, so a run's identity records which of
them it uses.

`auto` compiles where measurements show that it saves time. On one H100 a step of Time-LlaMA on ETTh1's shape took
53 ms eagerly and 3.3 ms as a graph (docs/reference/gpu/results.jsonl, commits 436bacb and 4067a90). On a CPU, with the
budgets of `config/cpu.yaml`, torch.compile gains less than it costs, or only seconds (docs/benchmarks.md), so there
`auto` is `off`. Planning needs no torch.
"""

import os
import shutil
from typing import Literal

from timellama.core.errors import InputError
from timellama.core.machine.planned_gpu import plans_for_gpu
from timellama.experiments.run import Run
from timellama.experiments.work import windows_of, work_of
from timellama.methods.registry import method_of

Compile = Literal["off", "auto", "on"]

OFF, GRAPH, INDUCTOR = "off", "graph", "inductor"
# Steps from which a graph pays off. A graph saves nine tenths of a step of few variates; its capture makes two steps
# twice and has a further cost that was not measured. Our choice: fifty times those two.
LEAST_STEPS = 100
COMPILERS = ("g++", "clang++")  # what inductor looks for besides the environment's CXX


def compiled(wanted: Compile, run: Run, *, rows: int, frequency: str) -> str:
    """Whether the training steps of `run` are `OFF`, `GRAPH` or `INDUCTOR` on the machine that plans.

    `rows` and `frequency` are those of the data set, as `windows_of` takes them. A method that reads numbers back in a
    step cannot be a graph, so on CUDA it stays eager.

    Raises InputError if `on` requires torch.compile on a machine without a C++ compiler.
    """
    if wanted == "off" or run.training is None:
        return OFF
    if plans_for_gpu(run.device):
        if method_of(run.method).has_read_back(run.options):
            return OFF
        steps = work_of(run, windows_of(run, rows=rows, frequency=frequency)).steps
        return GRAPH if wanted == "on" or steps >= LEAST_STEPS else OFF
    if wanted == "auto":
        return OFF
    require_compiler()
    return INDUCTOR


def require_compiler() -> None:
    """Raise InputError if torch.compile would find no C++ compiler."""
    named = os.environ.get("CXX")
    if not any(shutil.which(name) for name in ([named] if named else COMPILERS)):
        raise InputError(
            f"compile is 'on', but there is no C++ compiler here ({named or ', '.join(COMPILERS)}), which "
            "torch.compile needs on a CPU: install g++, name one in CXX, or set compile to 'off'"
        )
