"""What counts for an image, from the opinions about it; leaves it to an expert where people differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from activesel.annotations import Annotation, LabelState, Resolution, Role

PEOPLE = frozenset({Role.annotator, Role.expert})
DECIDED = frozenset({LabelState.adjudicated, LabelState.rejected, LabelState.synthetic})  # no annotator changes these
BLIND, FINAL = "blind", "final"  # an expert's verdict before and after seeing the others' answers
REVIEW, ADJUDICATION = "review", "adjudication"  # sources of what experts decide: the page, `activesel adjudicate`


def phase_of(one: Annotation) -> str:
    """Return BLIND or FINAL of an expert's verdict; whatever did not come from the review page is final."""
    return BLIND if one.source == REVIEW and one.external_id.startswith(f"{BLIND}:") else FINAL


def is_verdict(one: Annotation) -> bool:
    """Tell whether an expert decided by it, here or by `activesel adjudicate`; an imported opinion is one of many."""
    return one.role is Role.expert and one.source in (REVIEW, ADJUDICATION) and phase_of(one) == FINAL


def name_wholes(opinions: Sequence[Annotation], good: str | None = None) -> list[Annotation]:
    """Return the opinions, each with a class of the whole image where one follows from it.

    Of shapes alone follows the class of those that the fewest of these opinions hold, the first by name among equals:
    a rare defect next to common ones is what a budget is for. Of nothing at all, and not skipped, follows ``good``.
    """
    counts = Counter(name for one in opinions for name in {shape.name for shape in one.shapes})
    return [one if one.name is not None or one.skipped else replace(one, name=_rarest(one, counts) or good)
            for one in opinions]  # fmt: skip


def _rarest(one: Annotation, counts: Mapping[str, int]) -> str | None:
    return min({shape.name for shape in one.shapes}, key=lambda name: (counts[name], name), default=None)


def settle(opinions: Sequence[Annotation], present: Resolution | None = None) -> Resolution:
    """Return what counts for one image of which these are all opinions, oldest first, wholes named.

    An expert's last verdict counts, a skip as a rejection. Without one, the newest opinion of each annotator or expert;
    gold, models and rules do not, nor does what an expert thought before seeing the others' answers. One person's class
    is raw; two or more of one mind agree; people who differ, or who all skipped, leave no class. What was decided
    elsewhere or made, and a weak label that nobody has looked at, stay as they are.
    """
    assert opinions, "no opinion"
    image_id = opinions[0].image_id
    assert all(one.image_id == image_id for one in opinions), "opinions about several images"
    if present is not None and present.state is LabelState.synthetic:
        return present
    verdicts = [one for one in opinions if is_verdict(one)]
    if verdicts:
        state = LabelState.rejected if verdicts[-1].skipped else LabelState.adjudicated
        return Resolution(image_id, verdicts[-1].name, state, by=verdicts[-1].annotator)
    newest = newest_by_person(opinions)
    if present is not None and (present.state in DECIDED or not newest):
        return present
    votes = {one.annotator: one.name for one in newest if not one.skipped}
    if len(set(votes.values())) != 1:
        return Resolution(image_id, None, LabelState.raw)
    (person, name), *others = votes.items()
    if others and name is not None:
        return Resolution(image_id, name, LabelState.agreed, by="consensus")
    return Resolution(image_id, name, LabelState.raw, by=person if name is not None else "")


def newest_by_person(opinions: Iterable[Annotation]) -> list[Annotation]:
    """Return each annotator's and expert's last opinion: the latest created, of those without a time the last given.

    A blind verdict is none before it is final.
    """
    people = (one for one in opinions if one.role in PEOPLE and phase_of(one) == FINAL)
    by_time = sorted(people, key=lambda one: one.created)  # stable; ISO 8601 in UTC sorts as time does
    return list({one.annotator: one for one in by_time}.values())
