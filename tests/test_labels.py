"""One contract for every label format, then what each file of labels can have wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from activesel.errors import DataError
from activesel.images import content_id
from activesel.labels import ImageLookup, find_format, format_names, read_labels
from activesel.labels.registry import label_format
from activesel.labels.table import read_column
from activesel.records import Label


@pytest.fixture
def images(tmp_path: Path) -> dict[str, str]:
    """Paths of four known images, by which their ids go; labels never open an image, so these are bytes."""
    ids = {}
    for name in ("l1/a.png", "l1/b.png", "l2/a.png", "l2/c.png"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        ids[str(path)] = content_id(path)
    return ids


def id_of(images: dict[str, str], ending: str) -> str:
    return next(image_id for path, image_id in images.items() if path.endswith(ending))


def write_csv(folder: Path) -> Path:
    path = folder / "images" / "labels.csv"
    path.write_text("path,label,by\nl1/a.png,crack,x\nl2/c.png,ok,y\nl1/b.png,,z\n")
    return path


def write_folders(folder: Path) -> Path:
    for name, label in (("l1/a.png", "crack"), ("l2/c.png", "ok")):
        copy = folder / "sorted" / label / f"copy of {Path(name).name}"
        copy.parent.mkdir(parents=True)
        copy.write_bytes((folder / "images" / name).read_bytes())
    return folder / "sorted"


def write_coco(folder: Path) -> Path:
    path = folder / "images" / "coco.json"
    path.write_text(json.dumps(coco([(1, 1), (1, 1), (3, 2)])))
    return path


def coco(notes: list[tuple[int, int]]) -> dict[str, list[dict[str, object]]]:
    return {
        "images": [
            {"id": i, "file_name": name} for i, name in enumerate(["l1/a.png", "l1/b.png", "l2/c.png"], start=1)
        ],
        "categories": [{"id": 1, "name": "crack"}, {"id": 2, "name": "ok"}, {"id": 3, "name": "fray"}],
        "annotations": [{"id": n, "image_id": i, "category_id": c} for n, (i, c) in enumerate(notes)],
    }


WRITERS = {"csv": write_csv, "folders": write_folders, "coco": write_coco}


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_every_format_reads_the_same_labels(tmp_path: Path, images: dict[str, str], name: str) -> None:
    path = WRITERS[name](tmp_path)
    assert find_format(path).name == name
    expected = [Label(id_of(images, "l1/a.png"), "crack", str(path)), Label(id_of(images, "l2/c.png"), "ok", str(path))]
    assert read_labels(path, ImageLookup(images)) == expected


def test_every_format_is_in_the_contract() -> None:
    assert set(format_names()) == set(WRITERS)


def test_a_name_is_registered_once() -> None:
    with pytest.raises(AssertionError, match="two label formats named csv"):
        label_format("csv", accepts=Path.is_file)(lambda _path, _lookup: iter(()))


def csv_labels(folder: Path, text: str, lookup: ImageLookup) -> dict[str, str]:
    path = folder / "labels.csv"
    path.write_text(text, encoding="utf8")
    return {label.image_id: label.name for label in read_labels(path, lookup)}


def test_rows_may_name_an_image_by_id_by_path_or_by_the_end_of_its_path(tmp_path: Path, images: dict[str, str]) -> None:
    a, b, c = (id_of(images, name) for name in ("l1/a.png", "l1/b.png", "l2/c.png"))
    lookup = ImageLookup(images)
    assert csv_labels(tmp_path, f"image_id,label\n{a},x\n", lookup) == {a: "x"}
    assert csv_labels(tmp_path, f"path,image_id,label\nelsewhere.png,{a},x\n,{b},y\n", lookup) == {a: "x", b: "y"}
    assert csv_labels(tmp_path, f"path,label\n{tmp_path}/images/l1/a.png,x\n", lookup) == {a: "x"}
    assert csv_labels(tmp_path, "path,label\nimages/l1/../l1/a.png,x\n", lookup) == {a: "x"}
    assert csv_labels(tmp_path, "path,label\nc.png,x\nl1\\b.png,y\n", lookup) == {c: "x", b: "y"}


def test_an_ending_that_fits_two_images_is_refused(tmp_path: Path, images: dict[str, str]) -> None:
    with pytest.raises(DataError, match=r"labels.csv:2: 'a.png' fits several images; found .*l1/a.png, .*l2/a.png"):
        csv_labels(tmp_path, "path,label\na.png,x\n", ImageLookup(images))


def test_unknown_images_are_counted_and_the_first_named(tmp_path: Path, images: dict[str, str]) -> None:
    text = "path,label\nc.png,ok\n" + "".join(f"u{n}.png,ok\n" for n in range(5))
    with pytest.raises(DataError) as caught:
        csv_labels(tmp_path, text, ImageLookup(images))
    message = str(caught.value)
    assert "labels.csv: 5 labels are for unknown images" in message
    assert "'u0.png'" in message
    assert "labels.csv:3" in message
    assert "'u2.png'" in message
    assert "'u3.png'" not in message
    assert "and 2 more" in message


def test_a_part_of_a_file_name_is_no_ending(tmp_path: Path, images: dict[str, str]) -> None:
    with pytest.raises(DataError, match="1 label is for an unknown image"):
        csv_labels(tmp_path, "path,label\nother/c.png,ok\n", ImageLookup(images))


def test_quarantined_images_have_no_label_and_are_no_mistake(tmp_path: Path, images: dict[str, str]) -> None:
    lookup = ImageLookup(images, set_aside=[str(tmp_path / "broken.png")])
    assert csv_labels(tmp_path, "path,label\nbroken.png,x\nc.png,y\n", lookup) == {id_of(images, "c.png"): "y"}


def test_two_labels_for_one_image_name_both_rows(tmp_path: Path, images: dict[str, str]) -> None:
    with pytest.raises(DataError, match=r"labels.csv:4: two labels for one image.*found 'y'.*'x' as at .*labels.csv:2"):
        csv_labels(tmp_path, "path,label\nc.png,x\nl1/b.png,z\nl2/c.png,y\n", ImageLookup(images))
    same = csv_labels(tmp_path, "path,label\nc.png,x\nl2/c.png,x\n", ImageLookup(images))
    assert list(same.values()) == ["x"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\n", "not the columns of a label file; found file, label; expected path,label or image_id,label"),
        ("", "found an empty file"),
        ("path,label\na,b,c\n", "labels.csv:2: wrong number of values"),
        ("path,label\n,x\n", "labels.csv:2: a row names no image"),
        ("path,label\n\0,x\n", "labels.csv"),
    ],
)
def test_mistakes_in_a_csv(tmp_path: Path, images: dict[str, str], text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        csv_labels(tmp_path, text, ImageLookup(images))


def test_an_image_of_several_categories_has_the_rarest(tmp_path: Path, images: dict[str, str]) -> None:
    path = tmp_path / "images" / "coco.json"
    path.write_text(json.dumps(coco([(1, 1), (1, 3), (2, 1), (3, 1), (3, 2), (3, 2)])))
    names = {label.image_id: label.name for label in read_labels(path, ImageLookup(images))}
    a, b, c = (id_of(images, name) for name in ("l1/a.png", "l1/b.png", "l2/c.png"))
    assert names == {a: "fray", b: "crack", c: "ok"}  # crack is on three images, fray and ok on one


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "not a COCO file"),
        (
            coco([(9, 1)]),
            r"annotations\[0\]: an annotation of an image or category that is not in the file; found image_id 9",
        ),
        ({"images": [{"id": [], "file_name": "a"}]}, r"images\[0\]: an entry is incomplete"),
        ({"images": {}}, "images is not a list"),
    ],
)
def test_mistakes_in_coco(tmp_path: Path, images: dict[str, str], document: object, message: str) -> None:
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match=message):
        read_labels(path, ImageLookup(images))


def test_other_mistakes(tmp_path: Path, images: dict[str, str]) -> None:
    with pytest.raises(DataError, match="no such label file"):
        find_format(tmp_path / "absent.csv")
    (tmp_path / "labels.txt").touch()
    with pytest.raises(DataError, match=r"not a label file; found \.txt"):
        find_format(tmp_path / "labels.txt")
    (tmp_path / "bare").mkdir()
    with pytest.raises(DataError, match="no labelled images"):
        read_labels(tmp_path / "bare", ImageLookup(images))


def test_a_further_column(tmp_path: Path, images: dict[str, str]) -> None:
    path = write_csv(tmp_path)
    a, b, c = (id_of(images, ending) for ending in ("l1/a.png", "l1/b.png", "l2/c.png"))
    assert read_column(path, "by", ImageLookup(images)) == {a: "x", c: "y", b: "z"}
    assert read_column(path, "part", ImageLookup(images)) is None
    path.write_text(path.read_text() + "l1/a.png,crack,other\n")
    with pytest.raises(DataError, match="two values of by for one image"):
        read_column(path, "by", ImageLookup(images))
