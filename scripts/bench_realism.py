"""Whether a classifier tells variants from real defects, for each class and way to blend: docs/synthesis_realism.md.

    python scripts/bench_realism.py --data ../shared/data/magnetic_tile --json after.json
    python scripts/bench_realism.py --data ../shared/data/magnetic_tile --beside before.json --json after.json

The near-duplicate groups are halved; k donors and all hosts come from one half, the real defects that variants are held
against from the other. Two classifiers, both linear and cross-validated over groups: on 14 countable figures and on the
backbone's vectors of the crops. Variants are judged after encoding. Two controls, both against the untouched hosts:
strength 0, and a piece of another image's plain ground pasted at full strength in the defect's shape.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch

from activesel.config import load_config
from activesel.pipelines.synthesise import EmbedPictures
from synth.background import fill_background
from synth.bank import build_bank, cut_out
from synth.blocks import plan_block, render_plans
from synth.files import encode_image, read_image
from synth.gates import Batch, Limits, calibrate, judge, two_sample_auc
from synth.gates.registry import Case
from synth.gates.sight import changed_elsewhere
from synth.gates.space import Crop, describe, donor_crop, untouched_crop, variant_crop
from synth.labels_file import read_labels
from synth.part import part_or_all
from synth.planning import OpenHosts, Stock
from synth.records import BLEND_MODES, Donor, Embedder, Example, Host, Image, Mask, Variant
from synth.stocking import GenerateRequest, stock_up

CLASSES = ("crack", "blowhole", "break", "fray", "uneven")
GROUP, GOOD, BLOCK = "neardup_group", "free", 32
SEEN, UNDER, BEYOND = 4.0, 0.8, 0.05  # grey levels; share of the mask that must, of its area beyond it that may, differ
COLUMNS = {
    "figures": "real / synthetic", "backbone": "the same, backbone", "null": "strength 0", "null_backbone": "backbone",
    "ground": "plain ground", "ground_backbone": "backbone", "clean": "clean labels",
}  # fmt: skip


@dataclass(frozen=True)
class Made:
    """One kept variant. shipped: as it is after encoding. donor: what it was made of."""

    rendered: Variant
    shipped: Variant
    host: Host
    donor: Donor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of labels.csv with a column neardup_group")
    parser.add_argument("--classes", nargs="+", default=list(CLASSES))
    parser.add_argument("--modes", nargs="+", default=[*BLEND_MODES, "chosen"], help="chosen: as a run chooses")
    parser.add_argument("--k", type=int, default=10, help="images with a defect that donors are cut from")
    parser.add_argument("--count", type=int, default=60, help="variants of each cell")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures here, cell by cell")
    parser.add_argument("--beside", type=Path, help="an earlier --json: its figures are printed in front of an arrow")
    parser.add_argument("--sheets", type=Path, help="folder for pictures of the crops, real and synthetic")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    embed = EmbedPictures(load_config())
    before = json.loads(args.beside.read_text(encoding="utf8")) if args.beside else {}
    cells: dict[str, dict[str, float | str]] = {}
    print_head()
    for label in args.classes:
        for mode in args.modes:
            cells[f"{label} {mode}"] = cell = measure(args, label, mode, embed)
            print(row_of(label, mode, cell, before.get(f"{label} {mode}")), flush=True)
            if args.json:
                args.json.write_text(json.dumps(cells, indent=1) + "\n", encoding="utf8")
    for mode in args.modes:
        print(row_of("**mean**", mode, mean_of(cells, mode), mean_of(before, mode)))


def measure(args: argparse.Namespace, label: str, mode: str, embed: Embedder) -> dict[str, float | str]:
    """Return the figures of one class and mode; AUC 0.5 = cannot be told, 1 = always."""
    stock, real = open_half(args, label, mode)
    hosts = OpenHosts(stock)
    stock, chosen = choose(stock, hosts) if mode == "chosen" else (stock, mode)
    made, n_judged = make(stock, hosts, args.count)
    crops = [variant_crop(one.shipped, one.donor.group) for one in made]
    if args.sheets:
        for name, some in ((f"{label}-real", real), (f"{label}-{mode}", crops)):
            draw_sheet(args.sheets / f"{name}.png", some)
    nulls = paste(stock, [(one.rendered, one.donor, one.host) for one in made], strength=0.0)
    grounds = paste(stock, list(plain_grounds(stock, made)))
    found: dict[str, float | str] = {"kept": len(made), "judged": n_judged, "mode": chosen}
    found["clean"] = float(np.mean([is_clean(one) for one in made]))
    for name, vectors in (("", None), ("_backbone", embed)):
        found["backbone" if vectors else "figures"] = auc(real, crops, vectors)
        found["null" + name] = auc(*beside_hosts(nulls), vectors)
        found["ground" + name] = auc(*beside_hosts(grounds), vectors)
    return found


def open_half(args: argparse.Namespace, label: str, mode: str) -> tuple[Stock, list[Crop]]:
    """Return what variants are made from, of one half of the groups, and the other half's real defects."""
    table = read_labels(args.data / "labels.csv", group_column=GROUP)
    rng = np.random.default_rng(args.seed)
    groups = sorted({one.group for one in table.examples})
    rng.shuffle(groups)
    side = set(groups[::2])
    mine = [one for one in table.examples if one.label == label and one.group in side]
    mine = [mine[i] for i in rng.permutation(len(mine))[: args.k]]
    theirs = [one for one in table.examples if one.label == label and one.group not in side]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.csv"
        with path.open("w", newline="", encoding="utf8") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "label", "mask", "group"])
            good = [one for one in table.examples if one.label == GOOD and one.group in side]
            writer.writerows((one.path, one.label, one.mask or "", one.group) for one in [*mine, *good])
        blends = () if mode == "chosen" else (mode,)
        stock = stock_up(GenerateRequest(path, label, Path(folder) / "out", seed=args.seed, blends=blends)).stock
    return stock, [donor_crop(donor) for donor in build_bank(theirs, read_image, label=label, part=part_or_all)]


