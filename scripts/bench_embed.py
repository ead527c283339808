"""How much of the bare network's speed is left once files are read, decoded and resized for it.

    python scripts/bench_embed.py                     the magnetic tiles of $ACTIVESEL_DATA, or generated files
    python scripts/bench_embed.py --images FOLDER --set embedding.batch_size=16

Three figures in one run, each the median of alternating rounds, so that a busy machine slows all alike:
bare: forward passes on pixels that are ready, same batch size, precision and threads. decode: files to pixels only.
end to end: files to vectors on disk. Asked for: end to end >= 85 % of bare.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from activesel.config import load_config
from activesel.embedding import Backbone, VectorStore, embed_images, open_backbone, stream
from activesel.embedding.decoding import resize
from activesel.embedding.forward import ForwardPass
from activesel.embedding.stream import arithmetic_threads, count_cores, plan_lanes
from activesel.images import decode_pixels

MAX_PIXELS = 400_000_000
ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="a folder, searched for .jpg and .png below it")
    parser.add_argument("--number", type=int, default=1344, help="how many files, at most")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--heap", choices=["kept", "system"], default="kept", help="system: freed memory goes back, "
                        "as glibc has it; in a run of its own, since a process cannot return to that")  # fmt: skip
    parser.add_argument("--set", action="append", default=[], help="a setting, as on the command line")
    options = parser.parse_args()
    if options.heap == "system":
        stream.kept_heap = contextlib.nullcontext

    config = load_config(None, ["embedding.pooling=plain", *options.set]).embedding  # other pooling needs a bank
    backbone = open_backbone(config)
    threads = config.decode_threads or count_cores()
    with tempfile.TemporaryDirectory() as scratch:
        paths = find_images(options.images, Path(scratch))[: options.number]
        steps: dict[str, Callable[[], None]] = {
            "bare network": lambda: run_bare(backbone, paths),
            "decode only": lambda: run_decode(backbone, paths, threads),
            "end to end": lambda: run_end_to_end(backbone, paths, config.decode_threads, Path(scratch)),
        }
        rates = measure(steps, len(paths), options.rounds)
    print(f"{config.backbone}, {backbone.dtype}, {backbone.device}, batch {backbone.batch_size}, "
          f"{plan_lanes(backbone.device.type)}, {threads} decoders, {len(paths)} files")  # fmt: skip
    for name, speeds in rates.items():
        wall, core = [speed.images_per_s for speed in speeds], [speed.core_ms for speed in speeds]
        print(f"{name:14}{statistics.median(wall):8.1f} img/s ({min(wall):.1f} .. {max(wall):.1f})"
              f"{statistics.median(core):8.2f} core-ms/img ({min(core):.2f} .. {max(core):.2f})")  # fmt: skip
    pairs = list(zip(rates["end to end"], rates["bare network"], strict=True))
    by_clock = statistics.median(whole.images_per_s / bare.images_per_s for whole, bare in pairs)
    by_core = statistics.median(bare.core_ms / whole.core_ms for whole, bare in pairs)
    print(f"end to end / bare: {by_clock:.1%} by the clock, {by_core:.1%} by processor time (asked: 85 %)")


@dataclass(frozen=True)
class Speed:
    """Of one round. core_ms: processor time per image over all threads, which other programs disturb less."""

    images_per_s: float
    core_ms: float


def find_images(folder: Path | None, scratch: Path) -> list[Path]:
    data = Path(os.environ.get("ACTIVESEL_DATA", ROOT.parent / "shared" / "data")) / "magnetic_tile" / "images"
    folder = folder or (data if data.is_dir() else None)
    if folder is None:
        return generate_images(scratch / "generated", 1344)
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    # Evenly from the whole list, which is sorted by class.
    return [paths[i] for i in np.random.default_rng(0).permutation(len(paths))]


def generate_images(folder: Path, number: int) -> list[Path]:
    """Write grey JPEGs of 300 x 400 with the grain of a metal surface."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    paths = [folder / f"{i:04d}.jpg" for i in range(number)]
    for path in paths:
        grain = cv2.GaussianBlur(rng.normal(128, 90, (400, 300)), (0, 0), 1.5)
        cv2.imwrite(str(path), np.clip(grain, 0, 255).astype(np.uint8))
    return paths


def measure(steps: dict[str, Callable[[], None]], n_images: int, rounds: int) -> dict[str, list[Speed]]:
    """Return the speed of each step in each round, after one round that does not count."""
    speeds: dict[str, list[Speed]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name, step in steps.items():
            clock, core = time.perf_counter(), time.process_time()
            step()
            if number:
                taken_s, core_s = time.perf_counter() - clock, time.process_time() - core
                speeds[name].append(Speed(n_images / taken_s, 1000 * core_s / n_images))
    return speeds


def run_bare(backbone: Backbone, paths: list[Path]) -> None:
    shape = (backbone.batch_size, 3, backbone.preprocess.height_px, backbone.preprocess.width_px)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8)
    if backbone.device.type == "cuda":
        pixels = pixels.pin_memory()
    forward = ForwardPass(backbone, backbone.batch_size)
    lanes = plan_lanes(backbone.device.type)
    with stream.kept_heap(), arithmetic_threads(lanes.threads_each), ThreadPoolExecutor(lanes.number) as runners:
        list(runners.map(lambda _: forward(pixels), range(-(-len(paths) // backbone.batch_size))))


def run_decode(backbone: Backbone, paths: list[Path], threads: int) -> None:
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda path: decode(path, backbone), paths))


def decode(path: Path, backbone: Backbone) -> None:
    resize(decode_pixels(path, max_pixels=MAX_PIXELS, at_least_px=backbone.preprocess.height_px), backbone.preprocess)


def run_end_to_end(backbone: Backbone, paths: list[Path], threads: int, scratch: Path) -> None:
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        store = VectorStore(Path(folder), backbone.key)
        batches = list(embed_images(backbone, paths, decode_threads=threads, max_pixels=MAX_PIXELS))
        ids = [f"{i:032x}" for batch in batches for i in batch.rows]
        store.append(ids, np.concatenate([batch.vectors for batch in batches]))


if __name__ == "__main__":
    main()
