"""What a batch's images show, by all that was said about them, with what is known of gold images and from experts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from activesel.consensus import Opinions, reach_consensus
from activesel.pipelines.batch_opinions import BatchOpinions, encode, verdict_of


@dataclass(frozen=True)
class Agreed:
    """place: image id -> row of posterior (n, c). confusion: (r, c, c) of the annotators, first true, then said.

    prevalence: (c,) of the classes.
    """

    classes: tuple[str, ...]
    place: dict[str, int]
    posterior: npt.NDArray[np.float64]
    annotators: tuple[str, ...]
    confusion: npt.NDArray[np.float64]
    prevalence: npt.NDArray[np.float64]

    def name_of(self, image_id: str) -> str:
        return self.classes[int(self.posterior[self.place[image_id]].argmax())]

    def confidence_in(self, image_id: str, name: str) -> float:
        return float(self.posterior[self.place[image_id], self.classes.index(name)])


def agree(opinions: BatchOpinions, trust: float = 0.0) -> Agreed:
    """Weigh every opinion about the batch and about gold images by how reliable its annotator proves to be.

    trust: how far a model's word about an image counts before anybody speaks, 0..1 (quality.model_weight).
    """
    said = [(image_id, annotator, verdict_of(one, opinions.good))
            for group in (opinions.people, opinions.gold_said) for image_id, of_image in group.items()
            for annotator, one in of_image.items() if not one.skipped]  # fmt: skip
    truths = {**{i: name for i, name in opinions.known.items() if i in opinions.gold_said}, **_decided(opinions)}
    images = list(dict.fromkeys(image_id for image_id, _, _ in said))
    annotators = tuple(sorted({annotator for _, annotator, _ in said}))
    believed = {i: one for i, one in believe_model(opinions).items() if trust}
    classes = tuple(sorted({opinions.good, *(name for _, _, name in said), *truths.values(),
                            *(name for i, (name, _) in believed.items() if i in opinions.people)}))  # fmt: skip
    known = np.array([classes.index(truths[i]) if i in truths else -1 for i in images], np.int64)
    columns = Opinions(encode((i for i, _, _ in said), images), encode((a for _, a, _ in said), annotators),
                       encode((name for _, _, name in said), classes), len(images), len(annotators),
                       len(classes))  # fmt: skip
    found = reach_consensus(columns, known=known, prior=_prior(believed, images, classes), trust=trust)
    return Agreed(classes, {image_id: row for row, image_id in enumerate(images)}, found.posterior, annotators,
                  found.confusion, found.prevalence)  # fmt: skip


def believe_model(opinions: BatchOpinions) -> dict[str, tuple[str, float]]:
    """Return image id -> a model's class and how sure it is, where that may count as an opinion of its own.

    The newest pre-label, else what the batch was chosen by. Not of evaluation images, whose labels measure models; not
    where somebody had the pre-label before them, since their opinion holds it already; not of gold.
    """
    said = {i: (one.predicted, one.probability) for i, one in opinions.picks.items()}
    said |= {i: (one.name, one.score) for i, one in opinions.models.items()}
    return {i: (name, chance) for i, (name, chance) in said.items()
            if name is not None and chance is not None and i in opinions.picks and i not in opinions.known
            and opinions.picks[i].kind != "evaluation" and not _was_shown(opinions, i)}  # fmt: skip


def _was_shown(opinions: BatchOpinions, image_id: str) -> bool:
    task = opinions.tasks.get(image_id)
    said = opinions.people.get(image_id, {}).values()
    return any((one.prelabel or (task.prelabel if task else "")) == "shown" for one in said)


def _prior(
    believed: dict[str, tuple[str, float]], images: list[str], classes: tuple[str, ...]
) -> npt.NDArray[np.float64] | None:  # fmt: skip
    """Return (n, c) chances, what is left of a class's spread evenly over the others; NaN where no model spoke."""
    if not believed:
        return None
    prior = np.full((len(images), len(classes)), np.nan)
    place = {name: number for number, name in enumerate(classes)}
    for row, image_id in enumerate(images):
        if image_id in believed:
            name, chance = believed[image_id]
            prior[row] = (1 - chance) / max(1, len(classes) - 1)
            prior[row, place[name]] = chance
    return prior


def _decided(opinions: BatchOpinions) -> dict[str, str]:
    """What experts decided: the truth that annotators are measured by, as gold is."""
    return {i: one.name for i, one in opinions.resolved.items()
            if one.state == "adjudicated" and one.name is not None and i in opinions.people}  # fmt: skip
