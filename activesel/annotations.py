"""What somebody, or something, said about one image: a class, shapes, or why nothing could be said.

The one internal type that every annotation format is read into and written from. Coordinates are pixels of the image
as stored (its EXIF orientation ignored): x to the right, y down, the image's top left corner is (0, 0).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """Who spoke. Only the first two are people at work; gold is a known answer that people are measured by."""

    annotator = "annotator"
    expert = "expert"
    gold = "gold"
    model = "model"
    rule = "rule"


class LabelState(StrEnum):
    """How far an image's label can be trusted.

    raw: one opinion, or several that nobody has reconciled. agreed: several people of one mind. adjudicated: an expert
    decided. rejected: not to be used. weak: from rules or a model, never for evaluation. synthetic: as its image.
    """

    raw = "raw"
    agreed = "agreed"
    adjudicated = "adjudicated"
    rejected = "rejected"
    weak = "weak"
    synthetic = "synthetic"


@dataclass(frozen=True)
class Box:
    """x0 < x1, y0 < y1, pixels, ends left out. score: 0..1 where a model drew it."""

    name: str
    x0: float
    y0: float
    x1: float
    y1: float
    score: float | None = None


@dataclass(frozen=True)
class Polygon:
    """Three or more corners (x, y) in pixels, the last joined to the first."""

    name: str
    points: tuple[tuple[float, float], ...]
    score: float | None = None


@dataclass(frozen=True)
class Mask:
    """A crop of the image, row by row: runs of outside, inside, outside, ... pixels that add up to width * height."""

    name: str
    left: int
    top: int
    width: int
    height: int
    runs: tuple[int, ...]
    score: float | None = None


Shape = Box | Polygon | Mask
_KINDS: dict[str, type[Shape]] = {"box": Box, "polygon": Polygon, "mask": Mask}


@dataclass(frozen=True)
class Annotation:
    """One opinion about one image, as given; nothing overwrites it.

    name: class of the whole image; None where only shapes were drawn, or nothing. skipped: why nothing could be said,
    empty where something was. created: UTC, ISO 8601, empty if unknown. lead_time_s: seconds that it took.
    score: 0..1, how sure a model or rule is. guideline: version of the labelling guideline. prelabel: what the
    annotator had before them, "shown", "hidden" (there was one) or empty. source: the tool or file it came from.
    external_id: its id there, empty if it has none. note: what its annotator wrote beside it, an expert's reason say.
    """

    image_id: str
    annotator: str
    role: Role = Role.annotator
    name: str | None = None
    shapes: tuple[Shape, ...] = ()
    skipped: str = ""
    created: str = ""
    lead_time_s: float | None = None
    score: float | None = None
    guideline: str = ""
    prelabel: str = ""
    source: str = ""
    external_id: str = ""
    note: str = ""

    @property
    def key(self) -> str:
        """32 hex digits that tell this opinion from others: by its id in the tool, else by who said what of which.

        The same opinion read twice has the same key, so that a second import changes nothing.
        """
        told_by = ([self.source, self.external_id] if self.external_id else
                   [self.image_id, self.annotator, self.role, self.name, self.skipped, self.created,
                    shapes_to_json(self.shapes)])  # fmt: skip
        return hashlib.sha256(json.dumps(told_by).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Resolution:
    """What counts for an image at present. name: None where nothing does yet. confidence: posterior 0..1, if computed.

    by: what decided, e.g. "consensus", an expert's name, a model's.
    """

    image_id: str
    name: str | None
    state: LabelState
    confidence: float | None = None
    by: str = ""


@dataclass(frozen=True)
class Task:
    """What is wanted of people about one image of a batch.

    route: "crowd" or "expert". n_wanted: how many independent opinions. overlap: drawn at random, before any label was
    seen, to measure agreement. gold: its answer is known and people are measured by it. prelabel: as an annotation's.
    """

    batch_id: str
    image_id: str
    route: str = "crowd"
    n_wanted: int = 1
    overlap: bool = False
    gold: bool = False
    prelabel: str = ""


def shapes_to_json(shapes: tuple[Shape, ...]) -> str:
    """Return a JSON list of objects, each with its kind."""
    kinds = {cls: kind for kind, cls in _KINDS.items()}
    rows = [{"kind": kinds[type(shape)], **{k: v for k, v in vars(shape).items() if v is not None}} for shape in shapes]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")) if rows else "[]"


def shapes_from_json(text: str) -> tuple[Shape, ...]:
    """Return what shapes_to_json wrote."""
    return tuple(_shape(**row) for row in json.loads(text)) if text != "[]" else ()


def _shape(kind: str, **values: Any) -> Shape:
    if kind == "polygon":
        values["points"] = tuple((x, y) for x, y in values["points"])
    elif kind == "mask":
        values["runs"] = tuple(values["runs"])
    return _KINDS[kind](**values)
