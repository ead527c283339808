"""Detail that resampling took comes back, and none is invented."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from synth.sharpness import MOST_GAIN, fine_detail, restore_detail
from tests.synth.made import streak

MASK = streak((60, 60), (10, 30), (50, 33), width=4)
SHARP = np.where(MASK[:, :, None], -60, 0).astype(np.float32) * np.ones(3, np.float32)


def test_a_blurred_line_is_as_fine_as_before() -> None:
    blurred = (SHARP + cv2.GaussianBlur(SHARP, (0, 0), 0.45)) / 2
    wanted = fine_detail(SHARP, MASK)
    assert fine_detail(blurred, MASK) < 0.9 * wanted
    assert fine_detail(restore_detail(blurred, MASK, wanted), MASK) == pytest.approx(wanted, rel=0.05)


def test_what_is_as_sharp_stays_and_what_is_lost_is_not_invented() -> None:
    assert restore_detail(SHARP, MASK, 0.5 * fine_detail(SHARP, MASK)) is SHARP
    assert not restore_detail(np.zeros_like(SHARP), MASK, 30.0).any()
    smooth = cv2.GaussianBlur(SHARP, (0, 0), 4)
    restored = restore_detail(smooth, MASK, fine_detail(SHARP, MASK))
    assert fine_detail(restored, MASK) <= MOST_GAIN * fine_detail(smooth, MASK) * 1.01
    assert fine_detail(SHARP, np.zeros_like(MASK)) == 0
