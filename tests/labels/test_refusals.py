"""What a file can have wrong: refused in one line with its place; nothing outside of it is opened, nothing expands."""

from __future__ import annotations

import io
import json
import re
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from activesel.errors import DataError
from activesel.labels import annotation_format_names, get_format, guess_format
from activesel.labels.json_files import read_records
from activesel.labels.parcels import open_parcel
from tests.labels.opinions import IDS, LOOKUP, PATHS

A = IDS[0]
LS = {"data": {"activesel_id": A}}
BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


def read(name: str, path: Path) -> list[object]:
    return list(get_format(name).reads(path, LOOKUP))


def write(path: Path, content: str | bytes | dict[str, str]) -> Path:
    if isinstance(content, dict):
        for name, text in content.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(text, encoding="utf8")
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def ls(**result: object) -> str:
    shape = {"type": "rectanglelabels", "original_width": 640, "original_height": 480, "value": {}, **result}
    return json.dumps([LS, {**LS, "annotations": [{"result": [shape]}]}])


def cvat(inner: str) -> str:
    return f'<annotations>\n<version>1.1</version>\n<image name="{PATHS[0]}">\n{inner}</image></annotations>'


def voc(inner: str) -> str:
    return f"<annotation>\n<filename>{PATHS[0]}</filename>\n{inner}\n</annotation>"


def coco(note: dict[str, object], **image: object) -> str:
    images = [{"id": 1, "file_name": PATHS[0], "width": 4, "height": 2, **image}]
    return json.dumps({"images": images, "categories": [{"id": 1, "name": "x"}],
                       "annotations": [{"image_id": 1, "category_id": 1, **note}]})  # fmt: skip


def yolo(line: str) -> dict[str, str]:
    return {"data.yaml": "names: {0: x}", "labels/train/line 1/a.txt": f"0 .5 .5 .1 .1\n{line}\n"}


def labelbox(**more: object) -> str:
    return json.dumps({"dataRow": {"globalKey": A}, "name": "x", **more})


def scale(**more: object) -> str:
    return json.dumps({"reference_id": A, "label": "x", **more})


def truth(**more: object) -> str:
    return json.dumps({"source-ref": "s3://b" + PATHS[0], **more})


def prodigy(**more: object) -> str:
    return json.dumps({"meta": {"activesel_id": A}, "answer": "accept", **more})


