"""What a batch's images show, by all that was said about them, with what is known of gold images and from experts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.consensus import Opinions, reach_consensus
from activesel.pipelines.batch_opinions import BatchOpinions, encode, verdict_of


@dataclass(frozen=True)
class Agreed:
    """place: image id -> row of posterior (n, c). confusion: (r, c, c) of the annotators, first true, then said."""

    classes: tuple[str, ...]
    place: dict[str, int]
    posterior: npt.NDArray[np.float64]
    annotators: tuple[str, ...]
    confusion: npt.NDArray[np.float64]

    def name_of(self, image_id: str) -> str:
        return self.classes[int(self.posterior[self.place[image_id]].argmax())]

    def confidence_in(self, image_id: str, name: str) -> float:
        return float(self.posterior[self.place[image_id], self.classes.index(name)])


def agree(opinions: BatchOpinions) -> Agreed:
    """Weigh every opinion about the batch and about gold images by how reliable its annotator proves to be."""
    said = [(image_id, annotator, verdict_of(one, opinions.good))
            for group in (opinions.people, opinions.gold_said) for image_id, of_image in group.items()
            for annotator, one in of_image.items() if not one.skipped]  # fmt: skip
    truths = {**{i: name for i, name in opinions.known.items() if i in opinions.gold_said}, **_decided(opinions)}
    images = list(dict.fromkeys(image_id for image_id, _, _ in said))
    annotators = tuple(sorted({annotator for _, annotator, _ in said}))
    classes = tuple(sorted({opinions.good, *(name for _, _, name in said), *truths.values()}))
    known = np.array([classes.index(truths[i]) if i in truths else -1 for i in images], np.int64)
    columns = Opinions(encode((i for i, _, _ in said), images), encode((a for _, a, _ in said), annotators),
                       encode((name for _, _, name in said), classes), len(images), len(annotators),
                       len(classes))  # fmt: skip
    found = reach_consensus(columns, known=known)
    return Agreed(classes, {image_id: row for row, image_id in enumerate(images)}, found.posterior, annotators,
                  found.confusion)  # fmt: skip


def _decided(opinions: BatchOpinions) -> dict[str, str]:
    """What experts decided: the truth that annotators are measured by, as gold is."""
    return {i: one.name for i, one in opinions.resolved.items()
            if one.state == "adjudicated" and one.name is not None and i in opinions.people}  # fmt: skip
