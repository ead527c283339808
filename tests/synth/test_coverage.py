"""A defect hides the host where it is, not all over its mask; the donor's own ground stays behind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synth.background import grow
from synth.coverage import coverage, drop_texture, measure_texture
from synth.grain import high_pass
from synth.records import BLEND_MODES, BlendMode, Donor
from synth.render import render_block
from tests.synth.made import blob, donor_of, host_of, plan_of, stained, streak, surface

SHAPE = (120, 140)


def loose_crack(change: float = -70) -> Donor:
    """A thin crack in a mask drawn 6 px wider all around, as annotators do, on coarse ground."""
    line = streak(SHAPE, (20, 70), (100, 74), width=2)
    return donor_of(stained(mottled(3), line, change), grow(line, 6))


def mottled(seed: int) -> np.ndarray:
    """Ground with grain and with coarser texture."""
    rough = np.random.default_rng(seed).normal(0, 8, (SHAPE[0] // 4, SHAPE[1] // 4))
    return np.clip(surface(SHAPE, seed=seed) + np.kron(rough, np.ones((4, 4)))[:, :, None], 0, 255).astype(np.uint8)


def test_nothing_hides_nothing() -> None:
    assert not coverage(np.zeros((20, 20, 3), np.float32), 0.0).any()


def test_what_exceeds_the_texture_hides_and_the_texture_itself_does_not() -> None:
    residual = np.random.default_rng(0).normal(0, 5, (60, 60, 3)).astype(np.float32)
    residual[20:40, 20:40] -= 80
    hidden = coverage(residual, 5.0)
    assert hidden[22:38, 22:38].min() == 1
    assert hidden[:15].mean() < 0.02


def test_texture_is_measured_beside_the_defect_and_dropped() -> None:
    donor = loose_crack()
    texture = measure_texture(donor.picture.astype(np.float32), ~grow(donor.mask, 3))
    assert 3 < texture < 9
    left = drop_texture(donor.residual, 2.0, texture)
    ground = grow(donor.mask, 2) & (np.abs(donor.residual).max(2) < 20)
    assert left[ground].std() < 0.86 * donor.residual[ground].std()
    deep = donor.residual.min(2) < -60
    assert left[deep].mean() == pytest.approx(donor.residual[deep].mean(), rel=0.1)


@pytest.mark.parametrize("blend", BLEND_MODES)
def test_strength_0_leaves_the_host_as_it_is(blend: BlendMode) -> None:
    donor, host = loose_crack(), host_of(mottled(8))
    (variant,) = render_block([plan_of(donor, blend=blend, strength=0.0)], {donor.donor_id: donor}, {"h": host}, {})
    assert np.abs(variant.picture.astype(int) - host.picture).max() <= 1
    assert not variant.mask.any()


@pytest.mark.parametrize("blend", BLEND_MODES)
def test_ground_beside_a_crack_stays_the_hosts(blend: BlendMode) -> None:
    donor, host = loose_crack(), host_of(mottled(8))
    (variant,) = render_block([plan_of(donor, blend=blend)], {donor.donor_id: donor}, {"h": host}, {})
    change = np.abs(variant.picture.astype(int) - host.picture).max(2)
    beside = variant.meant & ~grow(change > 30, 3)
    assert beside.sum() > 200
    own, kept = (high_pass(picture.astype(np.float32))[beside] for picture in (host.picture, variant.picture))
    assert np.corrcoef(own.ravel(), kept.ravel())[0, 1] > 0.8
    assert kept.std() == pytest.approx(own.std(), rel=0.3)


@pytest.mark.parametrize("blend", BLEND_MODES)
def test_repeats_to_the_byte(blend: BlendMode) -> None:
    donor, host = loose_crack(), host_of(mottled(8))
    plan = plan_of(donor, blend=blend, scale=1.1, angle_rad=0.1)
    first, again = (
        render_block([plan], {donor.donor_id: donor}, {"h": replace(host, picture=host.picture.copy())}, {})[0]
        for _ in range(2)
    )
    assert first.picture.tobytes() == again.picture.tobytes()


def test_an_opaque_blob_hides_the_hosts_texture_in_gradient_mode() -> None:
    mask = blob(SHAPE, (60, 70), (14, 14))
    donor, host = donor_of(stained(surface(SHAPE, grain=1), mask, -90), mask), host_of(mottled(8))
    (variant,) = render_block([plan_of(donor)], {donor.donor_id: donor}, {"h": host}, {})
    inner = ~grow(~variant.meant, 4)
    assert variant.picture[inner].std() < 0.7 * host.picture[inner].std()
