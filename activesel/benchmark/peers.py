"""Other libraries' strategies by name, on the same vectors, labels and probabilities as ours; imported where used."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from activesel import __version__
from activesel.benchmark.trial import Chooser, Round, choose_with
from activesel.errors import UsageError
from activesel.records import FloatArray, IntArray
from activesel.uncertainty import score_margin

_UNCERTAINTY = {"margin": "margin_sampling", "entropy": "entropy", "least-confidence": "least_confident"}
_QUERIES = ("CoreSet", "TypiClust", "MaxHerding", "ProbCover", "Badge")
PEERS = (
    *(f"ska:{name}" for name in (*_QUERIES, *_UNCERTAINTY)),
    "mundig:diversity", "mundig:diversity-margin",
)  # fmt: skip
_MODULES = {"ska": ("skactiveml", "scikit-activeml"), "mundig": ("lightly_mundig", "lightly-mundig")}


def find_chooser(text: str) -> Chooser:
    """Return what picks by this name: a strategy of ours, "ska:CoreSet" (scikit-activeml) or "mundig:diversity".

    Ours may have options: "default/bandwidth=0.3/sharpness=2".

    Raises:
        UsageError: no such name or option, one that needs exemplars, or a library that is not installed.
    """
    name, *settings = text.split("/")
    if ":" not in name:
        return _find_ours(name, settings, text)
    if settings:
        raise UsageError("a peer runs with its own defaults and has no options", found=repr(text), expected=name)
    if name not in PEERS:
        raise UsageError("unknown peer", found=repr(name), expected=", ".join(PEERS))
    library, query = name.split(":")
    module, package = _MODULES[library]
    if importlib.util.find_spec(module) is None:
        raise UsageError(f"{name} needs {package}", hint="pip install 'activesel[bench]'")
    ask: Callable[[Round, str], IntArray] = {"ska": _ask_skactiveml, "mundig": _ask_mundig}[library]
    return lambda shown: ask(shown, query)


def version_of(text: str) -> str:
    """Return what a trial of this strategy depends on beside its data: "activesel 0.1.0", "scikit-activeml 1.0.0"."""
    package = _MODULES[text.split(":")[0]][1] if ":" in text else "activesel"
    return f"{package} {importlib.metadata.version(package) if ':' in text else __version__}"


def _find_ours(name: str, settings: Sequence[str], text: str) -> Chooser:
    import yaml

    from activesel.strategies import find_strategy

    strategy = find_strategy(name)
    if "exemplars" in strategy.needs:
        raise UsageError("needs exemplars, which a benchmark has none of", where=f"--strategies {text}")
    options: dict[str, object] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not (key and equals and value):
            raise UsageError("cannot read an option", where=f"--strategies {text}", expected="NAME/KEY=VALUE")
        try:
            options[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UsageError("cannot read an option's value", where=f"--strategies {text}", found=repr(value)) from None
    strategy.check_options(options)
    for key, given in options.items():
        usual = strategy.options[key]
        if isinstance(usual, int | float) and not isinstance(given, int | float):
            raise UsageError(f"option {key} is a number", where=f"--strategies {text}", found=repr(given),
                             expected=f"such as {usual}")  # fmt: skip
    return choose_with(name, tuple(options.items()))


def _ask_mundig(shown: Round, query: str) -> IntArray:
    import lightly_mundig

    selection = lightly_mundig.Selection()
    selection.add_diversifying_strategy(embeddings=shown.vectors.astype(np.float32), strength=1.0)
    if query == "diversity-margin":
        weights = score_margin(_probs(shown)).astype(np.float32)
        selection.add_weighting_strategy(weights=weights, strength=1.0)
    known = shown.labelled.tolist()
    found = selection.run_selection(known, len(shown.vectors), len(known) + shown.batch)
    return np.array(found[len(known) :])


def _ask_skactiveml(shown: Round, query: str) -> IntArray:
    import skactiveml.pool

    y = np.full(len(shown.vectors), np.nan)
    y[shown.labelled] = shown.classes
    if query in _UNCERTAINTY:
        asked: Any = skactiveml.pool.UncertaintySampling(method=_UNCERTAINTY[query], random_state=shown.seed)
    else:
        settings = {"n_classes": shown.n_classes} if query == "ProbCover" else {}
        asked = getattr(skactiveml.pool, query)(random_state=shown.seed, **settings)
    extra = {"clf": _given_classifier(shown), "fit_clf": False} if query in (*_UNCERTAINTY, "Badge") else {}
    return np.asarray(asked.query(shown.vectors, y, batch_size=shown.batch, **extra))


def _given_classifier(shown: Round) -> Any:
    """Return a classifier that looks the round's probabilities up: every strategy sees the same model."""
    from skactiveml.base import SkactivemlClassifier

    probs = _probs(shown).astype(np.float64)

    class Given(SkactivemlClassifier):  # type: ignore[misc]
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Given:  # noqa: ARG002
            return self

        def predict_proba(self, X: Any) -> Any:
            """Asked for every row, or for the unlabelled ones in row order."""
            asked = probs if len(X) == len(probs) else np.delete(probs, shown.labelled, axis=0)
            assert len(asked) == len(X), "scikit-activeml asked for rows that cannot be told"
            return asked

    return Given()


def _probs(shown: Round) -> FloatArray:
    """The model's, or the same for every class where there is no model yet: the peer then goes by its own ties."""
    if shown.probs is not None:
        return shown.probs
    return np.full((len(shown.vectors), shown.n_classes), 1.0 / shown.n_classes, np.float32)
