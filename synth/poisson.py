"""Gradient-domain blending: many rectangles in one exact solve, by two matrix products each way.

Solves for the correction u that is added to the host: laplace(u) = div(m (grad picture - grad host)), m = 1 where both
ends of a step lie inside the mask. u is 0 beyond a side ("fixed") unless the image ends there ("free": no flux).
Perez, Gangnet & Blake 2003 (doi:10.1145/882262.882269), mixed gradients their section 3; DST-I as in the fast Poisson
solvers, with the matching sine and cosine matrices where an end is free.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

from synth.buckets import bucket
from synth.records import Levels, Mask

Ends = tuple[bool, bool]  # whether the image ends at the low and the high end of an axis


@dataclass(frozen=True)
class Task:
    """One rectangle. picture, host: (h, w, 3). mask: (h, w), reaching 1 px beyond the visible defect or it is erased.

    free: the image ends at (top, bottom, left, right). mixed: the stronger of both gradients instead of the picture's.
    """

    picture: Levels
    host: Levels
    mask: Mask
    free: tuple[bool, bool, bool, bool] = (False, False, False, False)
    mixed: bool = False


def solve_corrections(tasks: Sequence[Task], device: str = "cpu") -> list[Levels]:
    """Return what to add to each task's host, (h, w, 3). Tasks of one bucket are solved together."""
    groups: dict[tuple[int, int, Ends, Ends], list[int]] = defaultdict(list)
    for index, task in enumerate(tasks):
        height, width = task.mask.shape
        top, bottom, left, right = task.free
        size = padded(height, (top, bottom)), padded(width, (left, right))
        groups[(*size, (top, bottom), (left, right))].append(index)
    out: list[Levels] = [np.empty(0, np.float32)] * len(tasks)
    for (height, width, ends_y, ends_x), members in groups.items():
        flux = np.zeros((len(members), 3, height, width), np.float32)
        places = []
        for row, index in enumerate(members):
            place = place_in(tasks[index].mask.shape, (height, width), (ends_y[1], ends_x[1]))
            flux[row][(slice(None), *place)] = divergence(tasks[index]).transpose(2, 0, 1)
            places.append(place)
        solved = solve_laplace(torch.from_numpy(flux).to(device), ends_y, ends_x).cpu().numpy()
        for row, index in enumerate(members):
            out[index] = solved[row][(slice(None), *places[row])].transpose(1, 2, 0)
    return out


def padded(length: int, ends: Ends) -> int:
    """An axis that is free at both ends cannot be padded; any other is, at a fixed end."""
    return length if all(ends) else bucket(length)


def place_in(shape: tuple[int, ...], size: tuple[int, int], at_high_end: tuple[bool, bool]) -> tuple[slice, slice]:
    """Where a rectangle lies in its bucket: against the free end."""
    starts = [whole - part if high else 0 for part, whole, high in zip(shape, size, at_high_end, strict=True)]
    return slice(starts[0], starts[0] + shape[0]), slice(starts[1], starts[1] + shape[1])


def divergence(task: Task) -> Levels:
    """div(m (grad picture - grad host)), (h, w, 3)."""
    change = task.picture - task.host
    out = np.zeros(change.shape, np.float32)
    for axis, low, high in ((0, np.s_[:-1], np.s_[1:]), (1, np.s_[:, :-1], np.s_[:, 1:])):
        inside = (task.mask[low] & task.mask[high])[:, :, None]
        if task.mixed:
            own = np.abs(np.diff(task.host, axis=axis))
            inside = inside & (np.abs(np.diff(task.picture, axis=axis)) > own)
        step = (change[high] - change[low]) * inside
        out[low] += step
        out[high] -= step
    return out


def solve_laplace(flux: torch.Tensor, ends_y: Ends, ends_x: Ends) -> torch.Tensor:
    """Solve laplace(u) = flux, (b, c, h, w), exactly up to float32; free on all four sides: u has mean 0."""
    basis_y, basis_x, inverse = (part.to(flux.device) for part in solver(flux.shape[2], ends_y, flux.shape[3], ends_x))
    spectrum = basis_y.T @ flux @ basis_x
    return basis_y @ spectrum.mul_(inverse) @ basis_x.T


@lru_cache(maxsize=256)
def solver(height: int, ends_y: Ends, width: int, ends_x: Ends) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Eigenvectors of both axes, and what the spectrum (h, w) is multiplied by; float32."""
    basis_y, values_y = eigen(height, ends_y)
    basis_x, values_x = eigen(width, ends_x)
    values = values_y[:, None] + values_x[None, :]
    inverse = torch.where(values > 1e-9, -1 / values.clamp_min(1e-12), torch.zeros_like(values))
    return basis_y, basis_x, inverse.float()


@lru_cache(maxsize=256)
def eigen(length: int, ends: Ends) -> tuple[torch.Tensor, torch.Tensor]:
    """The negative second difference: orthonormal eigenvectors in columns, float32, and eigenvalues, float64."""
    at = np.arange(length, dtype=np.float64)[:, None]
    order = np.arange(length, dtype=np.float64)[None, :]
    if ends == (False, False):
        angle = np.pi * (order + 1) / (length + 1)
        basis = np.sin(angle * (at + 1))
    elif ends == (True, True):
        angle = np.pi * order / length
        basis = np.cos(angle * (at + 0.5))
    else:
        angle = np.pi * (2 * order + 1) / (2 * length + 1)
        distance = length - at if ends[0] else at + 1  # to the fixed end
        basis = np.sin(angle * distance)
    basis /= np.linalg.norm(basis, axis=0, keepdims=True)
    values: npt.NDArray[np.float64] = 2 - 2 * np.cos(angle[0])
    return torch.from_numpy(basis.astype(np.float32)), torch.from_numpy(values)
