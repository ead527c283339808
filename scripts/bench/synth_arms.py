"""What others make for bench_synth.py: our imitations of them, and the packages' own generators where they fit."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from activesel.pipelines.foldsets import Workroom
from activesel.pipelines.realset import RealSet
from activesel.seeds import derive_rng, derive_seed
from activesel.training.mixture import Made
from bench.synth_peers import Generate
from bench.synth_rivals import cut_and_paste, perlin_anomaly
from synth.bank import build_bank
from synth.files import encode_image, read_image
from synth.records import Image

# Column of the groups, and the class without a defect, if there is one.
SETS: dict[str, tuple[str, str | None]] = {
    "magnetic_tile": ("neardup_group", "free"),
    "neu_det": ("neardup_group", None),
}
REAL, COPIES, PASTED, PERLIN = "k real alone", "+ standard augmentation", "+ cut-paste", "+ Perlin (DRAEM)"
UNFILTERED, FILTERED, PROVED = "ours, unfiltered", "ours, filtered", "ours, proved"
AIMED, PLAIN, TWICE = "ours, gap-aimed", "ours, filtered, not mixed", "2k real alone"
MIXED = ", mixed as ours"  # behind the name of another's arm
# Recipes of defect-synthesis by class, chosen by eye and name before any of them was measured: two for cracks, as its
# scratch, unbranched, looks more like those of the tiles than its crack. A class without: none of its recipes shows it.
FITTING: dict[str, dict[str, tuple[str, ...]]] = {
    "magnetic_tile": {"blowhole": ("pit",), "crack": ("crack", "scratch"), "fray": ("stain",)},
    "neu_det": {"crazing": ("crack",), "patches": ("stain",), "pitted_surface": ("pit",), "scratches": ("scratch",)},
}
ANY_CLASS = "Perlin"  # anomalib's: a change of no class, to every class the same
Picture = tuple[Image, tuple[int, int], int]  # picture, groups of what it comes from and of its host, host's row


@dataclass(frozen=True)
class Cell:
    """name: data set. draw: of the split and of the k real images."""

    name: str
    label: str
    k: int
    draw: int


def good_number(cell: Cell, real: RealSet) -> int | None:
    good = SETS[cell.name][1]
    return None if good is None else real.number_of(good)


def fits(peer: str, cell: Cell) -> bool:
    """Return whether a package's generator ("anomalib 2.7.0, Perlin") is an arm of this cell."""
    recipe = peer.rpartition(", ")[2]
    return recipe == ANY_CLASS or recipe in FITTING[cell.name].get(cell.label, ())


def find_absent(cells: Sequence[dict[str, Any]], peers: Mapping[str, Generate | None]) -> list[str]:
    """Return a sentence for each package that no cell has as an arm, and for the classes that no recipe fits."""
    arms = [arm for one in cells for arm in one["arms"]]
    missing = sorted({peer.partition(",")[0] for peer, generate in peers.items() if generate is None})
    said = [f"{peer}, not installed when this page was written" for peer in missing
            if not any(arm.startswith(f"+ {peer}") for arm in arms)]  # fmt: skip
    for name in sorted({one["name"] for one in cells}):
        unfit = sorted({one["label"] for one in cells if one["name"] == name} - set(FITTING[name]))
        said += [f"defect-synthesis for {', '.join(unfit)} of {name}, which none of its recipes shows"] if unfit else []
    return said


def make_rivals(arm: str, cell: Cell, real: RealSet, room: Workroom, side: np.ndarray, count: int) -> Made:
    """Paste real defects, or Perlin anomalies, into good images of the side."""
    number, truth = real.number_of(cell.label), real.labelled
    hosts, rng = list_hosts(cell, real, side), derive_rng(cell.draw, arm, cell.label, cell.k)
    own = {real.paths[row]: int(truth.groups[row]) for row in side[truth.classes[side] == number]}
    examples = [one for one in real.table.examples if one.path in own]
    donors = build_bank(examples, read_image, label=cell.label) if arm == PASTED else []

    def draw() -> Iterator[Picture]:
        for _ in range(count):
            row, other = (int(one) for one in rng.choice(hosts, 2))
            host = read_image(Path(real.paths[row]))
            if arm == PASTED:
                donor = donors[int(rng.integers(len(donors)))]
                picture, origin = cut_and_paste(donor, host, rng), own[donor.path]
            else:
                picture = perlin_anomaly(host, read_image(Path(real.paths[other])), rng)
                origin = int(truth.groups[other])
            yield picture, (origin, int(truth.groups[row])), row

    return keep_and_embed(draw(), arm, cell, real, room, count)


def make_by_package(
    arm: str, generate: Generate, cell: Cell, real: RealSet, room: Workroom, side: np.ndarray, count: int
) -> Made:
    """Let a package's generator change good images of the side: in a cell every package gets the same ones.

    A package that draws from the global generators is seeded for each image; a grey host stays grey, as its camera is.
    Masks are not asked for: a head on vectors of whole images needs none.
    """
    hosts = derive_rng(cell.draw, "packages", cell.label, cell.k).choice(list_hosts(cell, real, side), count)

    def draw() -> Iterator[Picture]:
        for i, row in enumerate(map(int, hosts)):
            host = read_image(Path(real.paths[row]))
            seed_global_generators(derive_seed(cell.draw, arm, cell.label, cell.k, i) % 2**31)
            group = int(real.labelled.groups[row])
            yield grey_as(host, change_rgb(arm, generate, host)), (group, group), row

    return keep_and_embed(draw(), arm, cell, real, room, count)


def list_hosts(cell: Cell, real: RealSet, side: np.ndarray) -> np.ndarray:
    """Return the side's good images; where none are good, those of other classes."""
    classes, good = real.labelled.classes[side], good_number(cell, real)
    return side[classes != real.number_of(cell.label)] if good is None else side[classes == good]


def keep_and_embed(
    pictures: Iterator[Picture], arm: str, cell: Cell, real: RealSet, room: Workroom, count: int
) -> Made:
    """Write the pictures as JPEG and embed the files; vectors that are there already are kept."""
    key = hashlib.sha256(f"{arm} {vars(cell)} {count}".encode()).hexdigest()[:16]
    folder = room.folder / f"rival-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    paths, sources, stood = [], [], []
    for i, (picture, groups, row) in enumerate(pictures):
        paths.append(folder / f"{i:04d}.jpg")
        paths[-1].write_bytes(encode_image(picture, ".jpg"))
        sources.append(groups)
        stood.append(row)
    truth = real.labelled
    return Made(room.embed_files(paths, folder), real.number_of(cell.label), np.array(sources), truth.vectors[stood],
                truth.classes[stood])  # fmt: skip


def seed_global_generators(seed: int) -> None:
    """Both packages draw from these alone and take no seed."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)


def change_rgb(arm: str, generate: Generate, picture: Image) -> Image:
    """Let the package see the order of channels that it expects: defect-synthesis BGR, as OpenCV reads."""
    if "defect-synthesis" not in arm:
        return generate(picture)
    return np.ascontiguousarray(generate(np.ascontiguousarray(picture[:, :, ::-1]))[:, :, ::-1])


def grey_as(host: Image, picture: Image) -> Image:
    """Return the RGB picture without colour if its host has none: no grey camera sees a brown stain."""
    if (host != host[:, :, :1]).any():
        return picture
    return np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)
