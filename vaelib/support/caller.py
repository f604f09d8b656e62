"""Processes that work for another one do not outlive it, however it ended."""

import functools
import os
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import psutil

POLL_SECONDS = 1.0

T = TypeVar("T")


def is_gone(caller: int) -> bool:
    """Whether the process that started this one has ended: Windows keeps its number as ours."""
    return os.getppid() != caller or not psutil.pid_exists(caller)


@functools.cache
def end_with(caller: int, last_wish: Callable[[], object] | None = None) -> None:
    """End this process soon after its caller has ended, whatever it does then.

    caller: the id of the process that started this one; of this process itself, nothing happens.
    last_wish: is called before; what it takes keeps the process alive.
    """
    if caller == os.getpid():
        return

    def watch() -> None:
        while not is_gone(caller):
            time.sleep(POLL_SECONDS)
        if last_wish:
            last_wish()
        os._exit(1)  # nobody is left to wait for an answer

    threading.Thread(target=watch, daemon=True).start()


def call_for(caller: int, function: Callable[..., T], *arguments: object) -> T:
    """The function's value, in a process that ends with its caller."""
    end_with(caller)
    return function(*arguments)
