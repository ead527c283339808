"""The epochs of a fine-tuning: each ends in a file from which a killed training goes on to the same end."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from activesel.progress import show_progress
from activesel.records import FloatArray, IntArray
from activesel.seeds import derive_rng
from activesel.trainers.fine_tune_network import Tuned
from activesel.trainers.fine_tune_state import History, State, collect, read_state, restore, start_state, write_state
from activesel.trainers.pictures import UNKNOWN, Changes, Pictures, change
from activesel.trainers.sampling import Stock, plan_epoch

PROBE_STEPS, PROBE_RATE, PROBE_DECAY = 300, 3e-3, 0.05  # of the classifier alone; docs/synthesis_fine_tuning.md
PREDICT_BATCH = 16
TEMPERATURES = np.geomspace(0.25, 16, 25).astype(np.float32)
STATE = "state.safetensors"


@dataclass(frozen=True)
class Plan:
    """How to train. batch: images a step. n_batches: steps an epoch. learning_rate: at its height; it rises over a
    share ``warmup`` of all steps and falls on a cosine. ema: of the weights, the share kept at each step. patience:
    epochs without a better validation loss that end it. floor: share of real positives. mask_weight: of the masks'
    loss. seed: of all that is drawn."""

    epochs: int
    batch: int
    n_batches: int
    learning_rate: float
    weight_decay: float
    warmup: float
    ema: float
    patience: int
    floor: float
    mask_weight: float
    changes: Changes
    seed: int


@dataclass(frozen=True)
class Side:
    """Images with their classes (n,)."""

    pictures: Pictures
    classes: IntArray


def train_epochs(
    tuned: Tuned, plan: Plan, train: Side, stock: Stock, held: Side | None, scratch: Path, dtype: torch.dtype
) -> History:
    """Train in place, from where ``scratch`` left off, and leave the best weights in the network.

    held: validation images; without them the last epoch's weights count. dtype: bfloat16 or float32, of the products.
    On a CPU, with as many threads, an interrupted training ends in the same bytes as one that was not.
    """
    learning = {name: value for name, value in tuned.named_parameters() if value.requires_grad}
    state = read_state(scratch / STATE, learning)
    if state is None:
        _probe(tuned, train, stock)
        state = start_state(learning)
    optimiser = torch.optim.AdamW(list(learning.values()), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    restore(state, learning, optimiser, state.history.epoch * plan.n_batches)
    with show_progress("train", plan.epochs * plan.n_batches) as advance:
        advance(state.history.epoch * plan.n_batches)
        while not state.history.is_over(plan.epochs, plan.patience):
            rows = _rows(plan, stock, state.history.epoch)
            for step, (pictures, masks) in enumerate(_batches(train.pictures, rows, plan, state.history.epoch)):
                at = state.history.epoch * plan.n_batches + step
                _step(tuned, optimiser, plan, at, (pictures, masks, train.classes[rows[step]]), dtype)
                _average(state.average, learning, plan.ema, at)
                advance(1)
            _close_epoch(tuned, learning, state, held)
            collect(state, learning, optimiser)
            write_state(scratch / STATE, state)
    with torch.no_grad():
        for name, value in learning.items():
            value.copy_(state.best[name])
    return state.history


def predict(tuned: Tuned, pictures: Pictures) -> FloatArray:
    """Return the logits (n, c) float32 of images as they are."""
    device = tuned.head.weight.device
    found = []
    with torch.inference_mode():
        for start in range(0, len(pictures), PREDICT_BATCH):
            rows = np.arange(start, min(start + PREDICT_BATCH, len(pictures)))
            found.append(tuned(pictures.take(rows)[0].float().to(device))[0].float().cpu().numpy())
    return np.concatenate(found) if found else np.empty((0, tuned.head.out_features), np.float32)


def balanced_loss(logits: FloatArray, classes: IntArray) -> float:
    """Return the log-loss, the mean over classes present of the mean over their images; lower = better."""
    shifted = np.asarray(logits, np.float64) - logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(classes)), classes]
    return float(np.mean([losses[classes == code].mean() for code in np.unique(classes)]))


def calibrated_loss(logits: FloatArray, classes: IntArray) -> float:
    """Return the balanced loss at the temperature where it is the least, as the model will have one: without it, what
    a network gains in rank is hidden by how much too sure it becomes."""
    return min(balanced_loss(logits / temperature, classes) for temperature in TEMPERATURES)


def scale_rate(step: int, n_steps: int, warmup: float) -> float:
    """Return the share of the learning rate at a step: up on a line, then down on a cosine."""
    rise = max(1, round(warmup * n_steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, n_steps - rise)))


def _rows(plan: Plan, stock: Stock, epoch: int) -> IntArray:
    return plan_epoch(stock, plan.n_batches, plan.batch, plan.floor, derive_rng(plan.seed, "fine-tune", "rows", epoch))


def _batches(pictures: Pictures, rows: IntArray, plan: Plan, epoch: int) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yield the changed images of each step; the next ones are decoded meanwhile."""

    def make(step: int) -> tuple[Tensor, Tensor | None]:
        rng = derive_rng(plan.seed, "fine-tune", "changes", epoch, step)
        changed = change(*pictures.take(rows[step]), plan.changes, rng)
        return changed[0], changed[1] if len(changed) > 1 else None

    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as ahead:
        waiting = ahead.submit(make, 0)
        for step in range(len(rows)):
            found = waiting.result()
            if step + 1 < len(rows):
                waiting = ahead.submit(make, step + 1)
            yield found


