"""One thread for arithmetic: sums of the same numbers come out the same, whatever the machine has or is asked for."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Iterator

import cv2


@contextlib.contextmanager
def single_thread() -> Iterator[None]:
    """Compute with one thread inside, as before afterwards: BLAS, OpenMP, torch and OpenCV."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def end_with_parent() -> None:
    """Watch for the parent's death, however it dies, and end this worker then; it would wait for work for ever.

    By the pipe that the parent holds, not by its number: a parent that died while this process was still importing has
    handed it on to another already, and that one lives.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None, "only a process that multiprocessing started has such a parent"

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
