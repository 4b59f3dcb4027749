"""Stops a job cleanly when asked: by Ctrl-C (SIGINT), or by a cluster that reclaims its node (SIGTERM)."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(SystemExit):
    """The process was asked to stop; it exits with the shell's code for that, 128 plus the signal's number."""

    def __init__(self, number: int):
        super().__init__(128 + number)
        self.number = number

    @property
    def signal_name(self) -> str:
        """The name of the signal, such as SIGTERM."""
        return signal.Signals(self.number).name

    def __str__(self) -> str:
        return f"stopped by {self.signal_name}"


class Signals:
    """While entered, a signal raises `Interrupted` where it arrives or, within `held`, at the next `check`.

    If never entered, or entered outside the main thread (only that thread may handle signals), it changes nothing.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._at_once = True
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._arrived) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _arrived(self, number: int, _: FrameType | None) -> None:
        self.received = number
        if self._at_once:
            raise Interrupted(number)

    def check(self) -> None:
        """Raises Interrupted if a signal has arrived."""
        if self.received is not None:
            raise Interrupted(self.received)

    @contextmanager
    def held(self) -> Iterator[None]:
        """A block that a signal must not interrupt; one that arrives in it is raised when it ends without error."""
        with self._mode(at_once=False):
            yield
        self.check()

    @contextmanager
    def released(self) -> Iterator[None]:
        """Within `held`: a block that a signal may interrupt anywhere; it is not entered if one has already arrived."""
        with self._mode(at_once=True):
            self.check()
            yield

    @contextmanager
    def _mode(self, *, at_once: bool) -> Iterator[None]:
        before, self._at_once = self._at_once, at_once
        try:
            yield
        finally:
            self._at_once = before
