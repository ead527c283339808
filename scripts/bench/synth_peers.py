"""Other packages' defect generators, one picture in, one out; what is not installed says so.

    python -m pip install --no-deps --target build/peers anomalib==2.7.0 defect-synthesis==0.1.0

anomalib's generator is loaded from its own two files without the rest of the package, whose import needs lightning,
kornia, omegaconf and more: nothing of it is changed, only ``anomalib.data.transforms`` is a stand-in for its folder.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PathDistribution, distributions
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from activesel.embedding.torchvision_shim import declare_torchvision_operators
from synth.records import Image

Generate = Callable[[Image], Image]
NAMES = ("anomalib, Perlin", "defect-synthesis, scratch", "defect-synthesis, crack", "defect-synthesis, pit",
         "defect-synthesis, stain")  # fmt: skip


def load_peers(folder: Path | None) -> dict[str, Generate | None]:
    """Return name and version -> generator, None for what is not installed. folder: searched after the usual places."""
    if folder is not None:
        sys.path.append(str(folder))
    found = {one.name: one for one in distributions() if isinstance(one, PathDistribution)}
    peers: dict[str, Generate | None] = {}
    for name in NAMES:
        package, kind = name.split(", ")
        if package not in found:
            peers[name] = None
        elif package == "anomalib":
            peers[f"anomalib {found[package].version}, {kind}"] = load_perlin(Path(str(found[package].locate_file(""))))
        else:
            peers[f"{package} {found[package].version}, {kind}"] = load_recipe(kind)
    return peers


def load_perlin(folder: Path) -> Generate:
    """anomalib.data.utils.generators.perlin: defects in every picture, at its own blend factors, texture = noise."""
    declare_torchvision_operators()
    for name in ("anomalib", "anomalib.data", "anomalib.data.transforms"):
        sys.modules.setdefault(name, ModuleType(name))
    package = folder / "anomalib" / "data"
    choice = load_file("anomalib.data.transforms.multi_random_choice", package / "transforms/multi_random_choice.py")
    sys.modules["anomalib.data.transforms"].MultiRandomChoice = choice.MultiRandomChoice  # type: ignore[attr-defined]
    perlin = load_file("anomalib.data.utils.generators.perlin", package / "utils/generators/perlin.py")
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)  # one of its thresholds is drawn when it is built
        generator = perlin.PerlinAnomalyGenerator(anomaly_source_path=None, probability=1.0)

    def generate(picture: Image) -> Image:
        levels = torch.tensor(picture).permute(2, 0, 1).float() / 255
        changed, _ = generator(levels)
        return np.ascontiguousarray((changed.clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy())

    return generate


def load_file(name: str, path: Path) -> Any:
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def load_recipe(kind: str) -> Generate:
    """One of defect-synthesis' generators with its own defaults; channels are BGR to it."""
    package = import_module("defect_synthesis")
    classes = {"scratch": "ScratchGenerator", "crack": "CrackGenerator", "pit": "PittingGenerator",
               "stain": "StainGenerator"}  # fmt: skip
    generator = getattr(package, classes[kind])()
    return lambda picture: np.asarray(generator.apply(picture).image, np.uint8)
