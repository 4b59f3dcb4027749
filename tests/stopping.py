"""A training that is asked to stop at a moment that a test counts."""

import signal

from timellama.core.jobs.interruption import Interrupted, Signals


class AskedToStop(Signals):
    """Asked to stop at look number `looks`; there is a look after each step and before each validation."""

    def __init__(self, looks: int):
        super().__init__()
        self.looks = looks

    def check(self) -> None:
        self.looks -= 1
        if self.looks == 0:
            raise Interrupted(signal.SIGTERM)
