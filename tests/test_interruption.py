"""A signal strikes at once, or waits for the end of what must not be torn apart, and handlers are given back."""

import os
import signal
import threading

import pytest

from tests.refusal import refused
from timellama.core.jobs.interruption import Interrupted, Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_at_once_with_the_shells_code(number):
    with refused(number.name, error=Interrupted) as stop, Signals():
        os.kill(os.getpid(), number)
        pytest.fail("nothing happened")
    assert stop.value.code == 128 + number and not isinstance(stop.value, Exception)


def test_handlers_are_given_back():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with Signals():
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] != before
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_held_until_asked():
    done = []
    with Signals() as signals, pytest.raises(Interrupted), signals.held():
        os.kill(os.getpid(), signal.SIGTERM)
        done.append("step")
        signals.check()
        done.append("more")
    assert done == ["step"]


def test_held_until_the_end():
    done = []
    with Signals() as signals, pytest.raises(Interrupted):
        with signals.held():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("all")
        done.append("more")
    assert done == ["all"]


@pytest.mark.parametrize("when", ["before", "within"])
def test_released_is_left_anywhere_and_not_begun_too_late(when):
    done = []
    with Signals() as signals, pytest.raises(Interrupted), signals.held():
        if when == "before":
            os.kill(os.getpid(), signal.SIGTERM)
        with signals.released():
            done.append("begun")
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("ended")
    assert done == (["begun"] if when == "within" else [])


def test_an_error_is_not_hidden_by_a_signal():
    with Signals() as signals, pytest.raises(KeyError), signals.held():
        os.kill(os.getpid(), signal.SIGTERM)
        raise KeyError


def test_outside_the_main_thread_nothing_is_touched():
    found = []

    def other():
        with Signals() as signals, signals.held():
            found.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert found == [before]
