"""activesel strategies: the ways to choose."""

from __future__ import annotations

from activesel.cli.options import AsJson
from activesel.cli.show import show_json


def strategies(as_json: AsJson = False) -> None:
    """List the strategies, their needs and options.

    \b
    Example:
      activesel strategies
    """
    from activesel.strategies import find_strategy, strategy_names

    found = [find_strategy(name) for name in strategy_names()]
    if as_json:
        show_json([
            {"name": one.name, "summary": one.summary, "needs": sorted(one.needs), "uses": sorted(one.uses),
             "options": one.options} for one in found
        ])  # fmt: skip
        return
    width = max(len(one.name) for one in found)
    for one in found:
        print(f"{one.name:<{width}}  {one.summary}")
        needs = sorted(one.needs - {"graph"})  # built from the vectors, never the user's business
        if needs:
            print(f"{'':<{width}}    needs {', '.join(needs).replace('_', ' ')}")
        if one.options:
            print(f"{'':<{width}}    --option " + " ".join(f"{key}={value}" for key, value in one.options.items()))
