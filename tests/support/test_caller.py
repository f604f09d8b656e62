"""Processes that work for another one end when it was killed, whatever they are doing."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from vaelib.support.caller import POLL_SECONDS, call_for

CODE = """
import os, time
import joblib
from vaelib.support.caller import call_for
jobs = (joblib.delayed(call_for)(os.getpid(), time.sleep, seconds) for seconds in (0, 0, 60, 60))
pool = joblib.Parallel(2, return_as="generator_unordered", batch_size=1)(jobs)
next(pool), next(pool)
print("at work", flush=True)
list(pool)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="this system has no SIGKILL")
def test_workers_end_soon_after_their_caller_was_killed() -> None:
    command = [sys.executable, "-c", CODE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        assert running.stdout.readline() == "at work\n"
        workers = psutil.Process(running.pid).children(recursive=True)
        assert workers
        running.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(workers, timeout=POLL_SECONDS + 4)
    for worker in alive:
        worker.kill()
    assert not alive


def test_work_that_a_process_does_for_itself_does_not_end_it() -> None:
    assert call_for(os.getpid(), max, 1, 2) == 2
