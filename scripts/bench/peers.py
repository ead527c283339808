"""Other libraries' selections, each with its own best settings; imported only inside the process that measures it.

Each function prepares (learner, kernel, copy of the embeddings: reported as set-up) and returns the call that selects.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.pool import StoredPool
from bench.quality import margin_score

Array = npt.NDArray[Any]
Select = Callable[[], Sequence[Any]]
LADDER = (10_000, 50_000, 100_000, 300_000)


@dataclass(frozen=True)
class Task:
    """The same for every peer. pool.vectors are float32 here; labelled is empty where the peer cannot know labels."""

    pool: StoredPool
    labelled: Array
    budget: int


@dataclass(frozen=True)
class Peer:
    """One selection of another library. ours: the strategy it stands beside. note: what differs."""

    name: str
    module: str
    ours: str
    prepare: Callable[[Task], Select]
    knows_labels: bool = True
    needs_graph: bool = False
    note: str = ""

    @property
    def library(self) -> str:
        return self.name.split()[0]

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.module) is not None


def _prepare_mundig(task: Task, weights: Array | None = None) -> Select:
    import lightly_mundig

    selection = lightly_mundig.Selection()
    selection.add_diversifying_strategy(embeddings=task.pool.vectors, strength=1.0)
    if weights is not None:
        selection.add_weighting_strategy(weights=weights, strength=1.0)
    known = task.labelled.tolist()
    return lambda: selection.run_selection(known, len(task.pool.vectors), len(known) + task.budget)[len(known) :]


def _prepare_mundig_weighted(task: Task) -> Select:
    assert task.pool.probs is not None
    return _prepare_mundig(task, margin_score(task.pool.probs))


def _labels(task: Task) -> Array:
    y = np.full(len(task.pool.vectors), np.nan)
    y[task.labelled] = task.pool.classes
    return y


def _prepare_skactiveml(task: Task, name: str, *, with_classifier: bool = False, **settings: Any) -> Select:
    import skactiveml.pool

    query = getattr(skactiveml.pool, name)(random_state=0, **settings)
    extra = {"clf": _given_skactiveml(task), "fit_clf": False} if with_classifier else {}
    y = _labels(task)
    return lambda: query.query(task.pool.vectors, y, batch_size=task.budget, **extra)


def _given_skactiveml(task: Task) -> Any:
    """A classifier that looks the shared probabilities up, so that no peer's time holds a model."""
    from skactiveml.base import SkactivemlClassifier

    class Given(SkactivemlClassifier):  # type: ignore[misc]
        def fit(self, X: Array, y: Array, sample_weight: Array | None = None) -> Given:  # noqa: ARG002
            return self

        def predict_proba(self, X: Array) -> Array:
            return _look_up(task, len(X))

    return Given()


def _look_up(task: Task, n_asked: int) -> Array:
    """Peers ask for every row, or for the unlabelled ones in row order."""
    assert task.pool.probs is not None
    if n_asked == len(task.pool.probs):
        return task.pool.probs
    unlabelled = np.delete(task.pool.probs, task.labelled, axis=0)
    assert len(unlabelled) == n_asked
    return unlabelled


def _prepare_typiclust(task: Task) -> Select:
    from sklearn.cluster import MiniBatchKMeans

    return _prepare_skactiveml(task, "TypiClust", k=20, cluster_algo=MiniBatchKMeans)


def _prepare_modal(task: Task, module: str, function: str) -> Select:
    from modAL.models import ActiveLearner
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        def fit(self, X: Array, y: Array) -> Given:  # noqa: ARG002
            return self

        def predict_proba(self, X: Array) -> Array:
            return _look_up(task, len(X))

    known = task.labelled
    learner = ActiveLearner(Given(), X_training=task.pool.vectors[known], y_training=task.pool.classes)
    unlabelled = np.delete(np.arange(len(task.pool.vectors)), known)
    candidates = task.pool.vectors[unlabelled]
    ask = getattr(importlib.import_module(module), function)

    def select() -> Sequence[Any]:
        found = ask(learner, candidates, n_instances=task.budget)
        return list(unlabelled[found[0] if isinstance(found, tuple) else found])

    return select


