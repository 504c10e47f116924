"""Interrupts wait for the end of the block, and then count."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from streamsep.audio.interrupts import held_interrupts


@pytest.fixture(autouse=True)
def heeded() -> Iterator[None]:
    """A run in a shell's background ignores Ctrl-C; these tests do not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def hung_up() -> Iterator[list[int]]:
    """The hangups that were heard."""
    heard: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, frame: heard.append(number))
    yield heard
    signal.signal(signal.SIGHUP, before)


def test_an_interrupt_comes_after_the_block() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt), held_interrupts():
        signal.raise_signal(signal.SIGINT)
        reached.append(True)
    assert reached and signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="has no terminals that hang up")
def test_a_hangup_comes_after_the_block(hung_up: list[int]) -> None:
    with held_interrupts():
        signal.raise_signal(signal.SIGHUP)
        assert hung_up == []
    assert hung_up == [signal.SIGHUP]


def test_an_error_inside_puts_the_handlers_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ValueError, match="inside"), held_interrupts():
        raise ValueError("inside")
    assert signal.getsignal(signal.SIGTERM) is before


def test_other_threads_pass_through() -> None:
    done = []

    def work() -> None:
        with held_interrupts():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done
