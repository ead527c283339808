"""Which way to blend suits a class: tried on its own examples, a block each, before a run.

A mode is out where a classifier tells its pastes of strength 0 from untouched hosts; of the others the one wins whose
variants it tells least from the class's real defects. What differs by less than chance is decided by whether the real
ones' contrast follows the brightness of their ground. Where nothing can be measured, residual.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from synth.blocks import plan_block, render_plans
from synth.gates.batch import judge_null
from synth.gates.space import describe, donor_crop, untouched_crop, variant_crop
from synth.gates.two_sample import LEAST_ROWS, two_sample_auc
from synth.planning import OpenHosts, Stock
from synth.records import BlendMode, Host, Variant
from synth.stocking import Stocked

FALLBACK: BlendMode = "residual"
TRIED: tuple[BlendMode, ...] = ("residual", "residual-scaled", "gradient", "alpha")  # at a tie the earlier
FOLLOWS: tuple[BlendMode, ...] = ("residual-scaled", "gradient", "residual", "alpha")  # the same, if contrast follows
_FIRST_BLOCK, _N_BLOCKS = 1_000_000, 1  # proposals of their own: what is judged by them is not chosen by them
_N_NULLS = 16  # of each block
_TIE = 0.05  # of AUC: less is chance with a dozen real crops


@dataclass(frozen=True)
class Choice:
    """aucs: by mode, how well variants are told from the real ones, 0.5 = not; a mode that leaves a trace is absent."""

    mode: BlendMode
    aucs: Mapping[str, float]

    @property
    def note(self) -> str:
        """Say in a sentence what was chosen and on what evidence."""
        told = ", ".join(f"{name} {value:.2f}" for name, value in self.aucs.items())
        return (
            f"blend {self.mode}: {'told from the real ones with AUC ' + told if told else 'too few real ones to try'}"
        )


def settle_blend(stocked: Stocked, hosts: OpenHosts) -> Stocked:
    """Return what a run works with, its way to blend chosen and told in its notes, unless the request names some."""
    if stocked.stock.blends or not stocked.stock.donors:
        return stocked
    found = choose_blend(stocked.stock, hosts)
    return replace(stocked, stock=replace(stocked.stock, blends=(found.mode,)), notes=(*stocked.notes, found.note))


def choose_blend(stock: Stock, hosts: OpenHosts) -> Choice:
    """Return the way to blend that is told least from the class's own examples; the same stock, the same choice."""
    aucs: dict[str, float] = {}
    if len(stock.donors) < LEAST_ROWS or len({donor.group for donor in stock.donors.values()}) < 2:
        return Choice(FALLBACK, aucs)
    for mode in TRIED:
        auc = try_mode(replace(stock, blends=(mode,), recipe_share=0.0), hosts)
        if not np.isnan(auc):
            aucs[mode] = auc
    if not aucs:
        return Choice(FALLBACK, {})
    least = min(max(auc, 0.5) for auc in aucs.values())
    order = FOLLOWS if follows_brightness(stock) else TRIED
    best = next(mode for mode in order if mode in aucs and max(aucs[mode], 0.5) <= least + _TIE)
    return Choice(best, {mode: round(auc, 3) for mode, auc in aucs.items()})


def follows_brightness(stock: Stock) -> bool:
    """Tell whether contrast is nearer to a fixed share of the ground's brightness than to a fixed number of levels."""
    donors = [donor for donor in stock.donors.values() if donor.mask.any()]
    contrast = np.log([donor.contrast + 1 for donor in donors])
    ground = np.log([float(donor.background[donor.mask].mean()) + 1 for donor in donors])
    return len(donors) > 1 and bool(np.std(contrast - ground) < np.std(contrast))


def try_mode(stock: Stock, hosts: OpenHosts) -> float:
    """Return the AUC of a mode's variants against the donors; NaN where it leaves a trace or cannot be judged."""
    made: list[Variant] = []
    nulls: list[tuple[Variant, Host]] = []
    for block in range(_FIRST_BLOCK, _FIRST_BLOCK + _N_BLOCKS):
        plans, used, _ = plan_block(stock, block, hosts)
        made += render_plans(stock, plans, used)
        still = [replace(plan, strength=0.0) for plan in plans[:_N_NULLS]]
        nulls += [(one, used[one.plan.host_id]) for one in render_plans(stock, still, used)]
    pasted = [untouched_crop(one, replace(host, picture=one.picture)) for one, host in nulls]
    if not judge_null(pasted, [untouched_crop(one, host) for one, host in nulls], None).ok:
        return float("nan")
    real = [donor_crop(donor) for donor in stock.donors.values()]
    seen = [variant_crop(one, stock.donors[one.plan.source_id].group) for one in made if one.mask.any()]
    groups = [crop.group for crop in real], [crop.group for crop in seen]
    return two_sample_auc(describe(real, None), describe(seen, None), *groups)
