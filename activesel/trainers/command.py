"""Your own training script: it gets a manifest, leaves a checkpoint and predictions, and is believed nothing else."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from activesel.config.sections import Section
from activesel.errors import DataError, UsageError
from activesel.models import PREDICTIONS, ModelCard
from activesel.predictions import read_predictions
from activesel.trainers.manifest import write_manifest
from activesel.trainers.registry import Fit, Trainer, Work, register
from activesel.trainers.subprocesses import Outcome, run_command

if TYPE_CHECKING:
    from activesel.trainers.onnx_predictor import OnnxPredictor

CHECKPOINTS = ("checkpoint.safetensors", "checkpoint.pt", "checkpoint.pth")
NETWORK, PREPARE, LOG = "model.onnx", "prepare.json", "train.log"
MAX_LOG_BYTES = 1 << 20
MOST_GAP = 0.05  # mean gap between what the network says here and what the script wrote, from which on it is refused
_CHECKED = 8  # images that both are asked about


class CommandOptions(Section):
    """command: a shell command; {manifest} in it becomes the manifest's path, which else is its last argument. entry:
    "module:function" instead, called with that path. files: the model follows from their content, too; those that the
    command names are found by themselves."""

    command: str | None = Field(default=None, min_length=1)
    entry: str | None = Field(default=None, pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    files: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_of_both(self) -> CommandOptions:
        if (self.command is None) == (self.entry is None):
            raise ValueError("either command or entry is given")
        return self


def fit(work: Work, options: CommandOptions, folder: Path) -> Fit:
    """Run the script, check what it left, and take that over.

    Raises:
        DataError: it failed, or left something else than the contract says. UnreachableError: it took too long.
        LockedError: the script of a run that was killed is still at work.
    """
    out = work.scratch / "out"
    out.mkdir(parents=True, exist_ok=True)
    manifest = write_manifest(work, out)
    ran = run_command(command_line(options, manifest), work.root, work.scratch, work.timeout_s)
    probs = read_answers(work, out / PREDICTIONS)
    about = {"checkpoint": _take_checkpoint(out, folder), **_take_network(work, out, folder, probs)}
    _take_log(ran, folder)
    ignored = sorted(path.name for path in out.iterdir() if path.name not in
                     {*CHECKPOINTS, PREDICTIONS, NETWORK, PREPARE})  # fmt: skip
    notes = (
        [f"the script left {len(ignored)} more files, which are not kept: {', '.join(ignored[:3])}"] if ignored else []
    )
    return Fit(probs, about, tuple(notes))


def command_line(options: CommandOptions, manifest: Path) -> str:
    """Return what the shell is given."""
    path = shlex.quote(str(manifest))
    if options.entry is not None:
        return f"{shlex.quote(sys.executable)} -m activesel.trainers.entry {shlex.quote(options.entry)} {path}"
    assert options.command is not None
    return (
        options.command.replace("{manifest}", path) if "{manifest}" in options.command else f"{options.command} {path}"
    )


def read_answers(work: Work, path: Path) -> npt.NDArray[np.float32]:
    """Return (n, c) of the images asked for, columns in the order of the work's classes.

    Raises:
        DataError: no such file, an image without a row, a class that is none of the dataset's or is missing.
    """
    if path.is_symlink():
        raise DataError("the predictions are a link", where=str(path), expected="a file")
    found = read_predictions(path, {one.path: one.image_id for one in work.asked}, [one.image_id for one in work.asked])
    if found.probs is None or found.classes is None:
        raise DataError("no class probabilities with names", where=str(path),
                        expected="probs with class names, or p_CLASS columns")  # fmt: skip
    if set(found.classes) != set(work.classes):
        raise DataError("other classes than the manifest's", where=str(path), found=", ".join(found.classes)[:120],
                        expected=", ".join(work.classes)[:120])  # fmt: skip
    return np.ascontiguousarray(found.probs[:, [found.classes.index(name) for name in work.classes]])


def load(folder: Path, card: ModelCard, device: str) -> OnnxPredictor:
    """Return the network that the script left as model.onnx.

    Raises:
        UsageError: it left none.
    """
    from activesel.trainers.onnx_predictor import OnnxPredictor

    if NETWORK not in card.files:
        raise UsageError("this model cannot answer here: its script left no model.onnx", where=str(folder),
                         hint="see docs/trainers.md for what makes one servable")  # fmt: skip
    return OnnxPredictor(folder / NETWORK, card.classes, card.options["prepare"], device)


def _take_checkpoint(out: Path, folder: Path) -> str:
    """Copy the one checkpoint and return its name; it must hold tensors and nothing that could be run."""
    from activesel.embedding.checkpoints import read_state_dict

    there = [name for name in CHECKPOINTS if (out / name).exists()]
    if len(there) != 1 or (out / there[0]).is_symlink():
        raise DataError("the script left no checkpoint" if not there else "the script left several checkpoints",
                        where=str(out), found=", ".join(there) or "none",
                        expected="one of " + ", ".join(CHECKPOINTS))  # fmt: skip
    read_state_dict(out / there[0])
    shutil.copyfile(out / there[0], folder / there[0])
    return there[0]


def _take_network(work: Work, out: Path, folder: Path, probs: npt.NDArray[np.float32]) -> dict[str, Any]:
    """Copy model.onnx, if there is one, after it was asked about some images and said what the predictions say."""
    from activesel.trainers.onnx_predictor import OnnxPredictor, read_prepare

    path = out / NETWORK
    if not path.exists():
        return {}
    if path.is_symlink():
        raise DataError("the network is a link", where=str(path), expected="a file")
    prepare = read_prepare(out / PREPARE)
    predictor = OnnxPredictor(path, work.classes, prepare, "cpu")
    rows = np.unique(np.linspace(0, len(work.asked) - 1, _CHECKED).astype(np.int64))
    said = predictor.ask_files([Path(work.asked[row].path) for row in rows], work.max_pixels)
    gap = float(np.abs(said - probs[rows]).mean(axis=0).max())
    if gap > MOST_GAP:
        raise DataError("model.onnx says other things than predictions.parquet", where=str(path),
                        found=f"a mean gap of {gap:.2f} over {len(rows)} images", expected=f"at most {MOST_GAP}",
                        hint="does prepare.json say how the script prepares its pixels?")  # fmt: skip
    shutil.copyfile(path, folder / NETWORK)
    return {"prepare": prepare}


def _take_log(ran: Outcome, folder: Path) -> None:
    (folder / LOG).write_bytes(ran.log[-MAX_LOG_BYTES:])


def _follows_from(work: Work, options: CommandOptions) -> str:
    """Return the content of the script's files: those named, and those whose paths the command has."""
    words = shlex.split(options.command) if options.command else []
    if options.entry is not None:
        words = [options.entry.partition(":")[0].replace(".", "/") + ".py"]
    named = [path for word in words if (path := work.root / word).is_file() and not _is_program(path)]
    missing = [name for name in options.files if not (work.root / name).is_file()]
    if missing:
        raise UsageError("a file that the model follows from is not there", where="option files", found=missing[0],
                         expected=f"a file below {work.root}")  # fmt: skip
    paths = sorted({*named, *(work.root / name for name in options.files)})
    return "\n".join(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in paths)


def _is_program(path: Path) -> bool:
    """Tell an interpreter from a script: another build of Python makes no other model."""
    with path.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"


COMMAND = register(Trainer("command", CommandOptions, _follows_from, fit, load))
