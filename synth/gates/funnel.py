"""How many variants each rule let through, as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from synth.gates.batch import SET_RULES
from synth.gates.registry import rules
from synth.records import Verdict


class Funnel:
    """Counts verdicts in the order of the rules; a variant is lost to the first that it breaks."""

    def __init__(self, names: Sequence[str] | None = None) -> None:
        self.names = list(names) if names is not None else [*(one.name for one in rules()), *SET_RULES]
        self.n_in = 0
        self._rejected: Counter[str] = Counter()

    def count(self, verdicts: Sequence[Verdict]) -> bool:
        """Count one variant; return whether it is kept."""
        self.n_in += 1
        broken = [one.rule for one in verdicts if not one.ok]
        if broken:
            assert broken[0] in self.names, f"the funnel does not know the rule {broken[0]}"
            self._rejected[broken[0]] += 1
        return not broken

    @property
    def n_kept(self) -> int:
        return self.n_in - sum(self._rejected.values())

    def rows(self) -> list[tuple[str, int, int, int]]:
        """Return (rule, in, rejected, kept) in the order of the rules."""
        left, out = self.n_in, []
        for name in self.names:
            lost = self._rejected[name]
            out.append((name, left, lost, left - lost))
            left -= lost
        return out

    def table(self) -> str:
        """Return the table as text.

        >>> funnel = Funnel(["area", "seam"])
        >>> _ = funnel.count([Verdict("area", False, 3.0, (4.0, None), "too small")]), funnel.count([])
        >>> print(funnel.table())
        rule          in  rejected      kept
        area           2         1         1
        seam           1         0         1
        """
        width = max(12, *(len(name) for name in self.names)) if self.names else 12
        lines = [f"{'rule':{width - 2}s}{'in':>6s}{'rejected':>10s}{'kept':>10s}"]
        lines += [f"{name:{width - 2}s}{n_in:>6d}{lost:>10d}{kept:>10d}" for name, n_in, lost, kept in self.rows()]
        return "\n".join(lines)
