"""From a request to the stock that plans are drawn from: label file, defect bank, recipes, hosts, prior."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from synth.bank import build_bank
from synth.errors import SynthError
from synth.files import read_image
from synth.hosts import HostChoice, Read, choose_hosts, find_golden
from synth.inputs import list_files
from synth.labels_file import LabelTable, examples_of, read_labels
from synth.likely import AUTO, likely_recipes, likely_share
from synth.look import learn_habits
from synth.output import check_formats
from synth.part import part_or_all
from synth.placement import EXPLORE_SHARE, learn_prior
from synth.planning import Stock
from synth.recipes import load_recipes
from synth.records import BLEND_MODES, BlendMode, Donor, Example, Recipe

_RECIPE_SHARE = 0.3  # where a class has real examples and recipes were asked for


@dataclass(frozen=True)
class GenerateRequest:
    """What one call asks for.

    labels: path,label[,mask][,part][,group][,x0,y0,x1,y1]; relative paths start at ``images``, else beside it.
    label: the class to make. count: images to keep. good: the class without a defect, None = found out.
    recipes: names, for a class with few examples or none, "auto" = found out (likely.py). recipe_share: of the
    proposals, None = 0.3, 1 without any example, with "auto" by their number. blends: modes to draw from, () = found
    out (choice.py). suffix: .jpg or .png, None = as the host. formats: beside labels.csv. most_proposals: None = 10 for
    each wanted, 320 at least. explore: share of places drawn without the prior. gated: whether variants are judged.
    part_mask: where the part is, for hosts whose row names none. workers: processes; the result does not depend on it.
    """

    labels: Path
    label: str
    out: Path
    images: Path | None = None
    count: int = 100
    seed: int = 0
    good: str | None = None
    group_column: str = "group"
    recipes: tuple[str, ...] = ()
    recipe_share: float | None = None
    blends: tuple[BlendMode, ...] = ()
    suffix: str | None = None
    formats: tuple[str, ...] = ("coco",)
    most_proposals: int | None = None
    explore: float = EXPLORE_SHARE
    gated: bool = True
    part_mask: Path | None = None
    workers: int = 1

    @property
    def limit(self) -> int:
        """The maximum number of proposals."""
        return self.most_proposals if self.most_proposals is not None else max(320, 10 * self.count)


@dataclass(frozen=True)
class Listing:
    """What the label file names for a request; no picture is open yet. files: path -> role, all that may be read."""

    table: LabelTable
    examples: tuple[Example, ...]
    recipes: Mapping[str, Recipe]
    hosts: HostChoice
    files: Mapping[str, str]


@dataclass(frozen=True)
class Stocked:
    """The stock, and what is worth telling about it. notes: sentences."""

    stock: Stock
    table: LabelTable
    hosts: HostChoice
    notes: tuple[str, ...]


def check_request(request: GenerateRequest) -> None:
    """Refuse values that mean nothing, before anything is read.

    Raises:
        SynthError: as said.
    """
    for name, value, low in (("count", request.count, 1), ("seed", request.seed, 0), ("workers", request.workers, 1),
                             ("most_proposals", request.limit, 1)):  # fmt: skip
        if value < low:
            raise SynthError(f"{name} is too small", found=str(value), expected=f"{low} or more")
    for name, share in (("recipe_share", request.recipe_share or 0.0), ("explore", request.explore)):
        if not 0 <= share <= 1:
            raise SynthError(f"{name} is no share", found=str(share), expected="0 to 1")
    for blend in request.blends:
        if blend not in BLEND_MODES:
            raise SynthError("unknown way to blend", found=repr(blend), expected=", ".join(BLEND_MODES))
    if request.suffix not in (None, ".jpg", ".png"):
        raise SynthError("unknown kind of image", found=repr(request.suffix), expected=".jpg or .png")
    check_formats(request.formats)


def stock_up(request: GenerateRequest, read: Read = read_image) -> Stocked:
    """Read everything that plans are drawn from; the hosts are only listed, and opened when they are drawn.

    Raises:
        SynthError: no example and no recipe, no host, a broken label file, image or mask.
    """
    return open_stock(request, list_stock(request), read)


def list_stock(request: GenerateRequest) -> Listing:
    """Read the label file and choose the hosts.

    Raises:
        SynthError: no example and no recipe, no host, a broken label file.
    """
    table = read_labels(request.labels, request.images, group_column=request.group_column)
    examples = examples_of(table, request.label)
    recipes = _choose_recipes(request)
    if not examples and not recipes:
        raise SynthError("no image shows this class", where=f"{request.labels}: {request.label}",
                         found=", ".join(table.n_by_class), hint="name a recipe for it: --recipe scratch; "
                         "`activesel synth recipes` lists them")  # fmt: skip
    hosts = choose_hosts(table, request.label, request.good, request.part_mask)
    files = list_files(request.labels, examples, hosts.cards, request.part_mask)
    return Listing(table, tuple(examples), recipes, hosts, files)


def open_stock(
    request: GenerateRequest, listing: Listing, read: Read = read_image, contents: Mapping[str, str] | None = None
) -> Stocked:
    """Cut the defects out. contents: path -> digest of what hosts must hold when they are opened, None = anything.

    Raises:
        SynthError: a broken image or mask.
    """
    donors, n_hidden = _cut_out(list(listing.examples), read)
    recipes, share = _recipes_beside(request, listing, donors, read)
    prior, cards = learn_prior(donors, request.explore), listing.hosts.cards
    stock = Stock(
        request.label, request.seed, {donor.donor_id: donor for donor in donors}, recipes, cards,
        prior, request.blends, share, read, find_golden(cards, read),
        learn_habits(donors, prior.angle_spread), contents or {},
    )  # fmt: skip
    return Stocked(stock, listing.table, listing.hosts, _notes(stock, listing.hosts, len(listing.examples), n_hidden))


def _cut_out(examples: list[Example], read: Read) -> tuple[list[Donor], int]:
    """Return the defects, and the number of rows that are not used: nobody says where their defect is.

    Such a row is used only if all rows of the class are so, and then what stands out in the image is the defect: on a
    texture that is a guess, which took leather's wrinkles for cuts.

    Raises:
        SynthError: a broken image or mask, or no row shows where its defect is.
    """
    located = [example for example in examples if example.mask is not None or example.box is not None]
    if located:
        donors = build_bank(located, read, label=located[0].label, part=part_or_all)
        return donors, len(examples) - len(located)
    donors = []
    hidden: list[SynthError] = []
    for example in examples:
        try:
            donors += build_bank([example], read, label=example.label, part=part_or_all)
        except SynthError as error:
            hidden.append(error)
    if hidden and not donors:
        raise hidden[0]
    return donors, len(hidden)


def _choose_recipes(request: GenerateRequest) -> Mapping[str, Recipe]:
    if not request.recipes:
        return {}
    known = load_recipes()
    named = [name for name in request.recipes if name != AUTO]
    for name in named:
        if name not in known:
            raise SynthError("unknown recipe", found=repr(name), expected=f"{AUTO}, {', '.join(known)}")
    return {name: known[name] for name in named}


def _recipes_beside(
    request: GenerateRequest, listing: Listing, donors: list[Donor], read: Read
) -> tuple[Mapping[str, Recipe], float]:
    """Return the recipes with those that the donors' look asks for, and their share of the proposals."""
    recipes, share = listing.recipes, _RECIPE_SHARE
    if AUTO in request.recipes:
        known = load_recipes()
        recipes = {**recipes, **{name: known[name] for name in likely_recipes(donors, read)}}
        share = likely_share(donors)
    share = share if request.recipe_share is None else request.recipe_share
    return recipes, (share if donors else 1.0) if recipes else 0.0


def _notes(stock: Stock, hosts: HostChoice, n_examples: int, n_hidden: int) -> tuple[str, ...]:
    n_groups = len({donor.group for donor in stock.donors.values()})
    n_good = sum(card.label == hosts.good for card in hosts.cards)
    notes = [f"{n_examples} rows of {stock.label}: {len(stock.donors)} defects of {n_groups} groups",
             f"{len(hosts.cards)} hosts, " + (f"{n_good} of them {hosts.good}" if hosts.good else
                                              "of the other classes, none of which is known to be good")]  # fmt: skip
    notes += [f"{n_hidden} rows without mask or box are not used"] if n_hidden else []
    notes += [f"no host: {n} images, each {reason}" for reason, n in hosts.left_out.items()]
    if stock.donors and stock.recipe_share:
        notes.append(f"{stock.recipe_share:.0%} of the proposals are drawn by recipes: {', '.join(stock.recipes)}")
    notes += ["the part is where most good images show it (median picture)"] if stock.golden is not None else []
    return tuple(notes)
