"""Ways to choose a batch. Arrays in, Picks out; a new one is a file here and a line below."""

from activesel.strategies import badge, clusters, coverage, exemplars, farthest, focus, ranking
from activesel.strategies.registry import Strategy, find_strategy, strategy_names

__all__ = [
    "Strategy",
    "badge",
    "clusters",
    "coverage",
    "exemplars",
    "farthest",
    "find_strategy",
    "focus",
    "ranking",
    "strategy_names",
]