def _step(
    tuned: Tuned, optimiser: torch.optim.Optimizer, plan: Plan, at: int, batch: tuple[Tensor, Tensor | None, IntArray],
    dtype: torch.dtype,
) -> None:  # fmt: skip
    device = tuned.head.weight.device
    for group in optimiser.param_groups:
        group["lr"] = plan.learning_rate * scale_rate(at, plan.epochs * plan.n_batches, plan.warmup)
    optimiser.zero_grad(set_to_none=True)
    with torch.autocast(device.type, dtype, enabled=dtype is torch.bfloat16):
        logits, masks = tuned(batch[0].to(device))
    loss = functional.cross_entropy(logits.float(), torch.from_numpy(batch[2]).to(device))
    if masks is not None and batch[1] is not None:
        loss = loss + plan.mask_weight * mask_loss(masks.float(), batch[1].to(device))
    torch.autograd.backward([loss])
    optimiser.step()


def mask_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Return the cross-entropy and the Dice loss of cells (b, 1, h', w') against masks (b, h, w); unknown ones are left
    out, and without a known one it is 0."""
    known = (masks != UNKNOWN).flatten(1).all(dim=1)
    if not bool(known.any()):
        return logits.sum() * 0
    target = functional.adaptive_avg_pool2d(masks[known].float()[:, None], (logits.shape[2], logits.shape[3]))
    logits = logits[known]
    overlap = (logits.sigmoid() * target).sum()
    dice = 1 - (2 * overlap + 1) / (logits.sigmoid().sum() + target.sum() + 1)
    return functional.binary_cross_entropy_with_logits(logits, target) + dice


def _average(average: Mapping[str, Tensor], learning: Mapping[str, nn.Parameter], keep: float, step: int) -> None:
    """Move the average towards the weights; faster at first, so that it forgets where it began."""
    kept = min(keep, (1 + step) / (10 + step))
    with torch.no_grad():
        for name, value in learning.items():
            average[name].lerp_(value, 1 - kept)


def _close_epoch(tuned: Tuned, learning: Mapping[str, nn.Parameter], state: State, held: Side | None) -> None:
    """Measure the average on the validation images, keep it if it is the best, and count the epoch."""
    loss = math.nan
    if held is not None:
        with _borrowed(learning, state.average):
            loss = calibrated_loss(predict(tuned, held.pictures), held.classes)
    history = state.history
    known = [one for one in history.losses if not math.isnan(one)]
    if math.isnan(loss) or not known or loss < min(known):
        state.best = {name: value.clone() for name, value in state.average.items()}
        history = replace(history, best=history.epoch)
    state.history = replace(history, epoch=history.epoch + 1, losses=(*history.losses, loss))


@contextlib.contextmanager
def _borrowed(learning: Mapping[str, nn.Parameter], values: Mapping[str, Tensor]) -> Iterator[None]:
    """Put other values into the weights for a while."""
    own = {name: value.detach().clone() for name, value in learning.items()}
    with torch.no_grad():
        for name, value in learning.items():
            value.copy_(values[name])
        try:
            yield
        finally:
            for name, value in learning.items():
                value.copy_(own[name])


def _probe(tuned: Tuned, train: Side, stock: Stock) -> None:
    """Train the classifier alone on what the untouched backbone says (Kumar et al. 2022, arXiv:2202.10054): gradients
    of an untrained classifier would spoil the features."""
    device = tuned.head.weight.device
    found = []
    with torch.inference_mode():
        for start in range(0, len(train.pictures), PREDICT_BATCH):
            rows = np.arange(start, min(start + PREDICT_BATCH, len(train.pictures)))
            pixels = tuned.normalise(train.pictures.take(rows)[0].float().to(device))
            found.append(tuned.features(pixels).float())
    features = torch.cat(found).clone()
    classes = torch.from_numpy(train.classes).to(device)
    weights = torch.from_numpy(_class_weights(stock)).to(device)
    optimiser = torch.optim.AdamW(tuned.head.parameters(), lr=PROBE_RATE, weight_decay=PROBE_DECAY)
    wide = functional.pad(features, (0, tuned.head.in_features - features.shape[1]))
    for _ in range(PROBE_STEPS):
        optimiser.zero_grad(set_to_none=True)
        losses = functional.cross_entropy(tuned.head(wide), classes, reduction="none")
        torch.autograd.backward([(losses * weights).sum()])
        optimiser.step()


def _class_weights(stock: Stock) -> FloatArray:
    """Return (m,) shares, 1 together, the same for every class."""
    sums = np.bincount(stock.classes, stock.weights)[stock.classes]
    return np.asarray(stock.weights / sums / len(np.unique(stock.classes)), np.float32)
