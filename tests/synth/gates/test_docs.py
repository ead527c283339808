from __future__ import annotations

from synth.gates import rules
from synth.gates.batch import REASONS
from tests.test_docs import ROOT


def test_every_rule_is_documented_in_its_order() -> None:
    page = (ROOT / "docs" / "synth_rules.md").read_text(encoding="utf8")
    names = [*(one.name for one in rules()), *REASONS]
    places = [page.find(f"| `{name}` |") for name in names]
    assert -1 not in places, names[places.index(-1)]
    assert places == sorted(places)