def choose(stock: Stock, hosts: OpenHosts) -> tuple[Stock, str]:
    """Let the pipeline choose the mode, where this version does so; else its defaults, mixed."""
    try:
        from synth.choice import choose_blend
    except ImportError:
        return stock, "+".join(stock.blends)  # as before there was a choice
    found = choose_blend(stock, hosts)
    return replace(stock, blends=(found.mode,)), found.mode


def make(stock: Stock, hosts: OpenHosts, count: int) -> tuple[list[Made], int]:
    """Return the first ``count`` variants that pass the rules, and the number that was judged for it."""
    limits: Limits = calibrate(list(stock.donors.values()), [hosts.open(card) for card in stock.cards[:20]], None)
    batch = Batch(list(stock.donors.values()), limits, None)
    kept: list[Made] = []
    n_judged = 0
    for block in range(20):
        plans, used, _ = plan_block(stock, block, hosts)
        for variant in render_plans(stock, plans, used):
            host, donor = used[variant.plan.host_id], stock.donors[variant.plan.source_id]
            n_judged += 1
            if not variant.mask.any() or not all(one.ok for one in judge(variant, host, donor, limits)):
                continue
            shipped = replace(variant, picture=encoded(variant.picture))
            if all(one.ok for one in batch.judge([shipped], [donor.group])[0]):
                kept.append(Made(variant, shipped, host, donor))
            if len(kept) == count:
                return kept, n_judged
    return kept, n_judged


