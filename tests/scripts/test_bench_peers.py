"""Each peer on a tiny pool, as the benchmark calls it; skipped where the extra [bench] is not installed."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from bench.gpu_graph import brute_force_graph
from bench.peers import PEERS, Peer, Task
from bench.pool import StoredPool, make_pool
from bench.quality import k_center_radius, margin_score

from activesel.strategies import strategy_names

BUDGET = 6


@pytest.fixture(scope="module")
def pool() -> StoredPool:
    vectors, labelled, _ = make_pool(240, 24, 12)
    probs = np.random.default_rng(0).dirichlet(np.ones(3), size=240).astype(np.float32)
    return StoredPool(vectors, labelled, np.arange(12) % 3, probs, *brute_force_graph(vectors, 8, "cpu"))


def select(peer: Peer, pool: StoredPool) -> np.ndarray:
    labelled = pool.labelled if peer.knows_labels else np.empty(0, np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the peers, about their own dependencies
        return np.asarray(peer.prepare(Task(pool, labelled, BUDGET))(), np.int64)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_peer_gives_distinct_unlabelled_rows(peer: Peer, pool: StoredPool) -> None:
    if not peer.installed:
        pytest.skip(f"{peer.library} is in the extra [bench]")
    rows = select(peer, pool)
    assert rows.shape == (BUDGET,)
    assert ((rows >= 0) & (rows < 240)).all()
    assert len(np.unique(rows)) == BUDGET
    if peer.knows_labels:
        assert not np.isin(rows, pool.labelled).any()


@pytest.mark.parametrize("name", ["scikit-activeml margin", "modAL margin"])
def test_peer_sees_the_shared_probabilities(name: str, pool: StoredPool) -> None:
    peer = next(peer for peer in PEERS if peer.name == name)
    if not peer.installed:
        pytest.skip(f"{peer.library} is in the extra [bench]")
    assert pool.probs is not None
    score = margin_score(pool.probs)
    score[pool.labelled] = -1
    assert set(select(peer, pool)) == set(np.argsort(-score)[:BUDGET])


def test_k_center_peer_reaches_greedys_radius(pool: StoredPool) -> None:
    peer = PEERS[0]
    if not peer.installed:
        pytest.skip(f"{peer.library} is in the extra [bench]")
    known = list(pool.labelled)
    for _ in range(BUDGET):
        known.append(int((2 - 2 * pool.vectors @ pool.vectors[known].T).min(axis=1).argmax()))
    theirs = np.concatenate([pool.labelled, select(peer, pool)])
    assert k_center_radius(pool.vectors, theirs) == pytest.approx(k_center_radius(pool.vectors, np.array(known)))


def test_peers_stand_beside_strategies_that_exist() -> None:
    assert {peer.ours for peer in PEERS} <= set(strategy_names())
    assert len({peer.name for peer in PEERS}) == len(PEERS)
