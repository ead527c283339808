"""What others make from few real defects, small re-implementations from the published formulas, for bench_synth.py."""

from __future__ import annotations

import cv2
import numpy as np

from synth.records import Donor, Image, Mask


def cut_and_paste(donor: Donor, host: Image, rng: np.random.Generator) -> Image:
    """Copy the masked pixels of a real defect, flipped at random, to a place drawn uniformly (arXiv:2012.07177)."""
    turns = (slice(None, None, int(rng.choice([-1, 1]))), slice(None, None, int(rng.choice([-1, 1]))))
    picture, mask = donor.picture[turns], donor.mask[turns]
    h, w = min(picture.shape[0], host.shape[0]), min(picture.shape[1], host.shape[1])
    picture, mask = picture[:h, :w], mask[:h, :w]
    y, x = int(rng.integers(host.shape[0] - h + 1)), int(rng.integers(host.shape[1] - w + 1))
    pasted = host.copy()
    pasted[y : y + h, x : x + w][mask] = picture[mask]
    return pasted


def perlin_anomaly(host: Image, texture: Image, rng: np.random.Generator) -> Image:
    """Blend a texture in where Perlin noise is high: DRAEM (arXiv:2108.07610, section 3.3), as anomalib does.

    out = I (1 - M) + (1 - b) A M + b I M, b from U(0, 0.8). The texture A is ``texture`` cut into 8 x 8 cells and
    shuffled, as in MemSeg, because the texture data set of the paper is not at hand.
    """
    mask = perlin_mask(host.shape[:2], rng)
    source = shuffle_cells(cv2.resize(texture, host.shape[1::-1]), rng).astype(np.float32)
    b = rng.uniform(0, 0.8)
    blended = host + (1 - b) * (source - host) * mask[:, :, None]
    return np.clip(np.rint(blended), 0, 255).astype(np.uint8)


def perlin_mask(size: tuple[int, ...], rng: np.random.Generator) -> Mask:
    """Return (h, w): rotated Perlin noise above 0.5; drawn again while it is empty."""
    while True:
        noise = perlin_noise((int(size[0]), int(size[1])), [int(2 ** rng.integers(0, 6)) for _ in range(2)], rng)
        centre = (size[1] / 2, size[0] / 2)
        turn = cv2.getRotationMatrix2D(centre, rng.uniform(-90, 90), 1.0)
        mask = cv2.warpAffine(noise, turn, (int(size[1]), int(size[0]))) > 0.5
        if mask.any():
            return np.asarray(mask, np.bool_)


def perlin_noise(size: tuple[int, int], cells: list[int], rng: np.random.Generator) -> np.ndarray:
    """Return (h, w) float32 gradient noise (Perlin 1985) of so many cells down and across."""
    angles = rng.uniform(0, 2 * np.pi, (cells[0] + 1, cells[1] + 1))
    y = np.linspace(0, cells[0], size[0], endpoint=False)[:, None]
    x = np.linspace(0, cells[1], size[1], endpoint=False)[None, :]
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    dy, dx = y - top, x - left

    def corner(down: int, across: int) -> np.ndarray:
        angle = angles[top + down, left + across]
        return np.asarray(np.sin(angle) * (dy - down) + np.cos(angle) * (dx - across))

    fade_y, fade_x = (6 * t**5 - 15 * t**4 + 10 * t**3 for t in (dy, dx))
    above = corner(0, 0) + fade_x * (corner(0, 1) - corner(0, 0))
    below = corner(1, 0) + fade_x * (corner(1, 1) - corner(1, 0))
    return np.asarray(np.sqrt(2) * (above + fade_y * (below - above)), np.float32)


def shuffle_cells(picture: Image, rng: np.random.Generator, n: int = 8) -> Image:
    """Cut into n x n cells and put them back in a random order; what does not fit the grid stays."""
    h, w = picture.shape[0] // n, picture.shape[1] // n
    shuffled = picture.copy()
    for target, source in enumerate(rng.permutation(n * n)):
        (ty, tx), (sy, sx) = divmod(target, n), divmod(int(source), n)
        shuffled[ty * h : (ty + 1) * h, tx * w : (tx + 1) * w] = picture[sy * h : (sy + 1) * h, sx * w : (sx + 1) * w]
    return shuffled
