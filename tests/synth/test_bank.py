"""Donors cut from made-up pictures: direction, place, edges, several in one image."""

from __future__ import annotations

import numpy as np
import pytest

from synth.bank import RIM_PX, build_bank
from synth.errors import SynthError
from synth.records import Example
from tests.synth.made import bank_of, blob, donor_of, stained, streak, surface

SHAPE = (120, 160)


@pytest.mark.parametrize("degrees", [-60, 0, 30, 80])
def test_direction_of_a_line(degrees: float) -> None:
    angle = np.radians(degrees)
    dy, dx = round(40 * np.sin(angle)), round(40 * np.cos(angle))
    mask = streak(SHAPE, (60 - dy, 80 - dx), (60 + dy, 80 + dx))
    donor = donor_of(stained(surface(SHAPE), mask, -60), mask)
    assert abs((donor.angle_rad - angle + np.pi / 2) % np.pi - np.pi / 2) < 0.03
    assert donor.elongation > 10


def test_a_disc_is_round_and_in_its_place() -> None:
    mask = blob(SHAPE, (30, 120), (10, 10))
    donor = donor_of(stained(surface(SHAPE), mask, -60), mask)
    assert donor.elongation < 1.05
    assert donor.place == pytest.approx((30.5 / 120, 120.5 / 160), abs=0.01)
    assert donor.at_edge == (False,) * 4
    assert donor.contrast == pytest.approx(58, abs=4)
    assert not donor.mask[:RIM_PX].any()
    assert not donor.mask[:, -RIM_PX:].any()


def test_residual_is_zero_beyond_the_defect() -> None:
    mask = blob(SHAPE, (60, 80), (10, 14))
    donor = donor_of(stained(surface(SHAPE), mask, -60), mask)
    assert np.abs(donor.residual[:4]).max() <= 0.5
    assert donor.residual[donor.mask].mean() == pytest.approx(-58, abs=4)


def test_at_edge() -> None:
    mask = blob(SHAPE, (119, 0), (20, 20))
    donor = donor_of(stained(surface(SHAPE), mask, -60), mask)
    assert donor.at_edge == (False, True, True, False)
    assert donor.mask[-1].any()


def test_two_defects_give_two_donors_and_fragments_one() -> None:
    one, two = blob(SHAPE, (30, 30), (8, 8)), blob(SHAPE, (90, 120), (12, 6))
    broken = streak(SHAPE, (60, 40), (60, 70)) | streak(SHAPE, (60, 74), (60, 100))
    assert len(bank_of(stained(surface(SHAPE), one | two, -60), one | two)) == 2
    assert len(bank_of(stained(surface(SHAPE), broken, -60), broken)) == 1


def test_a_neighbour_in_the_crop_is_painted_over() -> None:
    long, neighbour = streak(SHAPE, (20, 20), (100, 140)), blob(SHAPE, (90, 40), (6, 6))
    picture = stained(surface(SHAPE), long | neighbour, -60)
    donor = bank_of(picture, long | neighbour)[0]
    assert donor.picture.min(where=~np.repeat(donor.mask[:, :, None], 3, 2), initial=255) > 100


def test_same_crop_same_id() -> None:
    mask = blob(SHAPE, (30, 30), (8, 8))
    first, second, other = (donor_of(stained(surface(SHAPE), mask, change), mask) for change in (-60, -60, -50))
    assert first.donor_id == second.donor_id != other.donor_id
    assert len(first.donor_id) == 16


def test_from_a_box_and_from_nothing() -> None:
    mask = blob(SHAPE, (60, 80), (10, 14))
    picture = stained(surface(SHAPE), mask, -60)
    for example in (Example("a", "pit", "g", box=(62, 46, 98, 74)), Example("a", "pit", "g")):
        (donor,) = build_bank([example], lambda _: picture, label="pit")
        assert donor.mask.sum() == pytest.approx(mask.sum(), rel=0.4)


def test_an_unmarked_example_is_left_out_and_said_so(caplog: pytest.LogCaptureFixture) -> None:
    mask = blob(SHAPE, (60, 80), (10, 14))
    picture = stained(surface(SHAPE), mask, -60)
    images = {"a": picture, "m": picture * 0}
    examples = [Example("a", "pit", "g", box=(62, 46, 98, 74)), Example("a", "pit", "g", mask="m")]
    assert len(build_bank(examples, lambda path: images[str(path)], label="pit")) == 1
    assert "left out of the bank of pit: m: the mask marks nothing" in caplog.text
    with pytest.raises(SynthError, match="m: the mask marks nothing"):
        build_bank(examples[1:], lambda path: images[str(path)], label="pit")


def test_no_such_class() -> None:
    with pytest.raises(SynthError, match="found crack; expected pit"):
        build_bank([Example("a", "crack", "g")], lambda _: surface(SHAPE), label="pit")
