"""The first Ctrl-C asks, the second one interrupts."""

import signal
import threading

import pytest

from vaelib.support.interrupts import on_first_interrupt


def test_the_first_interrupt_acts_and_the_second_one_interrupts() -> None:
    calls: list[str] = []
    with on_first_interrupt(lambda: calls.append("acted")):
        signal.raise_signal(signal.SIGINT)
        assert calls == ["acted"]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert calls == ["acted"]


def test_after_the_block_interrupts_are_as_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    with on_first_interrupt(lambda: None):
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_in_another_thread_nothing_is_changed() -> None:
    handlers: list[object] = []

    def work() -> None:
        with on_first_interrupt(lambda: None):
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]
