"""The images of a batch as an annotation tool is to see them, cut to what its format can hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from activesel.annotations import Annotation, Box, Mask, Polygon, Shape

_KINDS: dict[type[Shape], str] = {Box: "box", Polygon: "polygon", Mask: "mask"}


@dataclass(frozen=True)
class Item:
    """One image. path: absolute. name: the end of it that no other known image has. url: where the tool finds it.

    width, height: pixels, 0 if unknown. opinions: what people said. prelabel: what a model says, None for the blind
    arm. arm: a Task's prelabel.
    """

    image_id: str
    path: str
    name: str
    url: str
    width: int
    height: int
    opinions: tuple[Annotation, ...] = ()
    prelabel: Annotation | None = None
    arm: str = ""


@dataclass(frozen=True)
class Sheet:
    """classes: in the order that gives them their numbers in formats that number them."""

    items: tuple[Item, ...]
    classes: tuple[str, ...]
    batch_id: str = ""


def fit(sheet: Sheet, holds: frozenset[str]) -> tuple[Sheet, Counter[str]]:
    """Return the sheet without what a format cannot hold, and counts of what was left out.

    holds: of "name", "box", "polygon", "mask", "skipped", "empty" (that nothing is there), "several" (opinions on an
    image), "prediction" (a pre-label beside opinions; where there is no place for it, it stands in for an opinion). An
    opinion of which nothing remains is left out whole: without its only class it would read as "nothing is there".
    """
    left_out: Counter[str] = Counter()
    items = tuple(_fit_item(item, holds, left_out) for item in sheet.items)
    return replace(sheet, items=items), left_out


def _fit_item(item: Item, holds: frozenset[str], left_out: Counter[str]) -> Item:
    opinions, prelabel = item.opinions, item.prelabel
    if "prediction" not in holds:
        opinions, prelabel = opinions or ((prelabel,) if prelabel else ()), None
    if "several" not in holds and len(opinions) > 1:
        left_out["opinion"] += len(opinions) - 1
        opinions = opinions[-1:]
    kept = (_fit_opinion(one, holds, left_out) for one in opinions)
    fitted = _fit_opinion(prelabel, holds, left_out) if prelabel else None
    return replace(item, opinions=tuple(one for one in kept if one), prelabel=fitted)


def _fit_opinion(one: Annotation, holds: frozenset[str], left_out: Counter[str]) -> Annotation | None:
    shapes = tuple(shape for shape in one.shapes if _KINDS[type(shape)] in holds)
    left_out.update(_KINDS[type(shape)] for shape in one.shapes if _KINDS[type(shape)] not in holds)
    name = one.name if "name" in holds else None
    if name != one.name:
        left_out["name"] += 1
    said = "skipped" if one.skipped else "empty" if one.name is None and not one.shapes else "something"
    if not shapes and name is None and (said not in holds):
        left_out["opinion"] += 1
        return None
    return replace(one, shapes=shapes, name=name)
