"""Rules that a variant must pass before anybody trains on it. The imports' order is the rules' order."""

from synth.gates import place, form, sight, seam  # noqa: I001  registers the rules, in this order
from synth.gates.batch import SET_RULES, Batch, judge_null
from synth.gates.calibrate import calibrate
from synth.gates.diversity import Diversity, measure_diversity
from synth.gates.funnel import Funnel
from synth.gates.limits import Limits
from synth.gates.registry import Rule, judge, rules
from synth.gates.two_sample import chance_bound, two_sample_auc

_FAMILIES = (place, form, sight, seam)
__all__ = [
    "SET_RULES", "Batch", "Diversity", "Funnel", "Limits", "Rule", "calibrate", "chance_bound", "judge", "judge_null",
    "measure_diversity", "rules", "two_sample_auc",
]  # fmt: skip
