"""The state of a selection that is under way, in one file: a run that was killed goes on from there."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from activesel import __version__
from activesel.journal import State
from activesel.progress import Advance, ignore_progress, show_progress
from activesel.workspace import Workspace, write_atomic

_LOG = logging.getLogger(__name__)

NAME = "selection.checkpoint"
EVERY_S = 30.0  # writing 16 bytes a row takes a second at most, so this costs a few per cent at most


@contextmanager
def keep_journal(workspace: Workspace, identity: object, n_picks: int) -> Iterator[FileJournal]:
    """Yield a journal that goes on where a killed run of the same ``identity`` stopped; it is deleted at the end.

    identity: everything that decides the picks, as JSON. Progress is drawn on a terminal.
    """
    text = json.dumps([1, __version__, identity], sort_keys=True)
    with show_progress("pick", n_picks) as advance:
        journal = FileJournal(workspace.state / NAME, hashlib.sha256(text.encode()).hexdigest(), advance)
        yield journal
    journal.discard()


class FileJournal:
    """A journal in one safetensors file, replaced as a whole; a file of another key, or a damaged one, is no state."""

    def __init__(self, path: Path, key: str, advance: Advance = ignore_progress, every_s: float = EVERY_S) -> None:
        self._path, self._key, self.advance, self._every_s = path, key, advance, every_s
        self._last = time.monotonic()

    def read(self) -> State | None:
        if not self._path.exists():
            return None
        try:
            with safe_open(self._path, framework="numpy") as stored:
                if (stored.metadata() or {}).get("key") != self._key:
                    return None
                state: Mapping[str, npt.NDArray[Any]] = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            _LOG.warning("%s cannot be read (%s); the selection starts anew", self._path, error)
            return None
        _LOG.info("going on after %d picks of a run that was cut short", len(state["picked"]))
        return state

    def is_due(self) -> bool:
        return time.monotonic() - self._last >= self._every_s

    def write(self, state: State) -> None:
        whole = {name: np.ascontiguousarray(values) for name, values in state.items()}
        write_atomic(self._path, save(whole, metadata={"key": self._key}))
        self._last = time.monotonic()

    def discard(self) -> None:
        self._path.unlink(missing_ok=True)