def encoded(picture: Image) -> Image:
    """Return the picture as it is read from the JPEG that a run ships."""
    bits = np.frombuffer(encode_image(picture, ".jpg"), np.uint8)
    return np.asarray(cv2.cvtColor(cv2.imdecode(bits, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))


def plain_grounds(stock: Stock, made: Sequence[Made]) -> Iterator[tuple[Variant, Donor, Host]]:
    """Yield each variant with a donor of the same shape cut from another good image's plain ground."""
    rng = np.random.default_rng(1)
    for number, one in enumerate(made[: 2 * BLOCK]):
        height, width = one.donor.mask.shape
        for index in rng.permutation(len(stock.cards))[:40]:
            card = stock.cards[int(index)]
            picture = read_image(Path(card.path))
            room = picture.shape[0] - height, picture.shape[1] - width
            if card.group == one.host.group or min(room) < 0:
                continue
            yield one.rendered, ground_donor(one.donor, picture, room, f"ground{number}"), one.host
            break


def ground_donor(donor: Donor, picture: Image, room: tuple[int, int], name: str) -> Donor:
    whole: Mask = np.zeros(picture.shape[:2], bool)
    top, left = room[0] // 2, room[1] // 2
    whole[top : top + donor.mask.shape[0], left : left + donor.mask.shape[1]] = donor.mask
    cut = cut_out(Example("", donor.label, donor.group), picture, whole, fill_background(picture, whole), whole)
    return replace(cut, donor_id=name, angle_rad=donor.angle_rad, elongation=donor.elongation, at_edge=donor.at_edge)


def paste(
    stock: Stock, wanted: Sequence[tuple[Variant, Donor, Host]], strength: float | None = None
) -> list[tuple[Variant, Host]]:
    """Render the variants' plans again with other donors or another strength."""
    donors = {donor.donor_id: donor for _, donor, _ in wanted}
    hosts = {host.host_id: host for _, _, host in wanted}
    out = []
    for start in range(0, min(len(wanted), 2 * BLOCK), BLOCK):
        some = wanted[start : start + BLOCK]
        plans = [replace(variant.plan, source_id=donor.donor_id, number=start + i,
                         strength=variant.plan.strength if strength is None else strength)
                 for i, (variant, donor, _) in enumerate(some)]  # fmt: skip
        out += render_plans(replace(stock, donors=donors), plans, hosts)
    return [(variant, hosts[variant.plan.host_id]) for variant in out]


def beside_hosts(pasted: Sequence[tuple[Variant, Host]]) -> tuple[list[Crop], list[Crop]]:
    untouched = [untouched_crop(variant, host) for variant, host in pasted]
    changed = [untouched_crop(variant, replace(host, picture=variant.picture)) for variant, host in pasted]
    return untouched, changed


def auc(first: Sequence[Crop], second: Sequence[Crop], embed: Embedder | None) -> float:
    rows = describe(first, embed), describe(second, embed)
    return two_sample_auc(*rows, [crop.group for crop in first], [crop.group for crop in second])


def is_clean(one: Made) -> bool:
    """Tell whether the shipped picture differs from its host under the mask, and nowhere but there and in its skirt."""
    case = Case(one.shipped, one.host, one.donor)
    change = cv2.dilate(cv2.absdiff(case.picture, case.ground).max(2), np.ones((3, 3), np.uint8))
    return bool((change[case.mask] >= SEEN).mean() >= UNDER and changed_elsewhere(case) <= BEYOND)


def mean_of(cells: dict[str, dict[str, float | str]], mode: str) -> dict[str, float | str] | None:
    some = [cell for name, cell in cells.items() if name.split(" ", 1)[1] == mode]
    names = [*COLUMNS, "kept", "judged"]
    return {name: float(np.nanmean([float(cell[name]) for cell in some])) for name in names} if some else None


def print_head() -> None:
    names = ["class", "blend", "kept / judged", *COLUMNS.values()]
    print("| " + " | ".join(names) + " |")
    print("|" + "---|" * len(names))


def row_of(label: str, mode: str, cell: dict[str, float | str] | None, before: dict[str, float | str] | None) -> str:
    if cell is None:
        return ""
    name = f"{mode}: {cell['mode']}" if mode == "chosen" and "mode" in cell else mode
    parts = [label, name, f"{float(cell['kept']):.0f} / {float(cell['judged']):.0f}"]
    for column in COLUMNS:
        one = f"{float(cell[column]):.3f}".lstrip("0")
        parts.append(one if before is None else f"{float(before[column]):.3f}".lstrip("0") + " → " + one)
    return "| " + " | ".join(parts) + " |"


def draw_sheet(path: Path, crops: Sequence[Crop], side: int = 96, across: int = 10) -> None:
    """Write the first 40 crops as tiles of ``side`` px, enlarged up to threefold."""
    tiles = []
    for crop in crops[:40]:
        height, width = crop.mask.shape
        zoom = min(3.0, side / max(height, width))
        size = max(1, int(width * zoom)), max(1, int(height * zoom))
        tile = np.full((side + 4, side + 4, 3), 255, np.uint8)
        tile[: size[1], : size[0]] = cv2.resize(crop.picture, size, interpolation=cv2.INTER_AREA if zoom < 1 else 0)
        tiles.append(tile)
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % across)
    rows = [np.hstack(tiles[start : start + across]) for start in range(0, len(tiles), across)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_image(np.ascontiguousarray(np.vstack(rows)), ".png"))


if __name__ == "__main__":
    main()
