"""Draw one plan per proposal number: what, where, how. After this nothing is random any more."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from synth.errors import SynthError
from synth.hosts import HostCard, Read, open_host
from synth.look import draw_look
from synth.placement import LONG, NoPlace, Prior, box_of_part, draw_direction, place, turn_to
from synth.records import BlendMode, Donor, Host, Image, Mask, Plan, Recipe
from synth.render import patch_size, warped_mask
from synth.seeds import proposal_rng

_OPEN_HOSTS = 48  # kept decoded; a block opens at most 32


@dataclass(frozen=True)
class Stock:
    """All that plans are drawn from; goes to every worker once. recipe_share: of the proposals that use a recipe."""

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
        """Return the host; raises SynthError where a file is broken."""
        host = self._open.pop(card.path, None) or open_host(card, self._stock.read, self._stock.golden)
        self._open[card.path] = host
        if len(self._open) > _OPEN_HOSTS:
            self._open.popitem(last=False)
        return host


def draw_plan(stock: Stock, number: int, hosts: OpenHosts) -> tuple[Plan, Host] | Unplaced:
    """Return the plan of one proposal and its host; the same stock and number give the same plan anywhere."""
    rng = proposal_rng(stock.seed, number)
    uses_recipe = rng.random() < stock.recipe_share
    card = stock.cards[int(rng.integers(len(stock.cards)))]
    try:
        host = hosts.open(card)
    except SynthError as error:
        return Unplaced(number, f"the host cannot be used: {error}")
    drawn = _plan_recipe(stock, number, host, rng) if uses_recipe else _plan_donor(stock, number, host, rng)
    return Unplaced(number, drawn.reason) if isinstance(drawn, NoPlace) else (drawn, host)


def _plan_donor(stock: Stock, number: int, host: Host, rng: np.random.Generator) -> Plan | NoPlace:
    donor = list(stock.donors.values())[int(rng.integers(len(stock.donors)))]
    blend = stock.blends[int(rng.integers(len(stock.blends)))]
    look = draw_look(rng, donor, mode=blend)
    direction = draw_direction(rng, stock.prior)
    if direction is not None and donor.elongation >= LONG and not any(donor.at_edge):
        look["angle_rad"] = round(turn_to(direction, donor, look["mirrored"]), 4)
    plan = Plan(number, stock.label, "donor", donor.donor_id, host.host_id, (0, 0), blend, **look)
    spot = place(rng, warped_mask(plan, donor), host, stock.prior, _edges_of(plan, donor))
    return spot if isinstance(spot, NoPlace) else replace(plan, top_left=spot)


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