CASES: list[tuple[str, str | bytes | dict[str, str], str]] = [
    ("label-studio", "[1]", r"f: \[0\]: not an object"),
    ("label-studio", '[{"data":{"image":"b.png"}},', r"f: \[1\]: not valid JSON"),
    ("label-studio", "[{}] x", "f: something follows the list|data is not an object"),
    ("label-studio", "{}", "f: not a JSON list"),
    ("label-studio", b"\xff\xff", "f: not valid JSON; found not UTF-8"),
    ("label-studio", "[" * 100_000, "not valid JSON"),
    ("label-studio", '[{"data":{"activesel_id":NaN}}]', r"\[0\]: not valid JSON; found NaN is no JSON"),
    ("label-studio", json.dumps([{"data": {}}]), r"\[0\]: names no image"),
    ("label-studio", json.dumps([{**LS, "annotations": {}}]), r"\[0\]: annotations is not a list"),
    ("label-studio", json.dumps([{**LS, "annotations": [{}]}]), r"\[0\]\.annotations\[0\]: result is not a list"),
    ("label-studio", ls(type="ellipselabels"), r"\[1\].*\[0\], item 1: a shape that we cannot"),
    ("label-studio", ls(value={"rectanglelabels": ["x"], "x": 1}), "y is no number"),
    ("label-studio", ls(value={"rectanglelabels": ["x"], "x": 1, "y": 1, "width": 0, "height": 1}), "without an"),
    ("label-studio", ls(value={"rectanglelabels": ["x", "y"]}), "a shape needs one label"),
    ("label-studio", ls(type="brushlabels", value={"brushlabels": ["x"], "rle": [0] * 8}), "mask of another image"),
    ("label-studio", ls(type="brushlabels", value={"brushlabels": ["x"], "rle": [300] * 8}), "not a brush mask"),
    ("label-studio", ls(type="brushlabels", original_width=10**9, value={"brushlabels": ["x"], "rle": []}),
     "drawn on an image of another size"),
    ("label-studio", ls(type=["x"]), "item 1: not a result item"),
    ("label-studio", ls(value={"rectanglelabels": [" "], "x": 1, "y": 1, "width": 1, "height": 1}), "a class is empty"),
    ("label-studio", ls(type="choices", value={"choices": ["x", "y"]}), "several classes for one image"),
    ("cvat", "<annotations><image>", "f:1: not valid XML"),
    ("cvat", "<a/>", "f:1: not CVAT's XML; found <a>"),
    ("cvat", cvat('<box label="x" xtl="1"/>'), "f:4: a coordinate is not a number"),
    ("cvat", cvat('<polygon label="x" points="1,1;2,2"/>'), "f:4: not a polygon; found 2 corners"),
    ("cvat", cvat('<mask label="x" rle="1,2" left="0" top="0" width="2" height="2"/>'), "f:4: a mask's runs do not"),
    ("cvat", cvat('<mask label="x" rle="1" left="0" top="0" width="99999" height="99999"/>'), "f:4: a mask's runs"),
    ("cvat", cvat('<tag label="x"/>\n<tag label="y"/>'), "f:3: several classes"),
    ("cvat", cvat("<cuboid/>"), "f:4: a shape that cannot be held; found <cuboid>"),
    ("cvat", "<annotations><track/></annotations>", "f:1: CVAT's XML for video"),
    ("cvat", '<?xml version="1.0" encoding="klingon"?><annotations/>', "f:1: not valid XML"),
    ("voc", {"a.xml": voc("<object><name>x</name></object>")}, r"a\.xml:3: an object without bndbox"),
    ("voc", {"a.xml": "<annotations/>"}, r"a\.xml:1: not a VOC file"),
    ("voc", {"a.xml": "<annotation/>"}, r"a\.xml: names no image"),
    ("voc", {"a.xml": ""}, r"a\.xml:1: not valid XML"),
    ("voc", {"a.txt": ""}, "no XML file"),
    ("yolo", yolo("1 .5 .5 .1 .1"), r"a\.txt:2: a class that data\.yaml does not name; found '1'"),
    ("yolo", yolo("0 .5 .5 .1"), r"a\.txt:2: not a line of labels; found 3 numbers"),
    ("yolo", yolo("0 .5 .5 .1 1.5"), r"a\.txt:2: a share is not a number within its range"),
    ("yolo", yolo("0 .5 .5 nan .1"), r"a\.txt:2: a share is not a number"),
    ("yolo", {"labels/a.txt": ""}, r"no data\.yaml"),
    ("yolo", {"data.yaml": "names: {0: x}\n  - [", "labels/a.txt": ""}, r"data\.yaml: not YAML"),
    ("yolo", {"data.yaml": "nc: 2", "labels/a.txt": ""}, r"data\.yaml: no names of classes"),
    ("yolo", {"data.yaml": "names: [[x]]", "labels/a.txt": ""}, r"data\.yaml: a class is not a text"),
    ("yolo", {"data.yaml": "[" * 1000, "labels/a.txt": ""}, r"data\.yaml: not YAML"),
    ("coco", coco({"bbox": [1, 1, 0, 2]}), r"annotations\[0\]: a box without area"),
    ("coco", coco({"bbox": [1, 1, "x", 2]}), r"annotations\[0\]: a coordinate is not a number"),
    ("coco", coco({"segmentation": [[1, 1, 2, 2, 3]]}), r"annotations\[0\]: not a polygon"),
    ("coco", coco({"segmentation": {"size": [2, 4], "counts": [1, 1]}}), r"annotations\[0\]: a mask's runs do not"),
    ("coco", coco({"segmentation": {"size": [9, 9], "counts": [81]}}), r"annotations\[0\]: a mask of another size"),
    ("coco", coco({"segmentation": {"size": [2, 4], "counts": "~~"}}), r"annotations\[0\]: not a packed mask"),
    ("coco", coco({"segmentation": {"size": [2, 4], "counts": [8]}}), r"annotations\[0\]: a mask without a pixel"),
    ("coco", coco({"category_id": 7}), r"annotations\[0\]: an annotation of an image or category"),
    ("csv", "path,label,role\n" + PATHS[0] + ",x,boss\n", "f:2: not a role; found 'boss'"),
    ("csv", "path,label,score\n" + PATHS[0] + ",x,7\n", "f:2: score is not a number within its range"),
    ("csv", "path,label,shapes\n" + PATHS[0] + ',x,"[{""kind"":""dot""}]"\n', "f:2: not a kind of shape"),
    ("labelbox", "{}", "f:1: dataRow is not an object"),
    ("labelbox", "\n{", "f:2: not valid JSON"),
    ("labelbox", "[]", "f:1: not an object"),
    ("labelbox", labelbox(bbox={"top": 1}), "f:1: a coordinate is not a number"),
    ("labelbox", labelbox(mask={"instanceURI": "http://x"}), "f:1: a mask behind a URL, which is never fetched"),
    ("labelbox", json.dumps({"data_row": {"global_key": A}, "projects": []}), "f:1: projects is not an object"),
    ("ground-truth", "{}", "f:1: names no image"),
    ("ground-truth", truth(b={"annotations": [{"class_id": 3}]}, **{"b-metadata": {"class-map": {}}}), "a class that"),
    ("ground-truth", truth(b="s3://x", **{"b-metadata": {"type": "semantic-segmentation"}}), "cannot be held"),
    ("prodigy", "{}", "f:1: names no image"),
    ("prodigy", prodigy(answer="maybe"), "f:1: not an answer; found 'maybe'"),
    ("prodigy", prodigy(accept=["x", "y"]), "f:1: several classes"),
    ("prodigy", prodigy(spans=[{"label": "x", "points": [[1]]}]), "f:1: not a polygon"),
    ("scale", "{}", "f:1: reference_id is not a text"),
    ("scale", scale(type="cuboid"), "f:1: an annotation that cannot be held"),
    ("scale", scale(type="polygon", geometry={"vertices": [1]}), "f:1: a corner is not an object"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), CASES)
