"""Where a long computation leaves its state now and then, and says how far it is; who keeps it is decided elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

State = Mapping[str, npt.NDArray[Any]]


class Journal(Protocol):
    """Somewhere to leave state for a later run of the same computation."""

    def read(self) -> State | None:
        """Return what the last run wrote, None where it wrote nothing."""
        ...

    def is_due(self) -> bool:
        """Whether enough work was done since the last writing to be worth another."""
        ...

    def write(self, state: State) -> None:
        """Keep ``state`` in place of what was written before; whole or not at all."""
        ...

    def advance(self, n_picks: int) -> None:
        """Say that so many picks more are made."""
        ...


class NoJournal:
    """Remember nothing, tell nobody: for short work and for tests."""

    def read(self) -> State | None:
        return None

    def is_due(self) -> bool:
        return False

    def write(self, state: State) -> None:
        raise AssertionError(f"never due, yet written to: {sorted(state)}")

    def advance(self, n_picks: int) -> None:
        pass


def pack_generator(rng: np.random.Generator) -> npt.NDArray[np.uint64]:
    """Return the state of a PCG64 generator as (6,) numbers."""
    state: Any = rng.bit_generator.state
    inner, mask = state["state"], (1 << 64) - 1
    words = [inner["state"] >> 64, inner["state"] & mask, inner["inc"] >> 64, inner["inc"] & mask]
    return np.array([*words, state["has_uint32"], state["uinteger"]], dtype=np.uint64)


def restore_generator(rng: np.random.Generator, packed: npt.NDArray[np.uint64]) -> None:
    """Put a PCG64 generator back into a packed state."""
    high, low, inc_high, inc_low, has_uint32, uinteger = (int(word) for word in packed)
    rng.bit_generator.state = {
        "bit_generator": "PCG64", "state": {"state": high << 64 | low, "inc": inc_high << 64 | inc_low},
        "has_uint32": has_uint32, "uinteger": uinteger,
    }  # fmt: skip
