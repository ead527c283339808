"""What a fine-tuning needs to go on after an epoch, as one safetensors file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from activesel.errors import DataError
from activesel.workspace import write_atomic

_PARTS = ("weights", "average", "best", "first", "second")


@dataclass(frozen=True)
class History:
    """epoch: how many are done. losses: of the validation images after each, nan without any. best: the epoch (from
    0) whose weights count."""

    epoch: int = 0
    losses: tuple[float, ...] = ()
    best: int = -1

    def is_over(self, epochs: int, patience: int) -> bool:
        """Tell whether all epochs are done, or ``patience`` of them brought no better loss."""
        return self.epoch >= epochs or (self.epoch > 0 and self.epoch - 1 - self.best >= patience)


@dataclass
class State:
    """Tensors by name: the learning weights, their moving average, the best average, the optimiser's two moments."""

    weights: dict[str, Tensor]
    average: dict[str, Tensor]
    best: dict[str, Tensor]
    first: dict[str, Tensor]
    second: dict[str, Tensor]
    history: History = field(default_factory=History)


def start_state(learning: Mapping[str, nn.Parameter]) -> State:
    """Return the state before the first epoch."""

    def copies() -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in learning.items()}

    def zeros() -> dict[str, Tensor]:
        return {name: torch.zeros_like(value) for name, value in learning.items()}

    return State(copies(), copies(), copies(), zeros(), zeros())


def collect(state: State, learning: Mapping[str, nn.Parameter], optimiser: torch.optim.Optimizer) -> None:
    """Take the weights and moments as they are now."""
    for name, value in learning.items():
        state.weights[name] = value.detach().clone()
        moments = optimiser.state.get(value, {})  # of a layer that no loss reaches there are none
        state.first[name] = moments.get("exp_avg", state.first[name])
        state.second[name] = moments.get("exp_avg_sq", state.second[name])


def restore(state: State, learning: Mapping[str, nn.Parameter], optimiser: torch.optim.Optimizer, n_steps: int) -> None:
    """Put weights and moments back as they were after so many steps."""
    with torch.no_grad():
        for name, value in learning.items():
            value.copy_(state.weights[name])
            if n_steps:
                optimiser.state[value] = {"step": torch.tensor(float(n_steps)), "exp_avg": state.first[name].clone(),
                                          "exp_avg_sq": state.second[name].clone()}  # fmt: skip


def write_state(path: Path, state: State) -> None:
    """Write the state, whole or not at all.

    Raises:
        UnreachableError: the disk is full.
    """
    from safetensors.torch import save

    tensors = {f"{part}/{name}": value.detach().cpu().contiguous()
               for part in _PARTS for name, value in getattr(state, part).items()}  # fmt: skip
    losses = [None if math.isnan(one) else one for one in state.history.losses]
    about = {"history": json.dumps({**asdict(state.history), "losses": losses})}
    write_atomic(path, save({name: value.clone() for name, value in tensors.items()}, about))


def read_state(path: Path, learning: Mapping[str, nn.Parameter]) -> State | None:
    """Return the state that a killed run left, None where there is none.

    Raises:
        DataError: it is damaged or another network's.
    """
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            found = json.loads(file.metadata()["history"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        parts = [
            {name: tensors[f"{part}/{name}"].to(value.device) for name, value in learning.items()} for part in _PARTS
        ]
        if any(part[name].shape != value.shape for part in parts for name, value in learning.items()):
            raise ValueError("other shapes")
        losses = tuple(math.nan if one is None else float(one) for one in found["losses"])
        history = History(int(found["epoch"]), losses, int(found["best"]))
        return State(**dict(zip(_PARTS, parts, strict=True)), history=history)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DataError("cannot go on with this training", where=str(path), found=str(error)[:120],
                        hint="delete the folder and run `activesel train` again") from None  # fmt: skip
