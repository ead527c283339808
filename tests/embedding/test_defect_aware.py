"""Defect-aware pooling: tiles, bank and map by hand; a small defect in texture is found, alone and in a large image."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from activesel.config import EmbeddingConfig
from activesel.embedding import Backbone, EmbeddedBatch, backbone_key, embed_images, open_backbone
from activesel.embedding.backbone import open_patches
from activesel.embedding.banks import Bank, bank_bytes, fit_bank, nearest_distance, read_bank
from activesel.embedding.novelty_map import Novelty, describe_novelty, merge_maps, propose_boxes
from activesel.embedding.readout import RawReadOut, ReadOut
from activesel.embedding.tiles import Tile, plan_tiles
from activesel.errors import ConfigError, DataError
from tests.embedding.conftest import Settings, write_images
from tests.embedding.test_backbones import timm_weights


@pytest.mark.parametrize(
    ("height", "width", "most"), [(2000, 2000, 16), (500, 3000, 9), (1201, 777, 4), (9000, 900, 64)]
)
def test_tiles_cover_the_image_and_overlap(height: int, width: int, most: int) -> None:
    whole, *tiles = plan_tiles(height, width, 224, most)
    assert whole == Tile(0, 0, height, width)
    assert 2 <= len(tiles) <= most
    seen = np.zeros((height, width), np.int32)
    for tile in tiles:
        seen[tile.y0 : tile.y1, tile.x0 : tile.x1] += 1
    assert seen.min() >= 1
    assert seen.max() >= 2
    assert {(tile.y1 - tile.y0, tile.x1 - tile.x0) for tile in tiles} == {(tiles[0].y1, tiles[0].x1)}


def test_an_image_that_is_not_large_is_not_cut() -> None:
    assert plan_tiles(448, 4000, 224, 16) == (Tile(0, 0, 448, 4000),)
    assert len(plan_tiles(449, 4000, 224, 16)) > 1
    assert plan_tiles(4000, 4000, 224, 0) == (Tile(0, 0, 4000, 4000),)


def test_distance_to_the_nearest_of_the_bank() -> None:
    rng = np.random.default_rng(0)
    patches, bank = rng.normal(size=(50, 6)).astype(np.float32), rng.normal(size=(20, 6)).astype(np.float32)
    brute = np.sqrt(((patches[:, None] - bank) ** 2).sum(axis=2)).min(axis=1)
    np.testing.assert_allclose(nearest_distance(patches, bank), brute, atol=1e-4)


def test_a_place_that_is_odd_in_every_image_is_usual_there() -> None:
    raw = np.random.default_rng(0).normal(size=(200, 4, 3)).astype(np.float32)
    raw[:, 3] *= 6  # a rim: far from all the rest, always
    bank = fit_bank(raw, np.random.default_rng(1), size=100)
    assert bank.patches.shape == (50, 3), "a sixteenth of the patches"
    assert bank.usual[3] > 1.5 * bank.usual[:3].max()


def test_a_bank_comes_back_from_its_file_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    bank = fit_bank(np.random.default_rng(0).normal(size=(9, 4, 3)).astype(np.float32), np.random.default_rng(1))
    path = tmp_path / "bank.safetensors"
    path.write_bytes(bank_bytes(bank))
    np.testing.assert_array_equal(read_bank(path).patches, bank.patches)
    path.write_bytes(bank_bytes(bank)[:-9])
    with pytest.raises(DataError, match="cannot read the bank"):
        read_bank(path)
    path.write_bytes(bank_bytes(Bank(bank.patches, bank.mean[:2], bank.deviation, bank.usual, bank.spread)))
    with pytest.raises(DataError, match="shapes"):
        read_bank(path)
    with pytest.raises(DataError, match="no bank of patches"):
        fit_bank(np.full((2, 4, 3), np.nan, np.float32), np.random.default_rng(1))


def test_the_box_is_around_the_peak() -> None:
    oddness = np.zeros((10, 20), np.float32)
    oddness[2:4, 5:8] = 10
    oddness[7:9, 15:17] = 8
    found = describe_novelty(oddness)
    assert found.score > 5
    assert found.box_px(200, 100) == (50, 20, 80, 40)
    first, second = propose_boxes(oddness, 2)
    assert first == found.box
    assert second == (0.75, 0.7, 0.85, 0.9)
    assert Novelty(0, (0.999, 0.999, 1, 1)).box_px(10, 10) == (9, 9, 10, 10)
    assert describe_novelty(np.full((3, 3), -1, np.float32)).box == (0, 0, 1, 1)


def test_where_tiles_overlap_the_oddest_view_counts() -> None:
    tiles = (Tile(0, 0, 10, 18), Tile(0, 0, 10, 10), Tile(0, 8, 10, 18))
    maps = np.stack([np.full((5, 5), 99), np.ones((5, 5)), np.full((5, 5), 2)]).astype(np.float32)
    np.testing.assert_array_equal(merge_maps(maps, tiles), [[1, 1, 1, 1, 2, 2, 2, 2, 2]] * 5)


def test_a_vector_has_the_shares_of_its_parts() -> None:
    slots = np.random.default_rng(0).random((1, 3 + 4 + 2 + 1 + 4)).astype(np.float32)
    read_out = ReadOut(3, 4, 2, 2, 2)
    vector, _ = read_out.read(slots, (Tile(0, 0, 8, 8),))
    assert vector.shape == (9,)
    squares = [float((part**2).sum()) for part in np.split(vector, (3, 7))]
    np.testing.assert_allclose(squares, (0.45, 0.45, 0.1), atol=1e-5)


def make_bank(config: EmbeddingConfig, paths: list[Path], file: Path) -> Path:
    reader = open_patches(config)
    assert isinstance(reader.read_out, RawReadOut)
    found = np.concatenate([batch.vectors for batch in embed_images(reader, paths, max_pixels=10**7)])
    raw = found.astype(np.float32).reshape(len(paths), -1, reader.read_out.channels)
    file.write_bytes(bank_bytes(fit_bank(raw, np.random.default_rng(0))))
    return file


def embed_all(backbone: Backbone, paths: list[Path]) -> EmbeddedBatch:
    batches = list(embed_images(backbone, paths, max_pixels=10**7))
    parts = [found for batch in batches for found in batch.novelty]
    rows, vectors = (np.concatenate([getattr(batch, name) for batch in batches]) for name in ("rows", "vectors"))
    return EmbeddedBatch(rows, vectors, tuple(pair for batch in batches for pair in batch.failed), tuple(parts))


@pytest.mark.parametrize("tiles", [0, 4])
def test_an_image_is_the_same_in_any_company(tiles: int, settings: Settings, tmp_path: Path) -> None:
    config = settings(pooling="defect-aware", tiles=tiles)
    paths = write_images(tmp_path / "images", 9)
    large = tmp_path / "large.png"
    cv2.imwrite(str(large), np.random.default_rng(0).integers(0, 256, (150, 130), np.uint8))
    paths.append(large)
    bank = make_bank(config, paths, tmp_path / "bank.safetensors")
    backbone = open_backbone(config, bank)
    every = embed_all(backbone, paths)
    assert every.vectors.shape == (10, backbone.dim)
    order = np.random.default_rng(1).permutation(10)
    again = embed_all(backbone, [paths[i] for i in order])
    np.testing.assert_array_equal(again.vectors, every.vectors[order])
    assert again.novelty == tuple(every.novelty[i] for i in order)
    alone = embed_all(open_backbone(config, bank), [large])
    np.testing.assert_array_equal(alone.vectors, every.vectors[9:])


def test_files_that_broke_are_told(settings: Settings, tmp_path: Path) -> None:
    config = settings(pooling="defect-aware")
    paths = write_images(tmp_path / "images", 6)
    backbone = open_backbone(config, make_bank(config, paths, tmp_path / "bank.safetensors"))
    whole = embed_all(backbone, paths)
    paths[1].write_bytes(b"")
    for i in (4, 5):
        paths[i].unlink()
    found = embed_all(backbone, paths)
    assert found.rows.tolist() == [0, 2, 3]
    assert {row for row, _ in found.failed} == {1, 4, 5}
    assert len(found.novelty) == 3
    np.testing.assert_array_equal(found.vectors, whole.vectors[[0, 2, 3]])


def test_another_bank_is_another_key(settings: Settings, tmp_path: Path) -> None:
    config, plain = settings(pooling="defect-aware"), settings()
    paths = write_images(tmp_path / "images", 6)
    one = make_bank(config, paths, tmp_path / "one.safetensors")
    other = make_bank(config, paths[:4], tmp_path / "other.safetensors")
    keys = {backbone_key(plain), backbone_key(config, one), backbone_key(config, other),
            backbone_key(settings(pooling="defect-aware", tiles=4), one)}  # fmt: skip
    assert len(keys) == 4
    assert backbone_key(plain, one) == backbone_key(plain)
    assert open_backbone(config, one).key == backbone_key(config, one)


def test_what_cannot_be_pooled_is_told(settings: Settings, tmp_path: Path) -> None:
    config = settings(pooling="defect-aware")
    with pytest.raises(ConfigError, match="needs a bank"):
        open_backbone(config)
    bank = make_bank(config, write_images(tmp_path / "images", 4), tmp_path / "bank.safetensors")
    weights = timm_weights(tmp_path / "w.pt")
    other = settings("timm:test_resnet", checkpoint=str(weights), pooling="defect-aware")
    with pytest.raises(DataError, match="another network's"):
        open_backbone(other, bank)


def test_a_network_without_maps_is_told(settings: Settings, tmp_path: Path) -> None:
    weights = timm_weights(tmp_path / "w.pt", name="test_vit")
    config = settings("timm:test_vit", checkpoint=str(weights), pooling="defect-aware")
    with pytest.raises(ConfigError, match=r"no maps to pool patches from.*set embedding.pooling=plain"):
        open_patches(config)


def write_texture(path: Path, side: int, seed: int, defect: tuple[int, int, int] | None = None) -> Path:
    """Write a brushed surface; defect: x, y of the middle of a dark pit and its diameter, in pixels."""
    rng = np.random.default_rng(seed)
    grain = cv2.GaussianBlur(rng.normal(0, 60, (side, side)).astype(np.float32), (0, 0), sigmaX=6, sigmaY=1)
    pixels = 130 + grain + rng.normal(0, 4, (side, side))
    if defect is not None:
        x, y, across = defect
        mask = cv2.circle(np.zeros((side, side), np.float32), (x, y), across // 2, 1, -1)
        pixels -= 90 * cv2.GaussianBlur(mask, (0, 0), 1.0)
    assert cv2.imwrite(str(path), np.clip(pixels, 0, 255).astype(np.uint8))
    return path


@pytest.mark.parametrize(
    ("side", "tiles", "defect"),
    [(300, 0, (210, 90, 20)), (1500, 16, (1130, 420, 20))],
    ids=["tiny-defect", "20-px-in-a-large-image"],
)
def test_the_image_with_a_small_defect_is_the_oddest(
    side: int, tiles: int, defect: tuple[int, int, int], settings: Settings, tmp_path: Path
) -> None:
    number = 10 if tiles else 40
    paths = [write_texture(tmp_path / f"{i:02d}.png", side, i, defect if i == 5 else None) for i in range(number)]
    config = settings("efficientnet_lite0", pooling="defect-aware", tiles=tiles, batch_size=8)
    found = embed_all(open_backbone(config, make_bank(config, paths, tmp_path / "bank.safetensors")), paths)
    scores = np.array([novelty.score for novelty in found.novelty])
    assert scores.argmax() == 5
    x0, y0, x1, y1 = found.novelty[5].box_px(side, side)
    assert x0 < defect[0] < x1
    assert y0 < defect[1] < y1
    assert (x1 - x0) * (y1 - y0) < side * side / 10
