"""Rules on where the defect lies: on the product, and off what is labelled already."""

from __future__ import annotations

import numpy as np

from synth.gates.registry import Case, rule


@rule("visible", reason="too little of the meant defect can be seen", limits=lambda limits: (limits.visible, None))
def visible_share(case: Case) -> float:
    """Return the share of the meant area that visibly changed; 0 for an empty mask."""
    meant = int(case.meant.sum())
    return float((case.mask & case.meant).sum() / meant) if meant and case.mask.any() else 0.0


@rule("on-part", reason="it lies beside the product", limits=lambda limits: (limits.on_part, None))
def share_on_part(case: Case) -> float:
    """Return the share of the mask that lies on the product."""
    return float(case.host.part[case.window][case.mask].mean())


@rule("clear", reason="it covers something that is labelled already", limits=lambda _: (None, 0.0))
def share_taken(case: Case) -> float:
    """Return the share of the mask that lies on labels of the host."""
    return float(np.mean(case.host.taken[case.window][case.mask]))
