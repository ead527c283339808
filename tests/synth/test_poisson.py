"""The solver against a dense one, by hand on constants and ramps, and the stain that OpenCV's seamlessClone erases."""

from __future__ import annotations

import numpy as np
import pytest

from synth.background import grow
from synth.poisson import Task, divergence, solve_corrections
from synth.records import Levels, Mask

Free = tuple[bool, bool, bool, bool]


def disc(size: int, radius: float) -> Mask:
    y, x = np.mgrid[0:size, 0:size] - (size - 1) / 2
    return np.asarray(y * y + x * x <= radius * radius)


def colour(grey: np.ndarray) -> Levels:
    return np.repeat(grey[:, :, None], 3, 2).astype(np.float32)


def dense_laplace(shape: tuple[int, int], free: Free) -> np.ndarray:
    height, width = shape
    out = np.zeros((height * width, height * width))
    for y in range(height):
        for x in range(width):
            for dy, dx, end in ((-1, 0, free[0]), (1, 0, free[1]), (0, -1, free[2]), (0, 1, free[3])):
                inside = 0 <= y + dy < height and 0 <= x + dx < width
                if inside or not end:
                    out[y * width + x, y * width + x] -= 1
                if inside:
                    out[y * width + x, (y + dy) * width + x + dx] += 1
    return out


@pytest.mark.parametrize("free", [(False,) * 4, (True, False, False, False), (False, True, False, True),
                                  (True, False, True, False), (True, True, False, False)])  # fmt: skip
def test_same_as_a_dense_solve(free: Free) -> None:
    rng = np.random.default_rng(3)
    shape = (32, 32)  # a bucket's own size: nothing is padded
    task = Task(*(rng.uniform(0, 255, (*shape, 3)).astype(np.float32) for _ in range(2)), disc(32, 20), free)
    flux = divergence(task)[:, :, 0].ravel().astype(float)
    expected = np.linalg.solve(dense_laplace(shape, free), flux).reshape(shape)
    assert np.abs(solve_corrections([task])[0][:, :, 0] - expected).max() < 0.02


def test_all_sides_free_has_no_anchor_but_the_mean() -> None:
    rng = np.random.default_rng(3)
    picture, host = (rng.uniform(0, 255, (20, 30, 3)).astype(np.float32) for _ in range(2))
    (u,) = solve_corrections([Task(picture, host, np.ones((20, 30), bool), (True,) * 4)])
    wanted = picture - host
    assert np.abs(u - (wanted - wanted.mean((0, 1)))).max() < 0.02


@pytest.mark.parametrize("offset", [0.0, 40.0])
def test_constants_and_ramps_change_nothing(offset: float) -> None:
    ramp = np.mgrid[0:50, 0:70][1] * 2.0
    (u,) = solve_corrections([Task(colour(ramp + offset), colour(ramp), disc(70, 20)[10:60])])
    assert np.abs(u).max() < 0.01


def test_a_stain_survives_with_a_margin_of_one_pixel() -> None:
    stain = disc(80, 20)
    picture, host = colour(np.where(stain, 90, 150)), colour(np.full((80, 80), 150))
    erased, kept = solve_corrections([Task(picture, host, stain), Task(picture, host, grow(stain, 1))])
    assert 149 <= 150 + erased[40, 40, 0] <= 151
    assert abs(150 + kept[40, 40, 0] - 90) < 0.1


def test_mixed_gradients_keep_the_hosts_edges() -> None:
    lines = np.full((64, 64), 150.0)
    lines[:, 32] = 60
    flat = np.full((64, 64), 100.0)
    normal, mixed = solve_corrections(
        [Task(colour(flat), colour(lines), disc(64, 20), mixed=mode) for mode in (False, True)]
    )
    assert abs(60 + normal[32, 32, 0] - 150) < 12  # the line is replaced by flat ground
    assert np.abs(mixed).max() < 0.01


def test_unequal_sizes_give_the_same_in_any_company() -> None:
    rng = np.random.default_rng(5)
    tasks = [
        Task(*(rng.uniform(0, 255, (h, w, 3)).astype(np.float32) for _ in range(2)), disc(64, 14)[:h, :w])
        for h, w in ((40, 60), (33, 64), (64, 64), (20, 90 - 30))
    ]
    together = solve_corrections(tasks)
    for task, both in zip(tasks, together, strict=True):
        assert both.shape == task.host.shape
        assert np.abs(solve_corrections([task])[0] - both).max() < 0.01
