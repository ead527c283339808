"""Draw one plan per proposal number: what, where, how. After this nothing is random any more."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from synth.errors import SynthError
from synth.grain import measure_grain
from synth.hosts import HostCard, Read, open_host
from synth.inputs import InputChanged, check_same, masks_of
from synth.look import Habits, draw_look
from synth.placement import LONG, NoPlace, Prior, box_of_part, draw_direction, place, turn_to
from synth.records import BlendMode, Donor, Host, Image, Levels, Mask, Plan, Recipe
from synth.render import patch_size, span_host, warped_mask
from synth.seeds import proposal_rng

_FIT = (0.5, 2.0)  # a defect that spans its image is squeezed or stretched so far; beyond, its texture tells
_LEAST_SCALE = 0.7  # a defect larger than its host is shrunk so far
_GOLDEN = 0.6180339887498949
_NEIGHBOURS = (1, 2)  # bits of the number of those in the same block whose hosts a donor may take
_OPEN_HOSTS = 48  # kept decoded; a block opens at most 32


@dataclass(frozen=True)
class Stock:
    """All that plans are drawn from; goes to every worker once. recipe_share: of the proposals that use a recipe.

    contents: path -> digest that a host or its mask must have when it is opened; files that it does not name pass.
    """

    label: str
    seed: int
    donors: Mapping[str, Donor]
    recipes: Mapping[str, Recipe]
    cards: Sequence[HostCard]
    prior: Prior
    blends: Sequence[BlendMode]
    recipe_share: float
    read: Read
    golden: tuple[Mask, Image] | None = None
    habits: Habits = field(default_factory=Habits)
    contents: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Unplaced:
    """A proposal that came to nothing before it was rendered, and why."""

    number: int
    reason: str


class OpenHosts:
    """Hosts by card, the last few kept open."""

    def __init__(self, stock: Stock) -> None:
        self._stock = stock
        self._open: OrderedDict[str, Host] = OrderedDict()

    def open(self, card: HostCard) -> Host:
        """Return the host; raises SynthError where a file is broken, InputChanged where it is not that of the start."""
        host = self._open.pop(card.path, None) or self._read(card)
        self._open[card.path] = host
        if len(self._open) > _OPEN_HOSTS:
            self._open.popitem(last=False)
        return host

    def open_usable(self, card: HostCard) -> Host | None:
        """Return the host, or None where a file is broken, as it was when the run began."""
        try:
            return self.open(card)
        except InputChanged:
            raise
        except SynthError:
            return None

    def _read(self, card: HostCard) -> Host:
        contents = self._stock.contents
        try:
            host = open_host(card, self._stock.read, self._stock.golden)
        except SynthError:
            for path in (card.path, *masks_of(card)):
                check_same(contents, path)  # broken since, or from the start?
            raise
        check_same(contents, card.path, host.host_id)
        for path in masks_of(card):
            check_same(contents, path)
        return host


def draw_plan(stock: Stock, number: int, hosts: OpenHosts) -> tuple[Plan, Host] | Unplaced:
    """Return the plan of one proposal and its host; the same stock and number give the same plan anywhere."""
    uses_recipe, card, rng = _start(stock, number)
    donor = None if uses_recipe else _donor_of(stock, number)
    try:
        host = hosts.open(card)
    except InputChanged:
        raise
    except SynthError as error:
        return Unplaced(number, f"the host cannot be used: {error}")
    if donor is None:
        drawn = _plan_recipe(stock, number, host, rng)
    else:
        host = _most_alike(stock, number, host, donor, hosts)
        drawn = _plan_donor(stock, number, host, donor, rng)
    return Unplaced(number, drawn.reason) if isinstance(drawn, NoPlace) else (drawn, host)


def _start(stock: Stock, number: int) -> tuple[bool, HostCard, np.random.Generator]:
    """Return whether a proposal uses a recipe, its own host, and the generator for all that follows."""
    rng = proposal_rng(stock.seed, number)
    uses_recipe = bool(rng.random() < stock.recipe_share)
    return uses_recipe, stock.cards[int(rng.integers(len(stock.cards)))], rng


def _donor_of(stock: Stock, number: int) -> Donor:
    """Return a proposal's donor: each comes up as often as the others in any stretch of proposals (golden ratio)."""
    start = float(proposal_rng(stock.seed, 0).random())
    return list(stock.donors.values())[int((start + number * _GOLDEN) % 1 * len(stock.donors))]


