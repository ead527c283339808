"""What the page sends and gets: checked on the way in, plain values on the way out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from activesel.annotations import Annotation, Box, Mask, Polygon, Shape
from activesel.pipelines.turns import Answer, StripItem, Turn
from activesel.settling import phase_of

Name = Annotated[str, Field(min_length=1, max_length=100)]
Pixel = Annotated[float, Field(ge=-1e5, le=1e6, allow_inf_nan=False)]
ImageId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
LEAST_PX = 1.0  # shapes narrower than a pixel are a slip of the hand


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BoxIn(_Message):
    kind: Literal["box"]
    name: Name
    x0: Pixel
    y0: Pixel
    x1: Pixel
    y1: Pixel

    def shape(self, width: int, height: int) -> Shape:
        """Return the box inside of the image."""
        return Box(self.name, max(0.0, min(self.x0, self.x1)), max(0.0, min(self.y0, self.y1)),
                   min(float(width), max(self.x0, self.x1)), min(float(height), max(self.y0, self.y1)))  # fmt: skip


class PolygonIn(_Message):
    kind: Literal["polygon"]
    name: Name
    points: Annotated[list[tuple[Pixel, Pixel]], Field(min_length=3, max_length=2000)]

    def shape(self, width: int, height: int) -> Shape:
        """Return the polygon, its corners moved into the image."""
        return Polygon(self.name, tuple((min(max(0.0, x), float(width)), min(max(0.0, y), float(height)))
                                        for x, y in self.points))  # fmt: skip


class MaskIn(_Message):
    kind: Literal["mask"]
    name: Name
    left: Annotated[int, Field(ge=0)]
    top: Annotated[int, Field(ge=0)]
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    runs: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=100_000)]

    @model_validator(mode="after")
    def _runs_fill_the_crop(self) -> MaskIn:
        if sum(self.runs) != self.width * self.height:
            raise ValueError("runs must add up to width * height")
        return self

    def shape(self, width: int, height: int) -> Shape:
        """Return the mask.

        Raises:
            ValueError: it sticks out of the image.
        """
        if self.left + self.width > width or self.top + self.height > height:
            raise ValueError("a mask sticks out of the image")
        return Mask(self.name, self.left, self.top, self.width, self.height, tuple(self.runs))


class AnswerIn(_Message):
    """One answer; ``submission`` is the same when the page has to send it twice."""

    image_id: ImageId
    submission: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
    phase: Literal["blind", "final"] = "final"
    name: Name | None = None
    shapes: Annotated[list[Annotated[BoxIn | PolygonIn | MaskIn, Field(discriminator="kind")]], Field(max_length=200)]
    skipped: Annotated[str, Field(max_length=300)] = ""
    lead_time_s: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
    revises: bool = False

    def answer(self, width: int, height: int) -> Answer:
        """Return the answer about an image of that size.

        Raises:
            ValueError: a shape without an area inside of the image.
        """
        shapes = tuple(one.shape(width, height) for one in self.shapes)
        if any(min(extent(shape)) < LEAST_PX for shape in shapes):
            raise ValueError("a shape has no area inside of the image")
        return Answer(self.image_id, self.submission, self.name, shapes, self.skipped.strip(), self.lead_time_s,
                      self.revises, self.phase)  # fmt: skip


class BackIn(_Message):
    image_id: ImageId | None = None


class OpenIn(_Message):
    image_id: ImageId


class ClassIn(_Message):
    name: Annotated[str, Field(max_length=200)]


def file_name(path: str) -> str:
    """Return the last part of a path of either kind of system, bytes that are no UTF-8 as escapes."""
    name = PurePosixPath(path.replace("\\", "/")).name or path
    return name.encode("utf8", "backslashreplace").decode("utf8")


def extent(shape: Shape) -> tuple[float, float]:
    """Return the width and height in pixels of what the shape spans."""
    if isinstance(shape, Mask):
        return float(shape.width), float(shape.height)
    if isinstance(shape, Box):
        return shape.x1 - shape.x0, shape.y1 - shape.y0
    xs, ys = zip(*shape.points, strict=True)
    return max(xs) - min(xs), max(ys) - min(ys)


def tell_turn(turn: Turn | None, classes: list[str]) -> dict[str, Any]:
    """Return a turn as the page's script reads it; "image" is null where nothing is left."""
    if turn is None:
        return {"image": None, "classes": classes}
    row = turn.image
    return {
        "image": {"id": row.image_id, "file": file_name(row.path), "width": row.width_px, "height": row.height_px,
                  "meta": dict(row.meta)},
        "phase": turn.phase, "done": turn.n_done, "total": turn.n_total, "prelabel": turn.prelabel,
        "suggestion": tell_opinion(turn.suggestion), "earlier": tell_opinion(turn.earlier),
        "others": tell_others(turn.others), "classes": classes,
        "strip": tell_strip(turn.strip),
    }  # fmt: skip


def tell_strip(strip: Sequence[StripItem]) -> list[dict[str, str]]:
    return [{"id": one.image_id, "state": one.state, "said": one.said} for one in strip]


def tell_opinion(one: Annotation | None) -> dict[str, Any] | None:
    if one is None:
        return None
    shapes = [tell_shape(shape) for shape in one.shapes]
    return {"role": one.role.value, "name": one.name, "skipped": one.skipped, "shapes": shapes,
            "score": one.score, "phase": phase_of(one)}  # fmt: skip


def tell_others(others: tuple[Annotation, ...]) -> list[dict[str, Any]]:
    """Return what others said, without their names: whose answer it is must not sway the expert."""
    told, numbers = [], dict[tuple[str, str], int]()
    for one in others:
        number = numbers.setdefault((one.role.value, one.annotator), 1 + sum(role == one.role for role, _ in numbers))
        told.append({**(tell_opinion(one) or {}), "who": f"{one.role.value} {number}"})
    return told


def tell_shape(shape: Shape) -> dict[str, Any]:
    kinds = {Box: "box", Polygon: "polygon", Mask: "mask"}
    return {"kind": kinds[type(shape)], **{key: value for key, value in vars(shape).items() if key != "score"}}
