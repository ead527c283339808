"""Rules against the set: copies, realism, two-sample test, null paste, diversity."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from synth.gates import Batch, Limits, calibrate, measure_diversity, two_sample_auc
from synth.gates.batch import judge_null
from synth.gates.space import Crop, Rows, donor_crop, thumbnails, untouched_crop, variant_crop
from synth.records import Donor, Image, Variant
from tests.synth.gates.scene import SIDE, donor, draw, host, made

PITS = [donor("pit", seed) for seed in range(10)]
LIMITS = calibrate(PITS, [host()], None)


def small_embedder(pictures: list[Image]) -> Rows:
    """Unit rows of 8x8 pictures and their contrast: enough of an embedder to tell what differs."""
    small = [cv2.resize(one, (8, 8), interpolation=cv2.INTER_AREA) for one in pictures]
    rows = np.stack(small).reshape(len(small), -1).astype(np.float32)
    rows = rows - rows.mean(axis=1, keepdims=True) + 1
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def normal(rng: np.random.Generator, n: int, centre: float = 0.0) -> Rows:
    return rng.normal(centre, 1, (n, 5)).astype(np.float32)


def paste_donor(one: Donor) -> Variant:
    on = host(3)
    picture, mask = on.picture.copy(), np.zeros((SIDE, SIDE), bool)
    h, w = one.mask.shape
    picture[80 : 80 + h, 80 : 80 + w] = one.picture
    mask[80 : 80 + h, 80 : 80 + w] = one.mask
    return made(draw("pit", 0, on).plan, picture, mask, on)


def test_a_copy_of_a_real_one_is_found_with_and_without_an_embedder() -> None:
    for embed in (None, small_embedder):
        batch = Batch(PITS, calibrate(PITS, [host()], embed), embed)
        (verdicts,) = batch.judge([paste_donor(PITS[4])], ["lot"])
        assert verdicts[-1].rule == "near-real"
        assert not verdicts[-1].ok
        assert "copy of a real defect" in verdicts[-1].reason


def test_the_embedder_sees_each_picture_once() -> None:
    seen: list[int] = []

    def counting(pictures: list[Image]) -> Rows:
        seen.append(len(pictures))
        return small_embedder(pictures)

    batch = Batch(PITS, LIMITS, counting)
    batch.judge([draw("pit", seed, host(seed)) for seed in (2, 3, 4)], ["a"] * 3)
    assert seen == [len(PITS), 3]


def test_the_same_twice_is_found() -> None:
    batch = Batch(PITS, LIMITS)
    variant = draw("pit", 2, host(2))
    first, second = batch.judge([variant, variant], ["a", "a"])
    assert all(one.ok for one in first), first
    assert (second[-1].rule, second[-1].ok) == ("near-variant", False)
    (third,) = batch.judge([variant], ["a"])
    assert third[-1].rule == "near-variant"
    assert len(batch.kept_rows) == 1


@pytest.mark.parametrize("embed", [None, small_embedder])
def test_other_kinds_are_not_realistic_and_the_same_kind_is(embed) -> None:  # type: ignore[no-untyped-def]
    batch = Batch(PITS, calibrate(PITS, [host()], embed), embed)
    pits = batch.judge([draw("pit", seed, host(seed)) for seed in range(30, 50)], ["g"] * 20)
    assert np.mean([all(one.ok for one in each) for each in pits]) >= 0.6
    if embed is None:  # this embedder is too small to know a bright line from a dark hole
        fibres = batch.judge([draw("fibre", seed, host(seed)) for seed in range(30, 50)], ["g"] * 20)
        assert np.mean([each[-1].rule == "realism" and not each[-1].ok for each in fibres]) >= 0.6


def test_one_real_example_falls_back_to_jittered_copies() -> None:
    limits = calibrate(PITS[:1], [host()], None)
    assert limits.realism[1] is not None
    assert limits.realism[1] > 0
    assert "realism" in limits.uncalibrated


def test_two_sample_auc_on_the_same_and_on_other_sources(rng: np.random.Generator) -> None:
    groups = [str(i // 2) for i in range(60)]
    same = two_sample_auc(normal(rng, 60), normal(rng, 60), groups, groups)
    assert 0.3 < same < 0.68
    other = two_sample_auc(normal(rng, 60), normal(rng, 60, 1.5), groups, groups)
    assert other > 0.9


def test_two_sample_never_has_a_group_on_both_sides(rng: np.random.Generator) -> None:
    """Each group lies at a place of its own, with a sign of its own: known groups would be told apart, new ones not."""
    n_groups = 12
    places = np.repeat(rng.normal(0, 20, (n_groups, 12)), 8, axis=0)
    kinds = np.repeat(np.arange(n_groups) % 2, 8).astype(bool)
    rows = (places + rng.normal(0, 0.1, places.shape)).astype(np.float32)
    names = np.repeat([f"g{i}" for i in range(n_groups)], 8)
    auc = two_sample_auc(rows[~kinds], rows[kinds], names[~kinds].tolist(), names[kinds].tolist())
    assert auc < 0.85


def test_too_few_are_not_judged() -> None:
    batch = Batch(PITS[:2], calibrate(PITS[:2], [host()], None))
    batch.judge([draw("pit", 2, host(2))], ["a"])
    verdict = batch.judge_set()[0]
    assert verdict.ok
    assert np.isnan(verdict.value)
    assert "not judged" in verdict.reason


def test_two_sample_fires_on_another_kind() -> None:
    batch = Batch(PITS, Limits())
    variants = [draw("fibre", seed, host(seed)) for seed in range(20)]
    batch.judge(variants, [f"g{seed}" for seed in range(20)])
    verdict = batch.judge_set()[0]
    assert (verdict.rule, verdict.ok) == ("two-sample", False)
    assert verdict.value > 0.9


def test_null_paste_passes_untouched_and_fires_on_blur() -> None:
    variants = [draw("stain", seed, host(seed)) for seed in range(24)]
    untouched = [untouched_crop(variant, host(seed)) for seed, variant in enumerate(variants)]
    assert judge_null(untouched, untouched, None).ok
    blurred = [Crop(cv2.GaussianBlur(crop.picture, (0, 0), 1.5), crop.mask, crop.group) for crop in untouched]
    verdict = judge_null(blurred, untouched, None)
    assert not verdict.ok
    assert "strength 0" in verdict.reason


def test_set_verdicts_hold_the_null_paste_when_given() -> None:
    batch = Batch(PITS, LIMITS)
    nulls = [(draw("pit", seed, host(seed), strength=0.0), host(seed)) for seed in range(12)]
    verdicts = batch.judge_set(nulls)
    assert [one.rule for one in verdicts] == ["two-sample", "null-paste", "diversity"]
    assert verdicts[1].ok


def test_diversity_by_hand() -> None:
    apart = np.eye(4, dtype=np.float32) * 100
    assert measure_diversity(apart, 1.0).effective == pytest.approx(4, abs=0.01)
    same = np.zeros((4, 3), np.float32)
    alike = measure_diversity(same, 1.0)
    assert alike.effective == pytest.approx(1, abs=0.01)
    assert alike.nearest == 0


def test_a_set_of_one_shape_is_not_diverse() -> None:
    limits = Limits(near=1.1, realism=(None, 4.0))
    batch = Batch(PITS, limits)
    batch.judge([draw("pit", 2, host(2))] * 8, ["a"] * 8)
    verdict = batch.judge_set()[-1]
    assert (verdict.rule, verdict.ok) == ("diversity", False)


def test_thumbnails_ignore_brightness() -> None:
    crop = donor_crop(PITS[0])
    lit = Crop(cv2.convertScaleAbs(crop.picture, alpha=1, beta=20), crop.mask, "g")
    rows = thumbnails([crop, lit, variant_crop(draw("fibre", 1, host()), "g")])
    assert rows[0] @ rows[1] > 0.99
    assert rows[0] @ rows[2] < 0.9