def test_malformed(tmp_path: Path, name: str, content: str | bytes | dict[str, str], message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(name, write(tmp_path / "f", content))
    assert re.search(message, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_format_is_tried() -> None:
    assert {name for name, _, _ in CASES} == set(annotation_format_names())
    assert set(NAMING) == set(annotation_format_names())


NAMING: dict[str, Callable[[str], str | dict[str, str]]] = {
    "label-studio": lambda name: json.dumps([{"data": {"image": name}, "annotations": [{"result": []}]}]),
    "cvat": lambda name: f'<annotations><image name="{name}"><tag label="x"/></image></annotations>',
    "voc": lambda name: {"a.xml": f"<annotation><filename>{name}</filename></annotation>"},
    "yolo": lambda name: {"data.yaml": f"path: {name}\ntrain: {name}\nnames: [x]", "labels/none.txt": ""},
    "coco": lambda name: coco({"bbox": [0, 0, 1, 1]}, file_name=name),
    "csv": lambda name: f"path,label\n{name},x\n",
    "labelbox": lambda name: json.dumps({"dataRow": {"globalKey": name}, "answer": {"name": "x"}}),
    "ground-truth": lambda name: json.dumps({"source-ref": name, "v": 0, "v-metadata": {"class-name": "x"}}),
    "prodigy": lambda name: json.dumps({"image": name, "answer": "accept"}),
    "scale": lambda name: json.dumps({"reference_id": name, "type": "category", "label": "x"}),
}


@pytest.mark.parametrize("stray", ["../secret.png", "/etc/passwd", "file:///etc/passwd", "..\\secret.png", "http://[x"])
@pytest.mark.parametrize("name", annotation_format_names())
def test_a_name_that_leads_elsewhere_is_an_unknown_image_and_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, stray: str
) -> None:
    file = write(tmp_path / "f", NAMING[name](stray))
    opened: list[str] = []
    original = io.open

    def watch(path: object, *rest: object, **more: object) -> object:
        opened.append(str(path))
        return original(path, *rest, **more)  # type: ignore[call-overload]

    monkeypatch.setattr("io.open", watch)
    said = get_format(name).reads(file, LOOKUP)
    assert [one.annotation.image_id for one in said] == [""]
    assert all(Path(path).resolve().is_relative_to(tmp_path.resolve()) for path in opened)


def as_zip(path: Path, files: dict[str, bytes | str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("name", ["../a.xml", "/a.xml", "..\\a.xml", "C:/a.xml", "b/../../a.xml"])
@pytest.mark.parametrize("format_name", ["voc", "yolo", "cvat"])
def test_a_zip_whose_names_lead_out_of_it(tmp_path: Path, format_name: str, name: str) -> None:
    with pytest.raises(DataError, match="a name in the zip leads out of it"):
        read(format_name, as_zip(tmp_path / "a.zip", {name: "", "annotations.xml": ""}))


def test_a_zip_with_a_name_without_a_character(tmp_path: Path) -> None:
    path = as_zip(tmp_path / "a.zip", {"Q.xml": ""})
    path.write_bytes(path.read_bytes().replace(b"Q.xml", b"\0.xml"))  # a name ends at its first zero
    with pytest.raises(DataError, match="a name in the zip leads out of it"):
        read("voc", path)


def test_links_out_of_a_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "secret.xml").write_text("secret")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.xml").symlink_to(tmp_path / "secret.xml")
    (tmp_path / "in" / "folder").symlink_to(tmp_path)
    with open_parcel(tmp_path / "in") as parcel:
        assert parcel.names == ()


@pytest.mark.parametrize(
    ("format_name", "files"),
    [
        ("voc", {"a.xml": b" " * (200 << 20)}),
        ("yolo", {"data.yaml": b"names: [x]", "labels/a.txt": b" " * (200 << 20)}),
        ("cvat", {"annotations.xml": b" " * (200 << 20)}),
    ],
)
def test_a_zip_bomb_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_name: str, files: dict[str, bytes]
) -> None:
    monkeypatch.setattr("activesel.labels.cvat.MOST_STREAMED_BYTES", 64 << 20)  # else the bomb takes the test a minute
    bomb = as_zip(tmp_path / "a.zip", dict(files))
    assert bomb.stat().st_size < 1 << 20
    tracemalloc.start()
    with pytest.raises(DataError, match="too large"):
        read(format_name, bomb)
    assert tracemalloc.get_traced_memory()[1] < 140 << 20
    tracemalloc.stop()


def test_all_members_together_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activesel.labels.parcels._MOST_ALL_BYTES", 1000)
    one = voc("").encode().ljust(300)
    with pytest.raises(DataError, match=r"d\.xml: too large"):
        read("voc", as_zip(tmp_path / "a.zip", {f"{name}.xml": one for name in "abcd"}))
    monkeypatch.setattr("activesel.labels.parcels._MOST_MEMBERS", 3)
    with pytest.raises(DataError, match="too many files"):
        read("voc", tmp_path / "a.zip")


def test_a_damaged_zip(tmp_path: Path) -> None:
    content = as_zip(tmp_path / "a.zip", {"annotations.xml": cvat('<tag label="x"/>')}).read_bytes()
    at = content.index(b"annotations.xml") + 20
    (tmp_path / "a.zip").write_bytes(content[:at] + b"\xff\xff\xff\xff" + content[at + 4 :])
    with pytest.raises(DataError, match="cannot be read"):
        read("cvat", tmp_path / "a.zip")
    (tmp_path / "b.zip").write_bytes(content[:60])
    with pytest.raises(DataError, match="not a folder and not a zip"):
        read("cvat", tmp_path / "b.zip")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused(tmp_path: Path, encoding: str) -> None:
    head = f'<?xml version="1.0" encoding="{encoding}"?>{BOMB}'
    for name, body in (("cvat", cvat('<tag label="&b;"/>')), ("voc", voc("<x>&b;</x>"))):
        path = write(tmp_path / name, (head + body).encode(encoding))
        with pytest.raises(DataError, match=f"{name}:1: a document type, which may hide an attack"):
            read(name, path)


def test_xml_that_is_deep_or_wide(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="too many elements in one another"):
        read("cvat", write(tmp_path / "a", "<annotations>" + "<a>" * 100_000))
    with pytest.raises(DataError, match="too many elements in one another"):
        read("cvat", write(tmp_path / "a", cvat('<tag label="x"/>' * 200_002)))


def test_a_yaml_bomb_stays_small(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    with pytest.raises(DataError, match="a class is not a text; found list"):
        read("yolo", write(tmp_path / "f", {"data.yaml": "\n".join([*lines, "names: *a11"]), "labels/a.txt": ""}))


def test_a_format_that_nobody_knows(tmp_path: Path) -> None:
    for content in ("", "hello", "{}", '{"a": 1}', b"\x00\x01", "<svg/>"):
        with pytest.raises(DataError, match="cannot tell the format"):
            guess_format(write(tmp_path / "f", content))
    with pytest.raises(DataError, match="no such file"):
        guess_format(tmp_path / "absent")


def test_records_of_a_list(tmp_path: Path) -> None:
    assert list(read_records(write(tmp_path / "f", "\ufeff [ ] \n"))) == []
    path = write(tmp_path / "f", ' [ {"a": 1} ,{} ]')
    assert list(read_records(path)) == [(f"{path}: [0]", {"a": 1}), (f"{path}: [1]", {})]
    for text in ("[{},]", "[{} {}]", "[,]", "[{}", "[{}]]"):
        with pytest.raises(DataError):
            list(read_records(write(tmp_path / "f", text)))
