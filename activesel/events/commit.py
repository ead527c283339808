"""One write to the disk for all requests that wait for one: as many events a second as arrive, at one disk's pace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor


class CommitError(Exception):
    """The disk did not take it: nothing may be acknowledged."""


class GroupCommit:
    """Hands records to ``write``, in a thread, together; ``put`` returns when the one with its record has returned."""

    def __init__(self, write: Callable[[Sequence[bytes]], None]) -> None:
        self._write = write
        self._thread = ThreadPoolExecutor(1, "event-log")
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._running: asyncio.Task[None] | None = None
        self.n_groups = 0

    async def put(self, record: bytes) -> None:
        """Return once the disk has the record.

        Raises:
            CommitError: it has not, or nobody knows.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((record, done))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        await done

    async def close(self) -> None:
        if self._running is not None:
            await self._running
        self._thread.shutdown()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            group, self._waiting = self._waiting, []
            failure: BaseException | None = None
            try:
                await loop.run_in_executor(self._thread, self._write, [record for record, _ in group])
            except OSError as error:
                failure = CommitError(error.strerror or str(error))
            self.n_groups += 1
            for _, done in group:
                if done.done():
                    continue  # its request was cancelled meanwhile
                if failure is None:
                    done.set_result(None)
                else:
                    done.set_exception(failure)
