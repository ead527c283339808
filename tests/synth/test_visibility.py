"""The label follows what can be seen, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from synth.visibility import NEAR_PX, visible_mask
from tests.synth.made import blob, overlap, stained, surface

SHAPE = (100, 120)
MEANT = blob(SHAPE, (50, 60), (14, 20))


def seen(change: float, grain: float, meant: np.ndarray = MEANT) -> np.ndarray:
    host = surface(SHAPE, grain=grain)
    variant = stained(host, MEANT, change)
    return visible_mask(variant.astype(np.float32), host.astype(np.float32), meant, grain)


@pytest.mark.parametrize("change", [-60.0, 25.0])
def test_a_visible_defect_is_labelled_as_it_is(change: float) -> None:
    assert overlap(seen(change, 2), MEANT) > 0.85


@pytest.mark.parametrize(("change", "grain"), [(2, 1), (6, 12), (0, 0)])
def test_what_cannot_be_seen_is_not_labelled(change: float, grain: float) -> None:
    assert not seen(change, grain).any()


def test_half_of_a_defect_gives_half_a_label() -> None:
    left = np.zeros(SHAPE, bool)
    left[:, :60] = True
    host = surface(SHAPE)
    variant = stained(host, MEANT & left, -60)
    found = visible_mask(variant.astype(np.float32), host.astype(np.float32), MEANT, 2)
    assert overlap(found, MEANT & left) > 0.85


def test_changes_elsewhere_do_not_count() -> None:
    found = seen(-60, 2, meant=blob(SHAPE, (50, 60), (5, 5)))
    assert found.any()
    assert not (found & ~blob(SHAPE, (50, 60), (5 + 2 * NEAR_PX, 5 + 2 * NEAR_PX))).any()


def test_swapped_texture_is_a_change_without_holes() -> None:
    host, other = surface(SHAPE, grain=2), surface(SHAPE, grain=20, seed=4)
    variant = np.where(MEANT[:, :, None], other, host)
    assert overlap(visible_mask(variant.astype(np.float32), host.astype(np.float32), MEANT, 2), MEANT) > 0.85
