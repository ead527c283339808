"""Backbone families by name: what each needs to name its weights cheaply and to build its network late."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from activesel.errors import ConfigError, UnreachableError

if TYPE_CHECKING:
    from torch import nn

DOWNLOAD_SUFFIX = "@download"


@dataclass(frozen=True)
class Preprocess:
    """How a backbone wants its pixels: the whole image stretched to this size, then (value / 255 - mean) / std.

    No centre crop, unlike in ImageNet evaluation: defects sit at the rim as often as in the middle.
    """

    height_px: int
    width_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Literal["bicubic", "bilinear"]


@dataclass(frozen=True)
class Request:
    """What the settings ask of a family: `timm:resnet50@download` is variant resnet50, download True."""

    variant: str
    checkpoint: Path | None
    download: bool


@dataclass(frozen=True)
class Recipe:
    """A backbone not built yet.

    weights: the file with its weights, or a tag for weights that their own library keeps. build: returns the network,
    float32 in eval mode, (b, 3, h, w) -> (b, d) pooled features without a classifier, and its preprocessing.
    """

    weights: Path | str
    build: Callable[[], Built]


Built = tuple["nn.Module", Preprocess]
Family = Callable[[Request], Recipe]
_FAMILIES: dict[str, Family] = {}


def backbone_family(name: str) -> Callable[[Family], Family]:
    """Register a family; a name that ends in ":" takes a variant after it.

    Raises:
        ValueError: the name is taken.
    """

    def register(family: Family) -> Family:
        if name in _FAMILIES:
            raise ValueError(f"backbone {name!r} is registered twice")
        _FAMILIES[name] = family
        return family

    return register


def family_names() -> tuple[str, ...]:
    """Return every registered name, sorted."""
    return tuple(sorted(_FAMILIES))


def find_recipe(name: str, checkpoint: Path | None) -> Recipe:
    """Return the recipe that ``name`` asks for; imports no deep-learning library.

    Raises:
        ConfigError: unknown name, a variant missing, weights that nobody gave.
    """
    stem = name.removesuffix(DOWNLOAD_SUFFIX)
    prefix, colon, variant = stem.partition(":")
    family = _FAMILIES.get(prefix + colon)
    if family is None or bool(colon) != bool(variant):
        raise unknown_name(name, _FAMILIES, where="embedding.backbone")
    return family(Request(variant, checkpoint, download=stem != name))


def unknown_name(name: str, known: Iterable[str], *, where: str) -> ConfigError:
    """Return the error for a name that is not among ``known``, with the nearest ones."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    listed = ", ".join(near or names[:5])
    hint = None if ":" in name else f"a model of timm is written timm:{name}, one of torchvision torchvision:{name}"
    return ConfigError("unknown backbone", where=where, found=repr(name), expected=listed, hint=hint)


def recipe_of(prefix: str, request: Request, build: Callable[[str, Path | None], Built]) -> Recipe:
    """Return the recipe of a library's model: the user's checkpoint, or the library's own weights if asked for.

    build: (name in the library, checkpoint or None to fetch) -> network and preprocessing.

    Raises:
        ConfigError: neither was given.
    """
    if request.checkpoint is not None:
        return Recipe(request.checkpoint, functools.partial(build, request.variant, request.checkpoint))
    if request.download:
        return Recipe("pretrained", functools.partial(build, request.variant, None))
    raise no_weights(f"{prefix}:{request.variant}")


def no_weights(name: str) -> ConfigError:
    """Return the error for a network whose weights nobody gave or asked to fetch."""
    return ConfigError("this backbone comes without weights", where="embedding.backbone", found=repr(name),
                       hint=f"set embedding.checkpoint to a file, or write {name}{DOWNLOAD_SUFFIX}")  # fmt: skip


def cannot_fetch(name: str, error: Exception) -> UnreachableError:
    """Return the error for weights that were asked for and did not come."""
    return UnreachableError(f"cannot fetch the weights of {name}", found=" ".join(str(error).split())[:200],
                            hint="set embedding.checkpoint to a file instead")  # fmt: skip
