"""The story of `activesel synth`: hand synth a safe reader, an embedder and the labels; its errors become ours."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from activesel.config import Config
from activesel.errors import DataError, UsageError
from activesel.images import decode_rgb
from activesel.pipelines.label_files import write_label_file
from activesel.progress import show_progress
from activesel.workspace import Workspace
from synth.errors import SynthError
from synth.fill import GapAim
from synth.generate import Summary, describe, generate
from synth.publish import ACCEPTED, REJECTED, Published, decide, read_decisions_file
from synth.recipes import load_recipes
from synth.records import Embedder, Image
from synth.replay import Replayed, replay
from synth.stocking import GenerateRequest, Stocked

if TYPE_CHECKING:
    from activesel.embedding import Backbone

__all__ = ["GenerateRequest", "Published", "Replayed", "Summary", "list_recipes", "plan_synthesis", "replay_variant",
           "request_in_workspace", "review_set", "synthesise"]  # fmt: skip


@dataclass(frozen=True)
class ReadRgb:
    """activesel's reader of untrusted files, as synth wants it; may be sent to a worker process."""

    max_pixels: int

    def __call__(self, path: Path) -> Image:
        """Return (h, w, 3) RGB; raises SynthError for what cannot be decoded."""
        try:
            return decode_rgb(path, max_pixels=self.max_pixels)
        except DataError as error:
            raise SynthError(str(error)) from None


class EmbedPictures:
    """Pictures to unit rows by the backbone's plain average; defect-aware pooling would need a bank for each set."""

    def __init__(self, config: Config) -> None:
        self._config = config.embedding.model_copy(update={"pooling": "plain"})

    def __call__(self, pictures: list[Image]) -> npt.NDArray[np.float32]:
        """Return (n, d) unit rows, batch by batch."""
        import torch

        from activesel.embedding.decoding import resize
        from activesel.embedding.forward import ForwardPass

        backbone, size = self._backbone, self._backbone.batch_size
        forward = ForwardPass(backbone, size)
        rows = [np.empty((0, backbone.dim), np.float32)]
        for start in range(0, len(pictures), size):
            pixels = [
                resize(np.require(one, requirements=("C", "W")), backbone.preprocess)
                for one in pictures[start : start + size]
            ]
            padding = size - len(pixels)
            pixels += [torch.zeros_like(pixels[0])] * padding  # a full batch always: the same picture, the same bits
            found = np.asarray(forward(torch.stack(pixels)), np.float32)
            rows.append(found[: len(found) - padding])
        vectors = np.concatenate(rows)
        return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), np.float32)

    @functools.cached_property
    def _backbone(self) -> Backbone:
        from activesel.embedding import open_backbone

        return open_backbone(self._config)


def synthesise(request: GenerateRequest, config: Config, *, embed: bool = True, aim: GapAim | None = None) -> Summary:
    """Make a set; progress shows on a terminal. aim: keep what these gaps need.

    Raises:
        DataError: what SynthError says. ConfigError, UnreachableError: the backbone cannot be opened.
    """
    embedder: Embedder | None = EmbedPictures(config) if embed else None
    with translate(), show_progress("synthesise", request.count) as advance:
        return generate(request, reader(config), embedder, advance, aim)


def plan_synthesis(request: GenerateRequest, config: Config) -> dict[str, Any]:
    """Say what `synthesise` would work with; reads the examples, writes nothing.

    Raises:
        DataError: what SynthError says.
    """
    with translate():
        stocked: Stocked = describe(request, reader(config))
    return {"class": request.label, "count": request.count, "most_proposals": request.limit, "folder": str(request.out),
            "recipes": list(request.recipes), "notes": list(stocked.notes)}  # fmt: skip


def request_in_workspace(
    workspace: Workspace, request: GenerateRequest, *, folder: Path | None = None, masks: Path | None = None
) -> GenerateRequest:
    """Ask for the workspace's labels, or those of ``request.labels``, without the images that are to test the model.

    They are written to a label file in ``folder``, by default one of the workspace; a label file that may be used as
    it is stays itself. masks: a table of where defects are.

    Raises:
        DataError: no image has a label; a label file or table that is wrong.
    """
    with translate():
        path = write_label_file(workspace, request, folder or workspace.state / "synth", masks)
    return request if path == request.labels else replace(request, labels=path, images=None, group_column="group")


def replay_variant(folder: Path, variant_id: str, config: Config) -> Replayed:
    """Make an image of a set again.

    Raises:
        DataError: what SynthError says.
    """
    with translate():
        return replay(folder, variant_id, reader(config))


def review_set(
    folder: Path, decisions: Path | None, accept: list[str], reject: list[str], undo: list[str]
) -> Published:
    """Remember decisions and publish the set again.

    Raises:
        UsageError: one id under two decisions. DataError: what SynthError says.
    """
    by_state = {ACCEPTED: accept, REJECTED: reject, "": undo}
    single = [(name, state) for state, names in by_state.items() for name in names]
    if len({name for name, _ in single}) < len(single):
        raise UsageError("an image is named twice", found=", ".join(name for name, _ in single))
    with translate():
        changes = read_decisions_file(decisions) if decisions is not None else {}
        return decide(folder, {**changes, **dict(single)})


def list_recipes() -> list[tuple[str, str]]:
    """Return the name of each recipe, and what it draws, in the order of names.

    Raises:
        DataError: what SynthError says of a file of ranges.
    """
    with translate():
        found = load_recipes()
    return [(name, (type(one).__doc__ or "").partition("\n")[0]) for name, one in sorted(found.items())]


def reader(config: Config) -> ReadRgb:
    """Return the reader with the limit that the settings have for ingest."""
    return ReadRgb(round(config.ingest.max_megapixels * 1e6))


@contextlib.contextmanager
def translate() -> Iterator[None]:
    """Turn synth's errors into ours, which have an exit code."""
    try:
        yield
    except SynthError as error:
        raise DataError(str(error)) from None
