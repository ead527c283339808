"""How good a model is on the test half."""

from __future__ import annotations

import numpy as np

from activesel.records import FloatArray, IntArray


def score_model(probs: FloatArray, classes: IntArray) -> dict[str, float]:
    """Return macro-F1, balanced accuracy, mean average precision over classes and recall per class, all 0..1.

    probs: (t, c). classes: (t,), of which every class 0..c-1 has one at least. Names of the recalls: "recall:<class>".
    """
    from sklearn.metrics import average_precision_score, f1_score, recall_score

    n_classes = probs.shape[1]
    said = probs.argmax(axis=1)
    labels = np.arange(n_classes)
    recall = recall_score(classes, said, labels=labels, average=None, zero_division=0)
    precision = [average_precision_score(classes == number, probs[:, number]) for number in labels]
    return {
        "macro_f1": float(f1_score(classes, said, labels=labels, average="macro", zero_division=0)),
        "balanced_accuracy": float(np.mean(recall)),
        "auprc": float(np.mean(precision)),
    } | {f"recall:{number}": float(value) for number, value in enumerate(recall)}
