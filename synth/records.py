"""The values that travel between synth's layers: what a defect is, where it goes, what came out, and why it stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]  # (h, w, 3) RGB; grey pictures have three equal channels
Levels = npt.NDArray[np.float32]  # (h, w, 3) grey levels 0..255, not rounded
Mask = npt.NDArray[np.bool_]  # (h, w)

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels, x1 and y1 beyond the last one
BlendMode = Literal["gradient", "gradient-mixed", "residual", "residual-scaled", "alpha"]
BLEND_MODES: tuple[BlendMode, ...] = ("gradient", "gradient-mixed", "residual", "residual-scaled", "alpha")


@dataclass(frozen=True)
class Example:
    """One row of labels.csv: path,label[,mask][,group][,x0,y0,x1,y1].

    path: the image's, absolute. mask: a picture of the same size, above 0 = defect, or None. box: or None.
    group: images of one part, lot or near-duplicate cluster share it and never stand on both sides of a split.
    """

    path: str
    label: str
    group: str
    mask: str | None = None
    box: Box | None = None


@dataclass(frozen=True)
class Donor:
    """One real defect, cut out with a rim of its own background.

    picture: (h, w, 3) crop. mask: (h, w), the defect, at least ``RIM_PX`` from the crop's edge unless the image ends.
    background: (h, w, 3) what the surface would be without the defect, fitted from outside the mask.
    angle_rad: of the defect's long axis against the x axis, -pi/2 .. pi/2; elongation: long axis / short axis, >= 1.
    place: centre on the part as shares of the part's bounding box (y, x), 0..1. at_edge: the mask reaches the image's
    edge (top, bottom, left, right), where it may be pasted only alike. contrast: mean |picture - background| inside.
    """

    donor_id: str  # sha256 of the crop and mask, 16 hex digits
    label: str
    path: str
    group: str
    picture: Image
    mask: Mask
    background: Levels
    angle_rad: float
    elongation: float
    place: tuple[float, float]
    at_edge: tuple[bool, bool, bool, bool]
    contrast: float

    @cached_property
    def residual(self) -> Levels:
        """What the defect adds to its background, (h, w, 3); 0 outside of it but for grain."""
        return np.asarray(self.picture.astype(np.float32) - self.background, np.float32)

    @cached_property
    def span_px(self) -> float:
        """How long the defect is along its long axis, px."""
        ys, xs = np.nonzero(self.mask)
        return float(np.ptp(xs * np.cos(self.angle_rad) + ys * np.sin(self.angle_rad)) + 1)


@dataclass(frozen=True)
class Host:
    """One image to draw a defect into. part: (h, w) where the product is. taken: (h, w) where labels are already."""

    host_id: str  # sha256 of the file, 16 hex digits
    path: str
    group: str
    label: str
    picture: Image
    part: Mask
    taken: Mask


@dataclass(frozen=True)
class Plan:
    """Every number drawn for one variant; rendering it draws nothing more. Written to the record as JSON.

    number: position in the stream of proposals, 0.. ; seed of its generator is (run seed, number).
    source: "donor" with donor_id, or "recipe" with the recipe's name. top_left: (y, x) of the patch in the host.
    scale: of the donor's sides. angle_rad: rotation. mirrored: left-right first. strength: factor on its contrast.
    numbers: what warp, blend or recipe drew beside these, by name; JSON values only.
    """

    number: int
    label: str
    source: Literal["donor", "recipe"]
    source_id: str
    host_id: str
    top_left: tuple[int, int]
    blend: BlendMode
    scale: float = 1.0
    angle_rad: float = 0.0
    mirrored: bool = False
    strength: float = 1.0
    numbers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Patch:
    """A defect ready to be blended: what comes out of a warped donor or a recipe, before it meets the host.

    picture: (h, w, 3) the defect on its own background; background: the same without the defect; mask: (h, w) where the
    defect is meant to be, off the patch's edge by a pixel or more unless the host's edge is there.
    """

    picture: Levels
    background: Levels
    mask: Mask


@dataclass(frozen=True)
class Variant:
    """One rendered image. mask: (h, w) where it visibly differs from its host: the label. box: around the mask.

    meant: (h, w) where the plan wanted the defect. contrast: median |variant - host| inside the mask, grey levels.
    """

    plan: Plan
    picture: Image
    mask: Mask
    meant: Mask
    contrast: float


@dataclass(frozen=True)
class Verdict:
    """Whether a rule lets a variant pass. value: what was measured; limits: (low, high), None = open; ok: inside."""

    rule: str
    ok: bool
    value: float
    limits: tuple[float | None, float | None]
    reason: str  # in a sentence, for the table and the record; "" when ok


class Recipe(Protocol):
    """A kind of defect drawn from ranges, without any real example. One file in synth/recipes/ each.

    draw makes every random choice, as JSON values; render is deterministic, byte for byte.
    """

    @property
    def name(self) -> str: ...

    def draw(self, rng: np.random.Generator, size: tuple[int, int], ground: Levels) -> dict[str, Any]:
        """Draw the numbers of one defect for a surface of ``size`` (h, w) that looks like ``ground`` (h, w, 3)."""
        ...

    def render(self, ground: Levels, numbers: Mapping[str, Any]) -> Patch:
        """Draw it onto ``ground`` (h, w, 3), the host's own surface where it will lie."""
        ...


class Refiner(Protocol):
    """A generative model that may redraw the blended region; none is shipped."""

    def __call__(self, picture: Image, mask: Mask, label: str, seed: int) -> Image: ...


class Embedder(Protocol):
    """Images to unit rows, so that synth can judge likeness without knowing any network: [(h, w, 3)] -> (n, d)."""

    def __call__(self, pictures: list[Image]) -> npt.NDArray[np.float32]: ...
