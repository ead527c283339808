"""The parts of the selection benchmark: which jobs each one runs, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.jobs import Job, Result
from bench.peers import PEERS, Peer
from bench.pool import PoolSpec
from bench.quality import needs_graph
from bench.runner import Runner

GROWTH_STRATEGIES = ("default", "k-center")
BUILDS_GRAPH = "sparse-coverage"  # the one that is also run with the graph built on the way
GROWTH_LIMIT_S = 7200.0  # asked for is that it finishes; ten minutes are for the peers
PEER_PICKS = 2000


@dataclass(frozen=True)
class Sizes:
    """Of a whole run. scale: the pool that ours are measured on. ladder: rows of the pools that peers try in turn."""

    scale: PoolSpec
    budget: int
    ladder: tuple[int, ...]
    growth: tuple[int, ...]
    badge: tuple[PoolSpec, ...]


def shrink(sizes: Sizes, factor: float) -> Sizes:
    """Return the same work on pools of ``factor`` times the rows, at least 600, and as many fewer picks."""

    def rows(n: int) -> int:
        return max(600, int(n * factor))

    def pool(spec: PoolSpec) -> PoolSpec:
        n = rows(spec.n)
        return PoolSpec(n, spec.d, min(spec.n_labelled, n // 4), spec.n_classes)

    ladder, growth = (tuple(sorted({rows(n) for n in each})) for each in (sizes.ladder, sizes.growth))
    budget = min(max(20, int(sizes.budget * factor)), rows(sizes.scale.n) // 4)
    return Sizes(pool(sizes.scale), budget, ladder, growth, tuple(map(pool, sizes.badge)))


def run_scale(runner: Runner, sizes: Sizes) -> None:
    """The graph, then every strategy alone and within select; one of them also with the graph built on the way."""
    from activesel.strategies import find_strategy, strategy_names

    names = [name for name in strategy_names() if runner.wants("scale", name)]
    uses_graph = {name: "graph" in find_strategy(name).needs for name in names}
    if runner.wants("scale", "graph") or any(uses_graph.values()):
        runner.run("scale", Job("graph", "graph", sizes.scale))
    for name in names:
        if uses_graph[name] and not runner.has_graph(sizes.scale):
            continue
        runner.run("scale", Job("strategy", name, sizes.scale, sizes.budget))
        runner.run("scale", Job("select", name, sizes.scale, sizes.budget, stored_graph=uses_graph[name]))
        if name == BUILDS_GRAPH:
            runner.run("scale", Job("select", name, sizes.scale, sizes.budget))


def run_gradients(runner: Runner, sizes: Sizes) -> None:
    """BADGE where the gradients would be large, beside the peer that builds them."""
    if not runner.wants("gradients"):
        return
    for spec in sizes.badge:
        runner.run("gradients", Job("strategy", "badge", spec, 10))
        runner.run("gradients", Job("peer", "scikit-activeml Badge", spec, 10, dtype="float32"))


def run_head(runner: Runner, sizes: Sizes) -> None:
    if runner.wants("head"):
        runner.run("head", Job("head", "linear head", sizes.scale))


def run_peers(runner: Runner, sizes: Sizes) -> None:
    """Each peer on ever larger pools until it does not finish; ours at the same sizes, on the same fp32 vectors."""
    done: dict[tuple[str, int, bool], Result] = {}
    for peer in PEERS:
        if not runner.wants("peers", peer.library):
            continue
        for n in sizes.ladder:
            spec = PoolSpec(n, sizes.scale.d, min(sizes.scale.n_labelled, n // 4), sizes.scale.n_classes)
            budget = min(PEER_PICKS, n // 10)
            if needs_graph(peer.ours) and not runner.has_graph(spec):
                runner.run("peers", Job("graph", "graph", spec))
            key = (peer.ours, n, peer.knows_labels)
            if key not in done:
                mine = Job("strategy", peer.ours, spec, budget, labelled=peer.knows_labels, dtype="float32")
                done[key] = runner.run("peers", mine)
            if _try_peer(runner, peer, spec, budget)["dnf"]:
                break


def _try_peer(runner: Runner, peer: Peer, spec: PoolSpec, budget: int) -> Result:
    job = Job("peer", peer.name, spec, budget, labelled=peer.knows_labels, dtype="float32")
    return runner.run("peers", job, ours=peer.ours, note=peer.note)


def run_growth(runner: Runner, sizes: Sizes, strategies: Sequence[str] = GROWTH_STRATEGIES) -> None:
    """The whole of select on memory-mapped vectors of 128 dimensions, graph included, from small to large."""
    if not runner.wants("growth"):
        return
    for n in sizes.growth:
        spec = PoolSpec(n, 128, min(1000, n // 4))
        for name in strategies:
            job = Job("select", name, spec, min(sizes.budget, n // 20), mapped=True)
            runner.run("growth", job, at_least_s=GROWTH_LIMIT_S)
        runner.drop_pool(spec)
