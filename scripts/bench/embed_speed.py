"""Files to vectors on a GPU (or, for a check, the CPU) beside the bare network on pixels that are ready."""

from __future__ import annotations

import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

DISTINCT_FILES = 512


@dataclass(frozen=True)
class EmbedSpeed:
    """Images a second, the median of the rounds. share: end to end over bare, paired by round."""

    network: str
    bare: float
    decode: float
    end_to_end: float
    share: float


def measure_embedding(name: str, device: str, n_images: int, rounds: int) -> EmbedSpeed:
    """Measure a randomly initialised timm network: speed does not depend on the weights, and nothing is fetched."""
    from bench_embed import measure, run_bare, run_end_to_end

    backbone = open_random(name, device)
    with tempfile.TemporaryDirectory(prefix="activesel-embed-") as scratch:
        paths = repeat_files(make_files(Path(scratch) / "images", min(DISTINCT_FILES, n_images)), n_images)
        steps = {
            "bare": lambda: run_bare(backbone, paths),
            "decode": lambda: decode_as_product(backbone, paths),
            "end to end": lambda: run_end_to_end(backbone, paths, 0, Path(scratch)),
        }
        rates = {
            step: [one.images_per_s for one in speeds] for step, speeds in measure(steps, n_images, rounds).items()
        }
    share = statistics.median(whole / bare for whole, bare in zip(rates["end to end"], rates["bare"], strict=True))
    medians = {step: statistics.median(values) for step, values in rates.items()}
    return EmbedSpeed(name, medians["bare"], medians["decode"], medians["end to end"], share)


def decode_as_product(backbone: Any, paths: list[Path]) -> None:
    """Files to pixels alone, in the processes or threads that `embed_images` would decode in."""
    from bench_embed import MAX_PIXELS, run_decode

    from activesel.embedding.processes import decode_in_processes
    from activesel.embedding.stream import count_cores, plan_processes

    processes = plan_processes(backbone.device.type, len(paths))
    if processes:
        for _ in decode_in_processes(backbone, paths, processes, MAX_PIXELS):
            pass
    else:
        run_decode(backbone, paths, count_cores())


def open_random(name: str, device: str) -> Any:
    """Return a Backbone of timm's network ``name`` with random weights, as `open_backbone` would return it."""
    import torch

    from activesel.embedding.backbone import AUTO_BATCH, Backbone
    from activesel.embedding.network import PixelNetwork, fuse_batchnorm, infer_dim
    from activesel.embedding.registry import Preprocess
    from activesel.embedding.torchvision_shim import declare_torchvision_operators

    declare_torchvision_operators()
    import timm

    torch.manual_seed(0)
    network = timm.create_model(name, pretrained=False, num_classes=0).eval()
    preprocess = Preprocess(224, 224, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), interpolation="bicubic")
    on, dtype = torch.device(device), torch.bfloat16 if device != "cpu" else torch.float32
    module = PixelNetwork(fuse_batchnorm(network, preprocess), preprocess).eval().to_device(on, dtype)
    return Backbone(f"random-{name}", infer_dim(module, name), preprocess, module, on, dtype, AUTO_BATCH[on.type])


def make_files(folder: Path, number: int) -> list[Path]:
    """Write grey JPEGs of 300 x 400 with the grain of a metal surface, on all cores."""
    import cv2

    def write(i: int) -> Path:
        rng = np.random.default_rng(i)
        grain = cv2.GaussianBlur(rng.normal(128, 90, (400, 300)).astype(np.float32), (0, 0), 1.5)
        path = folder / f"{i:04d}.jpg"
        cv2.imwrite(str(path), np.clip(grain, 0, 255).astype(np.uint8))
        return path

    folder.mkdir()
    with ThreadPoolExecutor() as pool:
        return list(pool.map(write, range(number)))


def repeat_files(paths: list[Path], number: int) -> list[Path]:
    return [paths[i % len(paths)] for i in range(number)]
