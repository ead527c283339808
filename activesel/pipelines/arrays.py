"""The Python API on plain arrays: no files, no workspace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from activesel.errors import DataError, UsageError
from activesel.pipelines.choose import choose
from activesel.pipelines.machine import parse_bytes, pick_device
from activesel.pipelines.request import Request
from activesel.records import IntArray, KnnGraph, Picks, Quota
from activesel.uncertainty import check_probs
from activesel.vectors import check_vectors

_AROUND = ("mc_probs", "uncertainty", "exemplars", "focus",
           "candidates", "held_out", "quotas", "cost", "near_duplicate",
           "group_cap", "explore", "evaluation", "neighbours", "graph", "class_names", "device", "memory_limit",
           "partitions")  # fmt: skip


def select(
    vectors: npt.ArrayLike,
    *,
    budget: float,
    probs: npt.ArrayLike | None = None,
    labelled: npt.ArrayLike | None = None,
    classes: npt.ArrayLike | None = None,
    strategy: str = "default",
    seed: int = 0,
    **options: Any,
) -> Picks:
    """Choose the rows most worth labelling.

    Args:
        vectors: (n, d) float, one row per image, labelled ones included; normalised here if they are not unit rows.
        budget: how many rows to pick; with ``cost``, how much to spend.
        probs: (n, c) class probabilities of your model. Without them a linear head is fitted to the labels.
        labelled: (m,) row numbers that have labels already; never picked.
        classes: (m,) class index of each labelled row, 0..c-1.
        strategy: a name of ``activesel strategies``.
        seed: same inputs and seed, same picks.
        options: the strategy's own options, and around any strategy: ``mc_probs`` (n, t, c) for BALD, ``exemplars``
            (q, d) or row numbers (q,), ``focus`` (the class index that they show), ``candidates`` (n,) bool, ``cost``
            (n,) > 0, ``quotas`` (Quota, ...), ``near_duplicate`` (cosine) with ``group_cap``, ``explore`` and
            ``evaluation`` shares 0..1, ``neighbours`` of the graph, ``class_names``; ``device`` ("auto", "cpu",
            "cuda:1"), ``memory_limit`` ("4GB") and ``partitions``: docs/planning.md.

    Returns:
        Picks: rows (b,) in the order of choosing, gain (b,), reasons (b,), propensity (b,), stands_for (n,), notes.

    Raises:
        DataError: an array of the wrong shape, not finite, rows out of range or twice, probabilities that do not sum
            to 1, a budget below 1 or above the candidates.
        UsageError: an unknown strategy or option, one that needs what is not there, a device that is not there, or
            more memory than ``memory_limit``.

    >>> rng = np.random.default_rng(0)
    >>> select(rng.normal(size=(100, 8)), budget=3, strategy="k-center").rows.shape
    (3,)
    """
    checked = check_vectors(np.asarray(vectors), "vectors")
    around = {"device": "auto"} | {name: options.pop(name) for name in _AROUND if options.get(name) is not None}
    for name in [name for name in _AROUND if name in options]:
        del options[name]
    n = len(checked)
    rows, known = _check_labels(labelled, classes, n)
    given = None if probs is None else check_probs(probs, n, "probs")
    n_classes = _count_classes(known, given)
    spent = check_budget(budget, whole="cost" not in around)
    request = Request(
        checked, spent, strategy, tuple(options.items()), seed, labelled=rows, classes=known,
        n_classes=n_classes, probs=given, **_check_around(around, checked, n_classes),
    )  # fmt: skip
    return choose(request).picks


def check_budget(budget: float, *, whole: bool = False) -> float:
    """Return the budget if it is a finite number above 0. whole: it counts images, so it has no fraction."""
    if not np.isfinite(budget) or budget <= 0:
        raise DataError("the budget must be above 0", found=f"{budget:g}", hint="for example --budget 200")
    if whole and budget != int(budget):
        raise DataError("the budget is a number of images", found=f"{budget:g}", expected="a whole number",
                        hint="with --cost it may have a fraction")  # fmt: skip
    return float(budget)


def check_rows(rows: npt.ArrayLike, n: int, where: str) -> npt.NDArray[np.int64]:
    """Return row numbers that are whole, inside 0..n-1 and each there once."""
    values = np.asarray(rows)
    if values.ndim != 1 or (values.size and values.dtype.kind not in "iu"):
        raise DataError("row numbers must be one axis of integers", where=where,
                        found=f"{values.dtype} {values.shape}")  # fmt: skip
    checked = values.astype(np.int64)
    outside = (checked < 0) | (checked >= n)
    if outside.any():
        raise DataError("a row number is not in the pool", where=where, found=str(checked[outside][0]),
                        expected=f"0..{n - 1}")  # fmt: skip
    unique, counts = np.unique(checked, return_counts=True)
    if (counts > 1).any():
        raise DataError("a row number is there twice", where=where, found=str(unique[counts > 1][0]))
    return checked


def _check_labels(
    labelled: npt.ArrayLike | None, classes: npt.ArrayLike | None, n: int
) -> tuple[IntArray | None, IntArray | None]:
    if labelled is None:
        if classes is not None:
            raise UsageError("classes without labelled", expected="the row number of each class")
        return None, None
    rows = check_rows(labelled, n, "labelled")
    if classes is None:
        return rows, None
    known = np.asarray(classes)
    if known.shape != rows.shape or (known.size and known.dtype.kind not in "iu"):
        raise DataError("classes do not fit labelled", found=f"{known.dtype} {known.shape}",
                        expected=f"integers {rows.shape}")  # fmt: skip
    if known.size and known.min() < 0:
        raise DataError("a class index is negative", where="classes", found=str(known.min()), expected="0..c-1")
    return rows, known.astype(np.int64)


def _count_classes(classes: IntArray | None, probs: npt.NDArray[np.float32] | None) -> int:
    n_known = int(classes.max()) + 1 if classes is not None and len(classes) else 0
    if probs is not None and n_known > probs.shape[1]:
        raise DataError("a class index has no column in probs", found=str(n_known - 1),
                        expected=f"0..{probs.shape[1] - 1}")  # fmt: skip
    return n_known if probs is None else int(probs.shape[1])


def _check_around(around: dict[str, Any], vectors: npt.NDArray[Any], n_classes: int) -> dict[str, Any]:
    """Check what surrounds a strategy; every array has one check, named like the field."""
    assert set(_AROUND) <= {field.name for field in fields(Request)}
    n = len(vectors)
    n_classes = max([n_classes, *np.shape(around.get("mc_probs", ()))[2:]])
    checks: dict[str, Callable[[Any], Any]] = {
        "mc_probs": lambda values: _check_mc_probs(values, n),
        "uncertainty": lambda values: _check_uncertainty(values, n),
        "exemplars": lambda values: _check_exemplars(values, vectors),
        "focus": lambda number: _check_focus(number, n_classes),
        "candidates": lambda values: _check_mask(values, n),
        "held_out": lambda values: check_rows(values, n, "held_out"),
        "cost": lambda values: _check_cost(values, n),
        "quotas": lambda quotas: tuple(_check_quota(quota, n) for quota in quotas),
        "graph": lambda graph: _check_graph(graph, n),
        "class_names": lambda names: _check_class_names(tuple(names), n_classes),
        "partitions": int,
        "device": lambda name: pick_device(str(name), "device"),
        "memory_limit": lambda amount: parse_bytes(amount, "memory_limit"),
    }
    _check_numbers(around)
    return {name: checks[name](value) if name in checks else value for name, value in around.items()}


def _check_numbers(around: dict[str, Any]) -> None:
    for name, least in (("group_cap", 0), ("neighbours", 1), ("partitions", 1)):
        if name in around and (around[name] != int(around[name]) or around[name] < least):
            what = "parts" if name == "partitions" else "images"
            raise DataError(f"{name} is a number of {what}", found=str(around[name]), expected=f"{least} or more")
    if not 0 <= float(around.get("near_duplicate", 0.0)) <= 1:
        raise DataError("near_duplicate is a cosine", found=str(around["near_duplicate"]), expected="0..1, 0 = off")
    for share in ("explore", "evaluation"):
        if not 0 <= float(around.get(share, 0.0)) <= 1:
            raise DataError(f"{share} is a share of the budget", found=str(around[share]), expected="0..1")
    if around.get("explore", 0.0) + around.get("evaluation", 0.0) > 1:
        raise DataError("explore and evaluation together are more than the budget", expected="a sum up to 1")


def _check_class_names(names: tuple[str, ...], n_classes: int) -> tuple[str, ...]:
    if len(names) < n_classes:
        raise DataError("fewer class names than classes", where="class_names", found=str(len(names)),
                        expected=f"{n_classes} or more")  # fmt: skip
    return names


def _check_graph(graph: KnnGraph, n: int) -> KnnGraph:
    shape = graph.neighbours.shape
    if len(shape) != 2 or shape[0] != n or graph.similarity.shape != shape:
        raise DataError("the graph does not fit the rows", where="graph", found=f"{shape}, {graph.similarity.shape}",
                        expected=f"({n}, k) twice")  # fmt: skip
    return graph


def _check_mc_probs(values: npt.ArrayLike, n: int) -> npt.NDArray[np.float32]:
    array = np.asarray(values)
    if array.ndim != 3 or len(array) != n:
        raise DataError("mc_probs need images, samples and classes", where="mc_probs", found=f"shape {array.shape}",
                        expected=f"shape ({n}, t, c)")  # fmt: skip
    return check_probs(array.reshape(-1, array.shape[2]), None, "mc_probs").reshape(array.shape)


def _check_uncertainty(values: npt.ArrayLike, n: int) -> npt.NDArray[np.float32]:
    scores = np.asarray(values, dtype=np.float32)
    if scores.shape != (n,) or not ((scores >= 0) & (scores <= 1)).all():
        raise DataError("uncertainty is one number 0..1 per row", where="uncertainty", found=f"shape {scores.shape}",
                        expected=f"({n},), 0..1")  # fmt: skip
    return scores


def _check_quota(quota: Quota, n: int) -> Quota:
    n_values = len(quota.high)
    fits = quota.codes.shape == (n,) and quota.low.shape == quota.high.shape == (n_values,)
    if not fits or (n and (quota.codes.min() < -1 or quota.codes.max() >= n_values)):
        raise DataError("a quota does not fit the rows", where=quota.name,
                        found=f"codes {quota.codes.shape}, low {quota.low.shape}, high {quota.high.shape}",
                        expected=f"codes ({n},) from -1 to below {n_values}, low and high ({n_values},)")  # fmt: skip
    return quota


def _check_exemplars(values: npt.ArrayLike, vectors: npt.NDArray[Any]) -> npt.NDArray[Any]:
    array = np.asarray(values)
    if array.ndim == 1 and array.dtype.kind in "iu":
        return np.asarray(vectors[check_rows(array, len(vectors), "exemplars")])
    checked = check_vectors(array, "exemplars")
    if checked.shape[1] != vectors.shape[1]:
        raise DataError("exemplars have another width than the vectors", found=str(checked.shape[1]),
                        expected=str(vectors.shape[1]))  # fmt: skip
    return checked


def _check_focus(number: Any, n_classes: int) -> int:
    """Return a class index; one that no label has yet is -1."""
    if number != int(number) or number < 0:
        raise DataError("focus is a class index", found=repr(number), expected="0..c-1")
    return int(number) if number < n_classes else -1


def _check_mask(values: npt.ArrayLike, n: int) -> npt.NDArray[np.bool_]:
    mask = np.asarray(values)
    if mask.dtype != bool or mask.shape != (n,):
        raise DataError("candidates is one true or false per row", found=f"{mask.dtype} {mask.shape}",
                        expected=f"bool ({n},)")  # fmt: skip
    return mask


def _check_cost(values: npt.ArrayLike, n: int) -> npt.NDArray[np.float64]:
    cost = np.asarray(values, dtype=np.float64)
    if cost.shape != (n,) or not np.isfinite(cost).all() or (cost <= 0).any():
        raise DataError("cost is one number above 0 per row", where="cost", found=f"shape {cost.shape}",
                        expected=f"({n},), finite, > 0")  # fmt: skip
    return cost
