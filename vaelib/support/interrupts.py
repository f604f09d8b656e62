"""Ctrl-C that lets a program finish what it is doing."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def on_first_interrupt(action: Callable[[], object]) -> Iterator[None]:
    """The first Ctrl-C in the block only calls `action`; a second one interrupts as ever.

    Outside the main thread, to which signals do not come, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def handle(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        action()

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
