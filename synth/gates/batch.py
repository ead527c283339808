"""Rules that compare a variant with the real defects and with the other variants, and judge the set as a whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from synth.gates.diversity import measure_diversity
from synth.gates.limits import Limits
from synth.gates.registry import explain
from synth.gates.space import Crop, Rows, describe, distances, donor_crop, likeness_rows, untouched_crop, variant_crop
from synth.gates.two_sample import chance_bound, two_sample_auc
from synth.records import Donor, Embedder, Host, Variant, Verdict

SET_RULES = ("near-real", "near-variant", "realism")  # in this order, after the rules that look at one variant
REASONS = {
    "near-real": "a copy of a real defect, which teaches nothing",
    "near-variant": "nearly the same as a variant that was kept before",
    "realism": "farther from every real defect of the class than they are from one another",
    "two-sample": "a classifier tells the variants from real defects",
    "null-paste": "a classifier tells hosts that went through the pipeline with strength 0 from untouched ones",
    "diversity": "the variants are worth too few different ones",
}


class Batch:
    """Takes variants in their order; remembers what it kept. Without an embedder likeness is that of thumbnails, and
    realism that of figures such as contrast, gradients and size."""

    def __init__(self, donors: Sequence[Donor], limits: Limits, embed: Embedder | None = None) -> None:
        self._limits, self._embed = limits, embed
        self._real_crops = [donor_crop(donor) for donor in donors]
        self._real = describe(self._real_crops, embed)
        self._real_like = likeness_rows(self._real_crops, self._real, embed)
        self._kept: list[Rows] = []
        self._kept_like = np.zeros((0, 0), np.float32)
        self._n_like = 0
        self._groups: list[str] = []

    @property
    def kept_rows(self) -> Rows:
        """Return the vectors (n, d) of the kept variants, for the gap aim."""
        return np.stack(self._kept) if self._kept else np.zeros((0, 1), np.float32)

    def judge(self, variants: Sequence[Variant], groups: Sequence[str]) -> list[list[Verdict]]:
        """Judge variants in order and keep those that pass. groups: of the donor, for a recipe of the host."""
        crops = [variant_crop(variant, group) for variant, group in zip(variants, groups, strict=True)]
        rows = describe(crops, self._embed)
        like = likeness_rows(crops, rows, self._embed)
        verdicts = []
        for i, crop in enumerate(crops):
            limits = self._limits if variants[i].plan.source == "donor" else self._limits.for_recipes()
            verdicts.append(self._judge_one(rows[i], like[i], limits))
            if all(one.ok for one in verdicts[-1]):
                self._keep(rows[i], like[i], crop.group)
        return verdicts

    def keep_only(self, positions: Sequence[int]) -> None:
        """Forget the kept variants but for these, ascending positions among them: the set is judged without."""
        self._kept = [self._kept[i] for i in positions]
        self._groups = [self._groups[i] for i in positions]
        self._kept_like, self._n_like = self._kept_like[list(positions)], len(positions)

    def judge_set(self, nulls: Sequence[tuple[Variant, Host]] = ()) -> list[Verdict]:
        """Judge the kept variants as a set. nulls: variants rendered with strength 0, each with its host."""
        verdicts = [self._two_sample(), self._diversity()]
        if nulls:
            crops = [Crop(*_same_frame(variant), host.group) for variant, host in nulls]
            untouched = [untouched_crop(variant, host) for variant, host in nulls]
            verdicts.insert(1, judge_null(crops, untouched, self._embed))
        return verdicts

    def _judge_one(self, row: Rows, like: Rows, limits: Limits) -> list[Verdict]:
        near = (None, limits.near)
        real = float((self._real_like @ like).max()) if len(self._real_like) else -1.0
        kept = float((self._kept_like[: self._n_like] @ like).max()) if self._n_like else -1.0
        away = float(distances(row[None], self._real).min()) if len(self._real) else 0.0
        measured = (("near-real", real, near), ("near-variant", kept, near), ("realism", away, limits.realism))
        verdicts = []
        for name, value, bounds in measured:
            verdicts.append(_verdict(name, value, bounds))
            if not verdicts[-1].ok:
                break
        return verdicts

    def _keep(self, row: Rows, like: Rows, group: str) -> None:
        if self._n_like == len(self._kept_like):  # doubles, so that keeping n costs n, not n^2
            grown = np.zeros((max(64, 2 * self._n_like), like.size), np.float32)
            grown[: self._n_like] = self._kept_like[: self._n_like] if self._n_like else 0
            self._kept_like = grown
        self._kept_like[self._n_like] = like
        self._n_like += 1
        self._kept.append(row)
        self._groups.append(group)

    def _two_sample(self) -> Verdict:
        auc = two_sample_auc(self._real, self.kept_rows, [crop.group for crop in self._real_crops], self._groups)
        high = max(self._limits.two_sample, chance_bound(max(1, len(self._real)), max(1, len(self._kept))))
        return _verdict("two-sample", auc, (None, high))

    def _diversity(self) -> Verdict:
        rows = self.kept_rows
        scale = self._limits.realism[1] or (float(np.median(distances(rows, rows))) if len(rows) > 1 else 1.0)
        wanted = min(self._limits.effective, len(rows) / 2)
        return _verdict("diversity", measure_diversity(rows, scale).effective, (wanted, None))


def judge_null(pasted: Sequence[Crop], untouched: Sequence[Crop], embed: Embedder | None) -> Verdict:
    """Judge the control: crops that went through the whole pipeline without a defect, against the same left alone."""
    groups = [crop.group for crop in pasted], [crop.group for crop in untouched]
    auc = two_sample_auc(describe(pasted, embed), describe(untouched, embed), *groups)
    return _verdict("null-paste", auc, (None, max(0.6, chance_bound(len(pasted), len(untouched)))))


def _same_frame(variant: Variant) -> tuple[np.ndarray, np.ndarray]:
    crop = variant_crop(Variant(variant.plan, variant.picture, variant.meant, variant.meant, 0.0), "")
    return crop.picture, crop.mask


def _verdict(name: str, value: float, bounds: tuple[float | None, float | None]) -> Verdict:
    low, high = bounds
    if np.isnan(value):
        return Verdict(name, True, value, bounds, "not judged: too few real examples or groups")
    ok = (low is None or value >= low) and (high is None or value <= high)
    return Verdict(name, ok, value, bounds, "" if ok else explain(REASONS[name], value, bounds))
