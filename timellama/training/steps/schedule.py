"""The learning rate of each step. Paper, table 7; its schedule is open there."""

import math

from timellama.experiments.run import Training


def learning_rate(training: Training, *, step: int, steps_per_epoch: int, total_steps: int) -> float:
    """The rate of a step (from 0). Raises ValueError for an unknown schedule.

    cosine: from the full rate to 0 over all steps.
    halving: the full rate in the first two epochs, then half of the previous one in each (thuml/Time-Series-Library,
    utils/tools.py, `type1`, which is called after each epoch).
    early-halving: half of the previous one in each epoch from the second on; our choice where a configuration says so.
    delayed-decay: the full rate for four epochs, then 0.9 of the previous one in each (the same file's `type3`).
    constant: the full rate.
    """
    epoch = step // steps_per_epoch
    if training.schedule == "cosine":
        factor = (1 + math.cos(math.pi * step / total_steps)) / 2
    elif training.schedule == "halving":
        factor = 0.5 ** max(0, epoch - 1)
    elif training.schedule == "early-halving":
        factor = 0.5**epoch
    elif training.schedule == "delayed-decay":
        factor = 0.9 ** max(0, epoch - 3)
    elif training.schedule == "constant":
        factor = 1.0
    else:
        raise ValueError(
            f"schedule is {training.schedule!r}; it must be 'cosine', 'halving', 'early-halving', 'delayed-decay' or "
            "'constant'"
        )
    return training.learning_rate * factor
