"""A signal takes effect at once or after work that must not be interrupted, and handlers are restored."""

import os
import signal
import threading

import pytest

from tests.refusal import refused
from timellama.core.jobs.interruption import Interrupted, Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_at_once_with_the_shells_exit_code(number):
    with refused(number.name, error=Interrupted) as stop, Signals():
        os.kill(os.getpid(), number)
        pytest.fail("nothing happened")
    assert stop.value.code == 128 + number and not isinstance(stop.value, Exception)


def test_handlers_are_restored():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with Signals():
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] != before
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_a_held_signal_waits_until_it_is_checked():
    done = []
    with Signals() as signals, pytest.raises(Interrupted), signals.held():
        os.kill(os.getpid(), signal.SIGTERM)
        done.append("step")
        signals.check()
        done.append("more")
    assert done == ["step"]


def test_a_held_signal_waits_until_the_end_of_the_block():
    done = []
    with Signals() as signals, pytest.raises(Interrupted):
        with signals.held():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("all")
        done.append("more")
    assert done == ["all"]


@pytest.mark.parametrize("when", ["before", "within"])
def test_a_released_block_stops_anywhere_and_does_not_begin_after_a_signal(when):
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


def test_handlers_are_left_alone_outside_the_main_thread():
    found = []

    def other():
        with Signals() as signals, signals.held():
            found.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert found == [before]
