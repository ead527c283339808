"""What each part of defect-aware pooling does to learning curves, and what it costs.

    python scripts/run_defect_aware.py --images DATA/magnetic_tile --images DATA/neu_det --seeds 10 11 12 13

--images: a folder with labels.csv (path, label, and neardup_group where images repeat). The bank is drawn from the
whole set, without labels. Printed per set: the area under macro-F1, 8 batches of 20, mean over strategies and seeds,
the paired difference from plain with its 95 % interval over seeds; then processor time per image of both poolings.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activesel.benchmark.dataset import Dataset, split_by_group
from activesel.benchmark.peers import find_chooser
from activesel.benchmark.summary import compare, curve_area
from activesel.benchmark.trial import Protocol, make_bench, run_trial
from activesel.config import load_config
from activesel.embedding import Backbone, embed_images, open_backbone
from activesel.embedding.backbone import open_patches
from activesel.embedding.banks import BANK_IMAGES, bank_bytes, fit_bank
from activesel.embedding.patches import DefectAware
from activesel.embedding.readout import RawReadOut, ReadOut
from activesel.seeds import derive_rng

MAX_PIXELS = 400_000_000
# Shares of the pooled features, the peaks and the patches, and whether patches are weighed by their distance.
VARIANTS = {
    "plain": ((1.0, 0.0, 0.0), True),
    "peaks": ((0.5, 0.5, 0.0), True),
    "patches, weighed": ((0.9, 0.0, 0.1), True),
    "peaks, patches alike": ((0.45, 0.45, 0.1), False),
    "peaks, patches weighed (defect-aware)": ((0.45, 0.45, 0.1), True),
    "the same, twice the patches": ((0.4, 0.4, 0.2), True),
}
Floats = npt.NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, action="append", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10, 16)))
    parser.add_argument("--strategies", nargs="+", default=["random", "k-center", "default"])
    parser.add_argument("--rounds", type=int, default=3, help="of the comparison of costs")
    options = parser.parse_args()
    for folder in options.images:
        paths, classes, names, groups = read_labels(folder / "labels.csv")
        aware, alike = open_both(paths)
        blocks = {True: embed_blocks(aware, paths), False: embed_blocks(alike, paths)}
        print(f"{folder.name}: {len(paths)} images, seeds {options.seeds}, {', '.join(options.strategies)}")
        areas = {}
        for variant, (shares, is_weighed) in VARIANTS.items():
            dataset = Dataset(join(blocks[is_weighed], shares), classes, names, groups)
            areas[variant] = [area_of(dataset, seed, options.strategies) for seed in options.seeds]
            against = compare(areas[variant], areas["plain"])
            print(f"  {variant:40}{np.mean(areas[variant]):.3f}  {against.difference:+.3f} +- {against.half:.3f}"
                  f"  {against.wins} of {against.n}", flush=True)  # fmt: skip
        print_cost(aware, paths, options.rounds)


def read_labels(table: Path) -> tuple[list[Path], npt.NDArray[np.int64], tuple[str, ...], npt.NDArray[np.int64]]:
    with table.open(encoding="utf8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    names, classes = np.unique([row["label"] for row in rows], return_inverse=True)
    groups = [row.get("neardup_group") or f"alone {i}" for i, row in enumerate(rows)]
    paths = [table.parent / row["path"] for row in rows]
    return paths, classes, tuple(map(str, names)), np.unique(groups, return_inverse=True)[1]


def open_both(paths: Sequence[Path]) -> tuple[Backbone, Backbone]:
    """Return the defect-aware backbone with a bank of these images, and the one that weighs all patches alike."""
    config = load_config(None, ["embedding.pooling=defect-aware"]).embedding
    rng = derive_rng(0, "bank")
    sample = [paths[i] for i in np.sort(rng.choice(len(paths), min(BANK_IMAGES, len(paths)), replace=False))]
    reader = open_patches(config)
    assert isinstance(reader.read_out, RawReadOut)
    found = np.concatenate([batch.vectors for batch in embed_images(reader, sample, max_pixels=MAX_PIXELS)])
    bank = fit_bank(found.astype(np.float32).reshape(len(found), -1, reader.read_out.channels), rng)
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
        file.write(bank_bytes(bank))
        file.flush()
        aware = open_backbone(config, Path(file.name))
    assert isinstance(aware.module, DefectAware)
    return aware, replace(aware, module=DefectAware(aware.module.patches, bank, sharpness=0.0).eval())


def embed_blocks(backbone: Backbone, paths: Sequence[Path]) -> tuple[Floats, ...]:
    """Return the parts of the vectors, each of unit rows."""
    vectors = np.concatenate([batch.vectors for batch in embed_images(backbone, paths, max_pixels=MAX_PIXELS)])
    read_out = backbone.read_out
    assert isinstance(read_out, ReadOut)
    parts = np.split(vectors.astype(np.float32), (read_out.dim, read_out.dim + read_out.depth), axis=1)
    return tuple(part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts)


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
    plain = open_backbone(load_config().embedding)
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