def _most_alike(stock: Stock, number: int, host: Host, donor: Donor, hosts: OpenHosts) -> Host:
    """Return the one of three hosts whose surface is most like the donor's own: it has to be changed the least.

    The others are those of two neighbours in the block, which are opened anyway.
    """
    others = [hosts.open_usable(_start(stock, number ^ other)[1]) for other in _NEIGHBOURS]
    candidates = [host, *(one for one in others if one is not None)]  # a broken one is told about where it is drawn
    own = surface_of(donor.background, ~donor.mask)
    return min(
        candidates, key=lambda one: misfit(donor, one) + float(np.abs(surface_of(one.picture, one.part) - own).sum())
    )


def misfit(donor: Donor, host: Host) -> float:
    """Return how much larger than its host a defect is, or, where it spans its image, other than it; 0 = it fits."""
    top, bottom, left, right = donor.at_edge
    off = np.log(np.divide(donor.mask.shape, host.part.shape))
    return float(
        sum(
            abs(one) if spans else max(0.0, one)
            for one, spans in zip(off, (top and bottom, left and right), strict=True)
        )
    )


def surface_of(picture: Image | Levels, ground: Mask) -> npt.NDArray[np.float64]:
    """Return brightness and grain of a surface, each as a logarithm of grey levels, (2,); of its middle if large."""
    top, left = (max(0, side // 2 - 96) for side in ground.shape)
    cut = np.ascontiguousarray(picture[top : top + 192, left : left + 192], np.float32)
    inside = ground[top : top + 192, left : left + 192]
    level = float(cut[inside].mean()) if inside.any() else float(cut.mean())
    return np.array([np.log(level + 8), 0.5 * np.log(measure_grain(cut, inside) + 1)])


def _plan_donor(stock: Stock, number: int, host: Host, donor: Donor, rng: np.random.Generator) -> Plan | NoPlace:
    blend = stock.blends[int(rng.integers(len(stock.blends)))]
    look = draw_look(rng, donor, mode=blend, habits=stock.habits)
    direction = draw_direction(rng, stock.prior)
    if direction is not None and donor.elongation >= LONG and not any(donor.at_edge):
        look["angle_rad"] = round(turn_to(direction, donor, look["mirrored"]), 4)
    plan = Plan(number, stock.label, "donor", donor.donor_id, host.host_id, (0, 0), blend, **look)
    fitted = _fit(plan, donor, host)
    if isinstance(fitted, NoPlace):
        return fitted
    spot = place(rng, warped_mask(fitted, donor), host, stock.prior, _edges_of(fitted, donor))
    return spot if isinstance(spot, NoPlace) else replace(fitted, top_left=spot)


def _fit(plan: Plan, donor: Donor, host: Host) -> Plan | NoPlace:
    """Return the plan as large as its host allows: one that spans its own image spans this one, too."""
    room, size = host.part.shape, patch_size(plan, donor)
    top, bottom, left, right = donor.at_edge
    if not ((top and bottom) or (left and right)):
        too_large = min((whole - 2) / own for whole, own in zip(room, size, strict=True))
        return replace(plan, scale=round(max(_LEAST_SCALE, plan.scale * too_large), 4)) if too_large < 1 else plan
    spanning = span_host(plan, donor, (room[0], room[1]))
    shares = [new / own for new, own in zip(patch_size(spanning, donor), size, strict=True)]
    if not all(_FIT[0] <= share <= _FIT[1] for share in shares):
        return NoPlace("it spans its image, and the host is of another size")
    return spanning


def _plan_recipe(stock: Stock, number: int, host: Host, rng: np.random.Generator) -> Plan | NoPlace:
    """Draw the defect for the part's own surface, then a place for its footprint."""
    recipe = list(stock.recipes.values())[int(rng.integers(len(stock.recipes)))]
    top, left, bottom, right = box_of_part(host.part)
    ground = host.picture[top:bottom, left:right].astype(np.float32)
    numbers = recipe.draw(rng, (ground.shape[0], ground.shape[1]), ground)
    plan = Plan(number, stock.label, "recipe", recipe.name, host.host_id, (0, 0), "residual", numbers=numbers)
    flat = np.full((*patch_size(plan, recipe), 3), ground.mean(axis=(0, 1)), np.float32)
    spot = place(rng, recipe.render(flat, numbers).mask, host, stock.prior)
    return spot if isinstance(spot, NoPlace) else replace(plan, top_left=spot)


def _edges_of(plan: Plan, donor: Donor) -> tuple[bool, bool, bool, bool]:
    top, bottom, left, right = donor.at_edge
    return (top, bottom, right, left) if plan.mirrored else (top, bottom, left, right)
