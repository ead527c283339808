"""What became known of images after they were judged: labels of people, and what the line reported later."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from activesel.catalog import Catalog
from activesel.errors import DataError

# An operator who sees the model's verdict is no truth about it (docs/serving.md), so overrides are not among them.
EVENTS = ("rework.result", "downstream.return")


@dataclass(frozen=True)
class Truth:
    """Whether there is a defect, by prediction and by image, as the catalog or the line names it."""

    by_prediction: Mapping[str, bool]
    by_image: Mapping[str, bool]
    n_contradicting: int = 0


def read_truth(catalog: Catalog, model_id: str, image_ids: Collection[str]) -> Truth:
    """Return what is known. model_id: whose card names the class without a defect.

    Raises:
        DataError: the card names none.
    """
    good = next((card.good for card in catalog.models.cards() if card.model_id == model_id), None)
    if good is None:
        raise DataError("which class is without a defect is not known", where=f"model {model_id}",
                        hint="set embedding.good and train again")  # fmt: skip
    labels = {image_id: name != good for image_id, name in catalog.labels_of(sorted(image_ids)).items()}
    by_prediction: dict[str, bool] = {}
    by_image: dict[str, bool] = {}
    contradicting: set[str] = set()
    for event in _events(catalog):
        defective = event.type == "downstream.return" or event.data.get("result") == "fault_found"
        for known, key in ((by_prediction, event.prediction_id), (by_image, event.image_id)):
            if not key:
                continue
            if known.get(key, defective) is not defective or labels.get(key, defective) is not defective:
                contradicting.add(key)
            known[key] = known.get(key, False) or defective  # a fault that was found once was there
    return Truth(by_prediction, by_image | labels, len(contradicting))


def _events(catalog: Catalog) -> Iterator[Any]:
    yield from catalog.events.read(EVENTS)