def _prepare_submodlib(task: Task, mode: str) -> Select:
    from submodlib import FacilityLocationFunction

    neighbours = {"num_neighbors": 32} if mode == "sparse" else {}
    function = FacilityLocationFunction(
        n=len(task.pool.vectors), data=task.pool.vectors, mode=mode, metric="euclidean", **neighbours
    )
    return lambda: [row for row, _ in function.maximize(
        budget=task.budget, optimizer="LazyGreedy", stopIfZeroGain=False, stopIfNegativeGain=False, verbose=False,
        show_progress=False,
    )]  # fmt: skip


def _prepare_apricot(task: Task) -> Select:
    from apricot import FacilityLocationSelection
    from scipy.sparse import csr_matrix, identity

    graph, weights = task.pool.neighbours, task.pool.similarity
    assert graph is not None
    assert weights is not None
    n, k = graph.shape
    rows = np.repeat(np.arange(n), k)
    one_way = csr_matrix((np.maximum(weights, 0.0).ravel(), (rows, graph.ravel())), shape=(n, n))
    similarity = one_way.maximum(one_way.T).maximum(identity(n, format="csr")).astype(np.float64).tocsr()

    def select() -> Sequence[Any]:
        known = task.labelled if len(task.labelled) else None
        chooser = FacilityLocationSelection(task.budget, "precomputed", known, optimizer="lazy", random_state=0)
        return list(chooser.fit(similarity).ranking)

    return select


_SKA, _MODAL = "skactiveml", "modAL"
PEERS: tuple[Peer, ...] = (
    Peer("lightly-mundig diversity", "lightly_mundig", "k-center", _prepare_mundig),
    Peer("lightly-mundig diversity x weights", "lightly_mundig", "weighted-k-center", _prepare_mundig_weighted),
    Peer("scikit-activeml CoreSet", _SKA, "k-center", lambda t: _prepare_skactiveml(t, "CoreSet")),
    Peer("modAL ranked batch", _MODAL, "weighted-k-center",
         lambda t: _prepare_modal(t, "modAL.batch", "uncertainty_batch_sampling"), note="another objective"),
    Peer("scikit-activeml margin", _SKA, "margin", lambda t: _prepare_skactiveml(
        t, "UncertaintySampling", with_classifier=True, method="margin_sampling")),
    Peer("modAL margin", _MODAL, "margin", lambda t: _prepare_modal(t, "modAL.uncertainty", "margin_sampling")),
    Peer("scikit-activeml entropy", _SKA, "entropy", lambda t: _prepare_skactiveml(
        t, "UncertaintySampling", with_classifier=True, method="entropy")),
    Peer("modAL entropy", _MODAL, "entropy", lambda t: _prepare_modal(t, "modAL.uncertainty", "entropy_sampling")),
    Peer("scikit-activeml Badge", _SKA, "badge", lambda t: _prepare_skactiveml(t, "Badge", with_classifier=True)),
    Peer("scikit-activeml TypiClust", _SKA, "typiclust", _prepare_typiclust),
    Peer("scikit-activeml ProbCover", _SKA, "probcover",
         lambda t: _prepare_skactiveml(t, "ProbCover", n_classes=int(t.pool.classes.max()) + 1)),
    Peer("scikit-activeml MaxHerding", _SKA, "max-herding", lambda t: _prepare_skactiveml(t, "MaxHerding")),
    Peer("submodlib facility location, dense", "submodlib", "facility-location",
         lambda t: _prepare_submodlib(t, "dense"), knows_labels=False, note="cannot know labels: both without"),
    Peer("submodlib facility location, sparse", "submodlib", "facility-location",
         lambda t: _prepare_submodlib(t, "sparse"), knows_labels=False, note="cannot know labels: both without"),
    Peer("apricot facility location", "apricot", "facility-location", _prepare_apricot, needs_graph=True,
         note="on our graph"),
)  # fmt: skip


def find_peer(name: str) -> Peer:
    return next(peer for peer in PEERS if peer.name == name)
