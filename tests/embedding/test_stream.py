"""The stream: every file's vector in order, no file fatal, memory that runs out, and the same vector in any company."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from activesel.embedding import Backbone, embed_images, open_backbone
from activesel.embedding.decoding import resize, resize_all
from activesel.embedding.forward import ForwardPass, to_half
from activesel.embedding.registry import Preprocess
from activesel.errors import DataError, UnreachableError
from tests.embedding.conftest import Settings, write_images


def embed_all(backbone: Backbone, paths: list[Path]) -> np.ndarray:
    return np.concatenate([batch.vectors for batch in embed_images(backbone, paths, max_pixels=2 * 10**6)])


@pytest.mark.parametrize("decode_threads", [0, 3])
@pytest.mark.parametrize("n", [0, 1, 4, 5, 23])
def test_order_and_number(n: int, decode_threads: int, settings: Settings, tmp_path: Path) -> None:
    paths = write_images(tmp_path, n)
    before = torch.get_num_threads()
    batches = list(embed_images(open_backbone(settings()), paths, decode_threads=decode_threads, max_pixels=10**6))
    assert [row for batch in batches for row in batch.rows] == list(range(n))
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("name", ["tiny", "efficientnet_lite0"])
def test_an_image_has_the_same_vector_in_any_company(name: str, settings: Settings, tmp_path: Path) -> None:
    paths = write_images(tmp_path, 11)
    backbone = open_backbone(settings(name, precision="auto"))
    vectors = embed_all(backbone, paths)
    order = np.random.default_rng(1).permutation(11)
    np.testing.assert_array_equal(embed_all(backbone, [paths[i] for i in order]), vectors[order])
    np.testing.assert_array_equal(embed_all(backbone, [paths[5]]), vectors[5:6])


def test_files_that_broke_are_told_and_the_rest_embedded(settings: Settings, tmp_path: Path) -> None:
    paths = write_images(tmp_path, 10)
    backbone = open_backbone(settings())
    vectors = embed_all(backbone, paths)
    paths[2].unlink()
    paths[3].write_bytes(paths[3].read_bytes()[:60])
    paths[9].write_bytes(b"")
    batches = list(embed_images(backbone, paths, max_pixels=10**6))
    failed = dict(pair for batch in batches for pair in batch.failed)
    rows = [int(row) for batch in batches for row in batch.rows]
    assert set(failed) == {2, 3, 9}
    assert all(str(paths[row]) in message for row, message in failed.items())
    assert rows == [0, 1, 4, 5, 6, 7, 8]
    np.testing.assert_array_equal(np.concatenate([batch.vectors for batch in batches]), vectors[rows])


def test_leaving_early_stops_the_threads(settings: Settings, tmp_path: Path) -> None:
    batches = embed_images(open_backbone(settings()), write_images(tmp_path, 40), max_pixels=10**6)
    next(batches)
    batches.close()
    with pytest.raises(StopIteration):
        next(batches)


class SmallMemory(torch.nn.Module):
    """A network on a device with room for ``room`` images; raises what torch raises there."""

    def __init__(self, inner: torch.nn.Module, room: int, error: Exception) -> None:
        super().__init__()
        self.inner, self.room, self.error = inner, room, error
        self.sizes: list[int] = []

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(pixels))
        if len(pixels) > self.room:
            raise self.error
        return self.inner(pixels)  # type: ignore[no-any-return]


OUT_OF_MEMORY = (
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes."),
)


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=["memory", "cuda", "linux", "windows"])
def test_the_batch_halves_until_it_fits_and_stays_there(
    error: Exception, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    backbone = open_backbone(settings(batch_size=8))
    network = SmallMemory(backbone.module, 3, error)
    forward = ForwardPass(dataclasses.replace(backbone, module=network), 8)
    pixels = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8)
    expected = ForwardPass(backbone, 8)(pixels)
    np.testing.assert_allclose(forward(pixels), expected, atol=1e-5)
    np.testing.assert_allclose(forward(pixels[:5]), expected[:5], atol=1e-5)
    assert network.sizes == [8, 4, 2, 2, 2, 2, 2, 2, 2]
    assert caplog.text.count("out of memory") == 2, "once per halving"


def test_no_room_for_one_image(settings: Settings) -> None:
    backbone = open_backbone(settings())
    forward = ForwardPass(dataclasses.replace(backbone, module=SmallMemory(backbone.module, 0, MemoryError())), 4)
    with pytest.raises(UnreachableError, match="no room for one image"):
        forward(torch.zeros(4, 3, 32, 32, dtype=torch.uint8))


def test_other_errors_are_not_taken_for_memory(settings: Settings) -> None:
    backbone = open_backbone(settings())
    network = SmallMemory(backbone.module, 0, RuntimeError("shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="multiplied"):
        ForwardPass(dataclasses.replace(backbone, module=network), 4)(torch.zeros(4, 3, 32, 32, dtype=torch.uint8))
    assert network.sizes == [4]


@pytest.mark.parametrize("value", [np.nan, np.inf, 70000.0])
def test_features_that_float16_cannot_hold_are_refused(value: float) -> None:
    with pytest.raises(DataError, match="not finite in float16"):
        to_half(np.array([[1.0, value]], np.float32))


@pytest.mark.parametrize("mode", ["bicubic", "bilinear"])
@pytest.mark.parametrize("shape", [(300, 90), (20, 400), (64, 48), (50, 31)])
def test_resizing_is_pillows(mode: str, shape: tuple[int, int]) -> None:
    """Oracle: both smooth where they shrink; torch rounds its weights to fewer bits, so a few levels may differ."""
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (*shape, 3), np.uint8)
    spec = Preprocess(64, 48, mean=(0, 0, 0), std=(1, 1, 1), interpolation=mode)  # type: ignore[arg-type]
    expected = np.asarray(Image.fromarray(rgb).resize((48, 64), getattr(Image.Resampling, mode.upper())))
    ours = resize(rgb, spec).permute(1, 2, 0).numpy()
    assert np.abs(ours.astype(int) - expected).max() <= 12
    assert np.abs(ours.astype(int) - expected).mean() < 1


@pytest.mark.parametrize("mode", ["bicubic", "bilinear"])
def test_resizing_together_is_resizing_each(mode: str) -> None:
    """Grey ones go four at a time, whose values are those of one, and of three equal channels."""
    rng = np.random.default_rng(0)
    shapes = [(50, 31, 1), (64, 48, 1), (50, 31, 1), (20, 400, 3), *[(50, 31, 1)] * 4, (20, 400, 1)]
    parts = [rng.integers(0, 256, shape, np.uint8) for shape in shapes]
    spec = Preprocess(64, 48, mean=(0, 0, 0), std=(1, 1, 1), interpolation=mode)  # type: ignore[arg-type]
    for part, ours in zip(parts, resize_all(parts, spec), strict=True):
        assert torch.equal(ours, resize(part, spec))
        wide = resize(np.repeat(part, 3 // part.shape[2], axis=2), spec)
        assert torch.equal(ours.expand(3, -1, -1), wide)
    assert resize_all([], spec) == []


def test_grey_files_have_the_vectors_of_the_same_files_in_colour(settings: Settings, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths, wide = [], []
    for i in range(6):
        grey = Image.fromarray(rng.integers(0, 256, (150 + 8 * (i % 2), 180), np.uint8))
        paths.append(tmp_path / f"{i}.png")
        wide.append(tmp_path / f"{i}-wide.png")
        grey.save(paths[-1])
        grey.convert("RGB").save(wide[-1])
    backbone = open_backbone(settings(batch_size=4))
    np.testing.assert_array_equal(embed_all(backbone, paths), embed_all(backbone, wide))
    mixed = [*paths[:3], *wide[3:]]
    for n in (0, 2):
        batches = embed_images(backbone, mixed, decode_processes=n, max_pixels=10**6)
        np.testing.assert_array_equal(np.concatenate([one.vectors for one in batches]), embed_all(backbone, paths))


def test_vectors_of_real_images_match_a_plain_pillow_reference(real_data: Path, settings: Settings) -> None:
    """Reduced JPEG decoding, torch's resize and folded batch norms together against the textbook way, and bfloat16."""
    folders = ("magnetic_tile", "neu_det", "aws_cookie", "mvtec_leather_mini")
    paths = [sorted((real_data / name / "images").rglob("*.[jp][pn]g"))[i] for name in folders for i in (0, 9, -1)]
    backbone = open_backbone(settings("efficientnet_lite0"))
    pixels = [np.array(Image.open(path).convert("RGB").resize((224, 224), Image.Resampling.BICUBIC)) for path in paths]
    with torch.inference_mode():
        expected = backbone.module(torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2))
    full = torch.from_numpy(embed_all(backbone, paths)).float()
    assert torch.cosine_similarity(full, expected).min() > 0.99
    half = open_backbone(settings("efficientnet_lite0", precision="bfloat16"))
    assert torch.cosine_similarity(torch.from_numpy(embed_all(half, paths)).float(), full).min() > 0.95
