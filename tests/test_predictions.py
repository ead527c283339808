"""The user's own predictions and vectors: read back aligned, and every way they can be wrong named."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from activesel.errors import DataError
from activesel.predictions import columns, read_embeddings, read_predictions
from activesel.uncertainty import Reduction

IDS = ["aa", "bb", "cc"]
PROBS = [[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]]


def resolve_for(folder: Path) -> dict[str, str]:
    return {str(folder / f"img/{name}.png"): image_id for name, image_id in zip("abc", IDS, strict=True)}


def write(folder: Path, table: dict[str, Any], metadata: dict[str, str] | None = None) -> Path:
    arrow = pa.table(table)
    if metadata is not None:
        arrow = arrow.replace_schema_metadata(metadata)
    pq.write_table(arrow, folder / "preds.parquet")
    return folder / "preds.parquet"


def read(folder: Path, table: dict[str, Any], metadata: dict[str, str] | None = None, **options: Any) -> Any:
    return read_predictions(write(folder, table, metadata), resolve_for(folder), IDS, **options)


def test_rows_come_back_in_the_order_asked_for(tmp_path: Path) -> None:
    found = read(tmp_path, {"image_id": ["cc", "aa", "bb"], "probs": [PROBS[2], PROBS[0], PROBS[1]]})
    assert found.probs == pytest.approx(np.array(PROBS))
    assert found.probs.dtype == np.float32
    assert (found.mc_probs, found.uncertainty, found.classes, found.n_missing) == (None, None, None, 0)


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.float16(), 2)])
def test_every_kind_of_list(kind: pa.DataType, tmp_path: Path) -> None:
    probs = [np.array(row, np.float16) for row in PROBS] if kind.value_type == pa.float16() else PROBS
    assert read(tmp_path, {"image_id": IDS, "probs": pa.array(probs, kind)}).probs == pytest.approx(
        np.array(PROBS), abs=1e-3
    )


def test_paths_absolute_and_beside_the_file(tmp_path: Path) -> None:
    paths = [str(tmp_path / "img/a.png"), "img/b.png", "./img/../img/c.png"]
    assert read(tmp_path, {"path": paths, "probs": PROBS}).probs == pytest.approx(np.array(PROBS))


def test_class_names_from_metadata_and_from_columns(tmp_path: Path) -> None:
    table = {"image_id": IDS, "probs": PROBS}
    assert read(tmp_path, table, {"classes": json.dumps(["crack", "free"])}).classes == ("crack", "free")
    assert read(tmp_path, {"image_id": IDS, "p_ok": [0.5, 0.9, 0.2], "p_bad": [0.5, 0.1, 0.8]}).classes == ("ok", "bad")


def test_csv(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("path,p_ok,p_bad\nimg/b.png,1,0\nimg/a.png,0.5,0.5\nimg/c.png,0,1\n")
    found = read_predictions(tmp_path / "p.csv", resolve_for(tmp_path), IDS)
    assert found.probs is not None
    assert found.probs.tolist() == [[0.5, 0.5], [1, 0], [0, 1]]


def test_numeric_looking_ids_of_a_csv_stay_text(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("image_id,p_a,p_b\n0012,1,0\n")
    assert read_predictions(tmp_path / "p.csv", {}, ["0012"]).n_missing == 0


def test_samples_of_a_bayesian_model(tmp_path: Path) -> None:
    mc_probs = [[row, row[::-1], row] for row in PROBS]
    found = read(tmp_path, {"image_id": IDS, "mc_probs": mc_probs})
    assert found.mc_probs == pytest.approx(np.array(mc_probs))
    assert found.probs == pytest.approx(np.array(mc_probs).mean(axis=1))


def test_other_known_images_are_ignored_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path, {"image_id": IDS, "probs": PROBS})
    found = read_predictions(path, resolve_for(tmp_path), ["cc"])
    assert found.probs == pytest.approx(np.array([PROBS[2]]))
    assert found.n_ignored == 2


def test_missing_images_are_marked_where_allowed(tmp_path: Path) -> None:
    table = {"image_id": IDS[:2], "probs": PROBS[:2]}
    with pytest.raises(DataError, match="1 of 3 images have no row; found none for cc"):
        read(tmp_path, table)
    found = read(tmp_path, table, max_missing=0.5)
    assert found.missing.tolist() == [False, False, True]
    assert np.isnan(found.probs[2]).all()
    assert np.isfinite(found.probs[:2]).all()


BOXES = [[[0.5, 0.4], [0.9, 0.0]], [], [[1.0, 0.0]]]  # the rest of each is background


@pytest.mark.parametrize(("how", "first"), [("max", 0.9), ("mean_top_k", 0.55), ("sum", 1 - math.exp(-1.1))])
def test_boxes(how: Reduction, first: float, tmp_path: Path) -> None:
    found = read(tmp_path, {"image_id": IDS, "box_probs": BOXES}, reduction=how)
    assert found.uncertainty == pytest.approx([first, 0, 0], abs=1e-6)
    assert found.probs is None


def test_no_box_anywhere(tmp_path: Path) -> None:
    box_probs = pa.array([[], [], []], pa.list_(pa.list_(pa.float32())))
    assert read(tmp_path, {"image_id": IDS, "box_probs": box_probs}).uncertainty.tolist() == [0, 0, 0]


def test_boxes_beside_their_places(tmp_path: Path) -> None:
    place = {"x0": 1.0, "y0": 2.0, "x1": 3.0, "y1": 4.0}
    table = {"image_id": IDS, "box_probs": BOXES, "boxes": [[place, place], [], [place]]}
    assert read(tmp_path, table).uncertainty[0] == pytest.approx(0.9)
    table["boxes"] = [[place], [], [place]]
    with pytest.raises(DataError, match="row 0: boxes and box_probs differ in number; found 1 boxes, 2"):
        read(tmp_path, table)


@pytest.mark.parametrize(("how", "first"), [("max", 1.0), ("mean_top_k", 0.6), ("sum", 1 - math.exp(-1.2 / 4))])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_pixels(how: Reduction, first: float, dtype: type, tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    np.save(tmp_path / "maps/a.npy", np.array([[[0.5, 0.9], [0.0, 1.0]]], dtype))  # doubt 1, 0.2, 0, 0
    np.save(tmp_path / "maps/b.npy", np.zeros((2, 5, 4), dtype))
    names = ["maps/a.npy", "maps/b.npy", "maps/b.npy"]
    found = read(tmp_path, {"image_id": IDS, "pixel_probs": names}, reduction=how, top_k=2)
    assert found.uncertainty == pytest.approx([first, 0, 0], abs=2e-3)


def test_pixels_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    from activesel.predictions import regions

    np.save(tmp_path / "m.npy", rng.random((1, 30, 40)).astype(np.float32))
    table = {"image_id": IDS, "pixel_probs": ["m.npy"] * 3}
    for how in ("max", "mean_top_k", "sum"):
        whole = read(tmp_path, table, reduction=how, top_k=50).uncertainty
        monkeypatch.setattr(regions, "BLOCK_VALUES", 37)
        assert read(tmp_path, table, reduction=how, top_k=50).uncertainty == pytest.approx(whole, abs=1e-6)
        monkeypatch.undo()


def pixel_file(folder: Path, content: Any) -> str:
    np.save(folder / "map.npy", content, allow_pickle=True)
    return "map.npy"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.ones((2, 2), np.float32), r"wrong array; found shape \(2, 2\)"),
        (np.ones((1, 2, 2), np.float64), "float64"),
        (np.array([[[{}]]], object), r"not a readable \.npy"),
        (np.full((1, 2, 2), 2, np.float32), "not probabilities; found 2"),
        (np.full((1, 2, 2), np.nan, np.float32), "found nan"),
        (np.full((1, 2, 2), -1, np.float32), "found -1"),
    ],
)
def test_wrong_pixel_maps(content: Any, message: str, tmp_path: Path) -> None:
    name = pixel_file(tmp_path, content)
    with pytest.raises(DataError, match=message):
        read(tmp_path, {"image_id": IDS, "pixel_probs": [name] * 3})


def test_pixel_map_too_large_to_read(tmp_path: Path) -> None:
    with (tmp_path / "map.npy").open("wb") as file:  # a header that promises 8 GB, backed by a sparse file
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": (2, 1 << 15, 1 << 15)}
        )
        file.truncate(file.tell() + (1 << 33))
    with pytest.raises(DataError, match="too large"):
        read(tmp_path, {"image_id": IDS, "pixel_probs": ["map.npy"] * 3})


def test_pixel_maps_stay_in_their_folder(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    np.save(tmp_path / "out.npy", np.zeros((1, 2, 2), np.float32))
    (inside / "link.npy").symlink_to(tmp_path / "out.npy")
    for name in ("../out.npy", str(tmp_path / "out.npy"), "link.npy", "x\0.npy", "", "map.txt", "none.npy", None):
        with pytest.raises(DataError, match="pixel_probs, row 0"):
            read(inside, {"image_id": IDS, "pixel_probs": pa.array([name, "a.npy", "a.npy"], pa.string())})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"image_id": IDS, "probs": [[0.5, 0.5], [np.nan, 1], [1, 0]]}, "row 1: a probability is not a finite number"),
        ({"image_id": IDS, "probs": [[0.5, 0.5], [1, 0], [0.5, 0.6]]}, "row 2: prob.* do not sum to 1; found 1.1"),
        ({"image_id": IDS, "probs": [[4.0, -2.0], [1, 0], [1, 0]]}, "negative.*logits"),
        ({"image_id": IDS, "probs": [[1.0], [0.5, 0.5], [1.0]]}, "row 1: a different number .*found 2; expected 1"),
        ({"image_id": IDS, "probs": [[0.5, 0.5], None, [1, 0]]}, "row 1: an empty cell"),
        ({"image_id": IDS, "probs": [[0.5, 0.5], [None, 1.0], [1, 0]]}, "a missing number; found 1"),
        ({"image_id": IDS, "probs": [[], [], []]}, "no probabilities|not numbers"),
        ({"image_id": IDS, "probs": [0.5, 0.5, 0.5]}, "not a list"),
        ({"image_id": IDS, "probs": [["a"], ["b"], ["c"]]}, "not numbers; found string"),
        ({"image_id": ["aa", "bb", "aa"], "probs": PROBS}, "row 2: two rows for one image; found aa, already in row 0"),
        ({"image_id": ["aa", "x", "y"], "probs": PROBS}, "2 of 3 rows name no known image; found x, y"),
        ({"image_id": list("wxyz"), "probs": [[1.0, 0]] * 4}, r"4 of 4 .*found w, x, y, \.\.\."),
        ({"image_id": ["aa", None, "cc"], "probs": PROBS}, "row 1: no image id or path"),
        ({"image_id": [1, 2, 3], "probs": PROBS}, "image_id is not text; found int64"),
        ({"probs": PROBS}, "expected image_id or path"),
        ({"image_id": IDS, "score": [1, 2, 3]}, "no column with predictions"),
        ({"image_id": IDS, "p_a": ["x", "y", "z"]}, "column p_a: not numbers"),
        ({"image_id": IDS, "mc_probs": [[[0.5, 0.5]], [[0.5, 0.5], [1, 0]], [[1, 0]]]}, "row 1: a different number"),
        ({"image_id": IDS, "mc_probs": [[[0.5, 0.5]], [[0.5, 0.1]], [[1, 0]]]}, "sample 0, row 1: prob.*sum to 1"),
        ({"image_id": IDS, "probs": PROBS, "mc_probs": [[[1.0]]] * 3}, "differ in .*classes; found 2 and 1"),
        ({"image_id": IDS, "box_probs": [[[0.5, 0.4]], [], [[0.5]]]}, "row 2: boxes differ in their number of classes"),
        ({"image_id": IDS, "box_probs": [[[0.5]], [], [[1.5]]]}, "row 2: class probabilities of a box"),
        ({"image_id": pa.array([], pa.string()), "probs": pa.array([], pa.list_(pa.float32()))}, "3 of 3 .*no row"),
    ],
)  # fmt: skip
def test_each_way_to_be_wrong(table: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message) as raised:
        read(tmp_path, table)
    assert "preds.parquet" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ("not json", "not a list"),
        ('["a", "a"]', "not a list of different"),
        ('["a"]', "1 names, 2 prob"),
        ("3", "list"),
    ],
)
def test_wrong_class_names(classes: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, {"image_id": IDS, "probs": PROBS}, {"classes": classes})


def test_files_that_are_not_predictions(tmp_path: Path) -> None:
    for name, content in [("a.parquet", b"hello"), ("b.parquet", b""), ("c.csv", b""), ("d.csv", b"\xff\xfe\x00")]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=name):
            read_predictions(tmp_path / name, {}, IDS)
    with pytest.raises(DataError, match="no such predictions file"):
        read_predictions(tmp_path / "none.parquet", {}, IDS)
    with pytest.raises(DataError, match="no such predictions file"):
        read_predictions(tmp_path, {}, IDS)


def test_a_parquet_file_damaged_anywhere(tmp_path: Path, rng: np.random.Generator) -> None:
    path = write(tmp_path, {"image_id": IDS, "probs": PROBS})
    whole = path.read_bytes()
    n_refused = 0
    for at in rng.integers(0, len(whole), 60):
        content = bytearray(whole)
        content[at] ^= 0xFF
        path.write_bytes(content)
        try:
            read_predictions(path, resolve_for(tmp_path), IDS)
        except DataError:
            n_refused += 1  # named as bad input; any other exception fails the test
    assert n_refused > 0


def test_a_column_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "MAX_VALUES", 5)
    with pytest.raises(DataError, match="too large; found 6 numbers"):
        read(tmp_path, {"image_id": IDS, "probs": PROBS})


def save_embeddings(folder: Path, vectors: Any, ids: list[str]) -> tuple[Path, Path]:
    np.save(folder / "v.npy", vectors)
    (folder / "ids.txt").write_text("\n".join(ids) + "\n")
    return folder / "v.npy", folder / "ids.txt"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_embeddings_come_back_as_unit_rows_in_order(dtype: type, tmp_path: Path) -> None:
    paths = save_embeddings(tmp_path, np.array([[0, 2], [3, 4], [5, 0]], dtype), ["cc", "img/a.png", "bb"])
    vectors = read_embeddings(*paths, resolve_for(tmp_path), IDS)
    assert vectors == pytest.approx(np.array([[0.6, 0.8], [1, 0], [0, 1]]), abs=1e-3)
    assert vectors.dtype == (np.float16 if dtype == np.float16 else np.float32)


def test_unit_embeddings_in_order_stay_on_disk(tmp_path: Path) -> None:
    paths = save_embeddings(tmp_path, np.eye(3, dtype=np.float32), IDS)
    assert isinstance(read_embeddings(*paths, {}, IDS), np.memmap)


def test_embeddings_of_other_known_images_are_ignored(tmp_path: Path) -> None:
    paths = save_embeddings(tmp_path, np.eye(3, dtype=np.float32), IDS)
    assert read_embeddings(*paths, resolve_for(tmp_path), ["bb"]).tolist() == [[0, 1, 0]]


@pytest.mark.parametrize(
    ("vectors", "ids", "message"),
    [
        (np.eye(2), IDS, r"ids\.txt: .*found 3 ids; expected 2"),
        (np.eye(3), ["aa", "bb", "bb"], "row 2: two rows for one image"),
        (np.eye(3), ["aa", "bb", "zz"], "1 of 3 rows name no known image; found zz"),
        (np.eye(2), ["aa", "bb"], "1 of 3 images have no row; found none for cc"),
        (np.array([[1, 0], [0, 0], [1, 1.0]]), IDS, r"v\.npy, row 1: a vector is all zeros"),
        (np.array([[1, 0], [0, np.nan], [1, 1.0]]), IDS, r"v\.npy, row 1: .*not a finite number"),
        (np.eye(3, dtype=np.int64), IDS, "found shape .* of int64; expected 2 axes"),
        (np.ones(3), IDS, r"found shape \(3,\)"),
        (np.array([[None]]), IDS, r"not a readable \.npy"),
    ],
)
def test_wrong_embeddings(vectors: Any, ids: list[str], message: str, tmp_path: Path) -> None:
    paths = save_embeddings(tmp_path, vectors, ids)
    with pytest.raises(DataError, match=message):
        read_embeddings(*paths, resolve_for(tmp_path), IDS)


def test_embedding_files_that_are_not(tmp_path: Path) -> None:
    array_path, ids_path = save_embeddings(tmp_path, np.eye(3), IDS)
    for content in (b"", b"hello", array_path.read_bytes()[:-10], b"PK\x03\x04 not a zip"):
        (tmp_path / "bad.npy").write_bytes(content)
        with pytest.raises(DataError, match=r"bad\.npy"):
            read_embeddings(tmp_path / "bad.npy", ids_path, {}, IDS)
    np.savez(tmp_path / "many.npz", a=np.eye(3))
    with pytest.raises(DataError, match=r"not a readable \.npy"):
        read_embeddings(tmp_path / "many.npz", ids_path, {}, IDS)
    with pytest.raises(DataError, match="cannot read the array"):
        read_embeddings(tmp_path / "none.npy", ids_path, {}, IDS)
    with pytest.raises(DataError, match="cannot read the ids"):
        read_embeddings(array_path, tmp_path / "none.txt", {}, IDS)
    (tmp_path / "ids.bin").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(DataError, match="not a text file"):
        read_embeddings(array_path, tmp_path / "ids.bin", {}, IDS)
