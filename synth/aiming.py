"""Follow a run that aims at gaps: embed its candidates block by block, and say when enough is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from synth.aim import Rows
from synth.blocks import BLOCK
from synth.errors import SynthError
from synth.fill import Candidate, Filled, GapAim, fill_gaps
from synth.giving_up import Effort, looks_of


class Aiming:
    """Candidates in the order of their proposals, and what is chosen of them; looks now and then (looks_of).

    most: to keep. limit: the maximum number of proposals.
    """

    def __init__(self, aim: GapAim, most: int, limit: int) -> None:
        self._aim, self._most, self._limit = aim, most, limit
        self._n_blocks = 0
        self._looks = looks_of(-(-limit // BLOCK))
        self._vectors: list[Rows] = []
        self._meets: list[list[bool]] = [[] for _ in aim.targets]
        self.ids: list[str] = []
        self.filled = Filled((), ())

    @property
    def is_done(self) -> bool:
        return bool(self.filled.verdicts) and self.filled.is_enough(self._most)

    def take(self, folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take the candidates of one block, as Sift keeps them; choose anew where the time has come."""
        found = [Candidate(row["files"][0][0], row["files"][1][0], row["host"]["id"]) for row in rows]
        if found:
            self._vectors.append(self._embed(folder, found))
        for target, flags in zip(self._aim.targets, self._meets, strict=True):
            flags += [target.meets is None or target.meets(one) for one in found]
        self.ids += [row["id"] for row in rows]
        self._n_blocks += 1
        if self._n_blocks in self._looks:
            self.choose()

    def choose(self) -> Filled:
        """Choose of all candidates so far."""
        width = self._aim.targets[0].real.shape[1]
        vectors = np.concatenate(self._vectors) if self._vectors else np.empty((0, width), np.float32)
        meets = np.asarray(self._meets, np.bool_).reshape(len(self._aim.targets), len(self.ids))
        tried = min(self._n_blocks * BLOCK, self._limit)
        effort = Effort(tried, self._limit - tried, self._aim.give_up_error, len(self._looks))
        self.filled = fill_gaps(
            self._aim.targets, vectors, meets, most=self._most, reach=self._aim.reach, effort=effort
        )
        return self.filled

    def _embed(self, folder: Path, found: Sequence[Candidate]) -> Rows:
        rows = np.asarray(self._aim.embed([one.image for one in found], folder), np.float32)
        width = self._aim.targets[0].real.shape[1]
        if rows.shape != (len(found), width):
            raise SynthError("variants and real images have vectors of different length", found=str(rows.shape),
                             expected=f"({len(found)}, {width})")  # fmt: skip
        return rows
