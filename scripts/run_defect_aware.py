"""What each part of defect-aware pooling does to learning curves, and what it costs.

    python scripts/run_defect_aware.py --images DATA/magnetic_tile --images DATA/neu_det --seeds 10 11 12 13

--images: a folder with labels.csv (path, label, and neardup_group where images repeat). The bank is drawn from the
whole set, without labels. Printed per set: the area under macro-F1, 8 batches of 20, mean over strategies and seeds,
the paired difference from plain with its 95 % interval over seeds; how well novelty scores tell images from those with
a label of --good (area under the ROC curve); where labels.csv has a mask, how often the box touches it; then processor
time per image of both poolings. --seeds without a number leaves out the learning curves.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from activesel.benchmark.dataset import Dataset, split_by_group
from activesel.benchmark.peers import find_chooser
from activesel.benchmark.summary import compare, curve_area
from activesel.benchmark.trial import Protocol, make_bench, run_trial
from activesel.config import load_config
from activesel.embedding import Backbone, embed_images, open_backbone
from activesel.embedding.backbone import open_patches
from activesel.embedding.banks import BANK_IMAGES, Bank, bank_bytes, bank_of, fit_bank, standardise
from activesel.embedding.novelty_map import Novelty
from activesel.embedding.patches import SHARPNESS, DefectAware
from activesel.embedding.readout import RawReadOut, ReadOut
from activesel.seeds import derive_rng

MAX_PIXELS = 400_000_000
# Shares of the pooled features, the peaks and the patches, and which of BANKS weighs the patches.
VARIANTS = {
    "plain": ((1.0, 0.0, 0.0), "default"),
    "peaks": ((0.5, 0.5, 0.0), "default"),
    "patches, weighed": ((0.9, 0.0, 0.1), "default"),
    "peaks, patches alike": ((0.45, 0.45, 0.1), "alike"),
    "peaks, patches weighed (defect-aware)": ((0.45, 0.45, 0.1), "default"),
    "the same, weighed twice as sharply": ((0.45, 0.45, 0.1), "sharper"),
    "the same, bank a coreset": ((0.45, 0.45, 0.1), "coreset"),
    "the same, bank of 256 patches": ((0.45, 0.45, 0.1), "small"),
    "the same, twice the patches": ((0.4, 0.4, 0.2), "default"),
}
Floats = npt.NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, action="append", required=True)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(10, 16)))
    parser.add_argument("--strategies", nargs="+", default=["random", "k-center", "default"])
    parser.add_argument("--good", nargs="*", default=["free", "normal", "good", "grade-0.00"])
    parser.add_argument("--rounds", type=int, default=3, help="of the comparison of costs")
    options = parser.parse_args()
    for folder in options.images:
        paths, classes, names, groups = read_labels(folder / "labels.csv")
        backbones = open_each(paths)
        found = {name: embed_blocks(backbone, paths) for name, backbone in backbones.items()}
        print(f"{folder.name}: {len(paths)} images, seeds {options.seeds}, {', '.join(options.strategies)}")
        areas = {}
        for variant, (shares, bank) in VARIANTS.items() if options.seeds else ():
            dataset = Dataset(join(found[bank].blocks, shares), classes, names, groups)
            areas[variant] = [area_of(dataset, seed, options.strategies) for seed in options.seeds]
            against = compare(areas[variant], areas["plain"])
            print(f"  {variant:40}{np.mean(areas[variant]):.3f}  {against.difference:+.3f} +- {against.half:.3f}"
                  f"  {against.wins} of {against.n}", flush=True)  # fmt: skip
        for good in set(options.good) & set(names):
            for bank in ("default", "coreset", "small"):
                area = roc_area(found[bank].scores, classes != names.index(good))
                print(f"  novelty tells {good!r} from others, bank {bank}: {area:.3f}", flush=True)
        print_boxes(folder, found["default"].novelty, set(options.good))
        print_cost(backbones["default"], paths, options.rounds)


def read_labels(table: Path) -> tuple[list[Path], npt.NDArray[np.int64], tuple[str, ...], npt.NDArray[np.int64]]:
    with table.open(encoding="utf8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    names, classes = np.unique([row["label"] for row in rows], return_inverse=True)
    groups = [row.get("neardup_group") or f"alone {i}" for i, row in enumerate(rows)]
    paths = [table.parent / row["path"] for row in rows]
    return paths, classes, tuple(map(str, names)), np.unique(groups, return_inverse=True)[1]


def open_each(paths: Sequence[Path]) -> dict[str, Backbone]:
    """Return the defect-aware backbone with a bank of these images, and others that differ from it in one thing."""
    config = load_config(None, ["embedding.pooling=defect-aware"]).embedding
    rng = derive_rng(0, "bank")
    sample = [paths[i] for i in np.sort(rng.choice(len(paths), min(BANK_IMAGES, len(paths)), replace=False))]
    reader = open_patches(config)
    assert isinstance(reader.read_out, RawReadOut)
    found = np.concatenate([batch.vectors for batch in embed_images(reader, sample, max_pixels=MAX_PIXELS)])
    raw = found.astype(np.float32).reshape(len(found), -1, reader.read_out.channels)
    bank = fit_bank(raw, rng)
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
        file.write(bank_bytes(bank))
        file.flush()
        aware = open_backbone(config, Path(file.name))
    assert isinstance(aware.module, DefectAware)
    patches = aware.module.patches
    others = {
        "alike": DefectAware(patches, bank, sharpness=0.0),
        "sharper": DefectAware(patches, bank, sharpness=2 * SHARPNESS),
        "coreset": DefectAware(patches, coreset_bank(raw, len(bank.patches))),
        "small": DefectAware(patches, fit_bank(raw, derive_rng(0, "small bank"), size=256)),
    }
    return {"default": aware} | {name: replace(aware, module=module.eval()) for name, module in others.items()}


def coreset_bank(raw: Floats, size: int) -> Bank:
    """Return the bank of PatchCore (arXiv:2106.08265): each patch the one furthest from those before it."""
    standard, mean, deviation = standardise(raw)
    squares = (standard**2).sum(axis=1)
    order, nearest = [0], np.full(len(standard), np.inf, np.float32)
    while len(order) < size:
        at = order[-1]
        np.minimum(nearest, squares - 2 * (standard @ standard[at]) + squares[at], out=nearest)
        order.append(int(nearest.argmax()))
    rest = np.setdiff1d(np.arange(len(standard)), order)
    return bank_of(standard, np.concatenate([order, rest]), size, raw.shape[1], mean, deviation)


class Found(NamedTuple):
    """blocks: the parts of the vectors (n, d_i), each of unit rows. novelty: of the n images."""

    blocks: tuple[Floats, ...]
    novelty: list[Novelty]

    @property
    def scores(self) -> Floats:
        return np.array([novelty.score for novelty in self.novelty], np.float32)


def embed_blocks(backbone: Backbone, paths: Sequence[Path]) -> Found:
    batches = list(embed_images(backbone, paths, max_pixels=MAX_PIXELS))
    vectors = np.concatenate([batch.vectors for batch in batches])
    read_out = backbone.read_out
    assert isinstance(read_out, ReadOut)
    parts = np.split(vectors.astype(np.float32), (read_out.dim, read_out.dim + read_out.depth), axis=1)
    novelty = [one for batch in batches for one in batch.novelty]
    return Found(tuple(part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts), novelty)


def roc_area(scores: Floats, is_odd: npt.NDArray[np.bool_]) -> float:
    """Return the chance that an odd image scores above another."""
    ranks = rankdata(scores)[is_odd]
    n_odd = len(ranks)
    return float((ranks.sum() - n_odd * (n_odd + 1) / 2) / (n_odd * (len(scores) - n_odd)))


def print_boxes(folder: Path, novelty: Sequence[Novelty], good: set[str]) -> None:
    """Print per range of scores how many images are not good, and how often the box of those touches their mask."""
    with (folder / "labels.csv").open(encoding="utf8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    scores = np.array([one.score for one in novelty])
    is_bad = np.array([row["label"] not in good for row in rows])
    masks = [cv2.imread(str(folder / row["mask"]), cv2.IMREAD_GRAYSCALE) if row.get("mask") else None for row in rows]
    touches, shares = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    for i, (mask, one) in enumerate(zip(masks, novelty, strict=True)):
        if mask is not None and is_bad[i]:
            x0, y0, x1, y1 = one.box_px(mask.shape[1], mask.shape[0])
            touches[i], shares[i] = mask[y0:y1, x0:x1].any(), (x1 - x0) * (y1 - y0) / mask.size
    if np.isnan(touches).all():
        return
    for low, high in itertools.pairwise((-np.inf, 1, 2, 3, 4, 6, np.inf)):
        among = (scores >= low) & (scores < high)
        if (among & is_bad).any():
            print(f"  novelty {low:.0f} .. {high:.0f}: {among.sum()} images, {is_bad[among].mean():.0%} not good; of "
                  f"those {np.nanmean(touches[among]):.0%} of boxes touch the mask, {np.nanmean(shares[among]):.0%} of "
                  "the image each", flush=True)  # fmt: skip


def join(blocks: Sequence[Floats], shares: Sequence[float]) -> Floats:
    return np.concatenate(
        [block * np.sqrt(share) for block, share in zip(blocks, shares, strict=True) if share], axis=1
    )


def area_of(dataset: Dataset, seed: int, strategies: Sequence[str]) -> float:
    """Return the mean area over the strategies."""
    protocol = Protocol()
    bench = make_bench(dataset, split_by_group(dataset, seed), protocol, seed)
    return statistics.mean(curve_area(run_trial(bench, find_chooser(name), protocol)) for name in strategies)


def print_cost(aware: Backbone, paths: Sequence[Path], rounds: int) -> None:
    """Embed the same files by turns, so that a busy machine slows both."""
    plain = open_backbone(load_config(None, ["embedding.pooling=plain"]).embedding)
    ratios, times = [], {"plain": [0.0], "aware": [0.0]}
    for number in range(rounds + 1):
        for name, backbone in (("plain", plain), ("aware", aware)):
            started = time.process_time()
            for _ in embed_images(backbone, paths[:400], max_pixels=MAX_PIXELS):
                pass
            if number:
                times[name].append(1000 * (time.process_time() - started) / len(paths[:400]))
        if number:
            ratios.append(times["aware"][-1] / times["plain"][-1])
    print(f"  processor ms per image: plain {statistics.median(times['plain'][1:]):.1f}, defect-aware "
          f"{statistics.median(times['aware'][1:]):.1f}; ratio {statistics.median(ratios):.2f} "
          f"({min(ratios):.2f} .. {max(ratios):.2f})")  # fmt: skip


if __name__ == "__main__":
    main()
