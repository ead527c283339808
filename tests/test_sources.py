"""Each way to name images gives the same kind of list; each mistake one line that names its place."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activesel.errors import ConfigError, DataError
from activesel.sources import Source, compile_pattern, read_source


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def names(source: Source) -> list[str]:
    return [entry.path.relative_to(source.root).as_posix() for entry in source.entries]


def test_a_folder_is_listed_whole_and_sorted(tmp_path: Path) -> None:
    touch(tmp_path, "b.PNG", "a/x.jpg", "a/c/y.TiFf", "a/notes.txt", ".hidden/z.png", "a/.z.png", "a.webp", "e.jpeg")
    source = read_source(str(tmp_path))
    assert names(source) == ["a.webp", "a/c/y.TiFf", "a/x.jpg", "b.PNG", "e.jpeg"]
    assert (source.root, source.name) == (tmp_path, str(tmp_path))


def test_links_in_circles_end_and_each_folder_counts_once(tmp_path: Path) -> None:
    touch(tmp_path, "m/x.png", "m/n/y.png")
    (tmp_path / "m" / "loop").symlink_to(tmp_path)
    (tmp_path / "a_link").symlink_to(tmp_path / "m")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    assert names(read_source(str(tmp_path))) == ["dangling.png", "m/n/y.png", "m/x.png"]
    found = names(read_source(str(tmp_path / "**" / "?.png")))
    assert sorted(Path(name).name for name in found) == ["x.png", "y.png"]


def test_a_glob(tmp_path: Path) -> None:
    touch(tmp_path, "l1/a.png", "l1/b.txt", "l2/c.jpg", "other/d.png", "l1/deep/e.png")
    source = read_source(f"{tmp_path}/l*/*")
    assert names(source) == ["l1/a.png", "l2/c.jpg"]
    assert source.root == tmp_path
    assert names(read_source(f"{tmp_path}/**/*.png")) == ["l1/a.png", "l1/deep/e.png", "other/d.png"]


def test_a_folder_whose_name_looks_like_a_glob(tmp_path: Path) -> None:
    assert names(read_source(str(touch(tmp_path / "run[1]", "a.png")))) == ["a.png"]


def test_a_csv_manifest(tmp_path: Path) -> None:
    manifest = tmp_path / "m.csv"
    manifest.write_text("\ufeffpath, station,label\nimg/a.png,S1,crack\n/abs/b.png,,\n\nimg/../c.png,S3,\n", "utf8")
    first, second, third = read_source(str(manifest)).entries
    assert (first.path, dict(first.meta), first.label) == (tmp_path / "img/a.png", {"station": "S1"}, "crack")
    assert (second.path, dict(second.meta), second.label) == (Path("/abs/b.png"), {}, None)
    assert third.path == tmp_path / "c.png"


def test_rows_about_one_file_are_joined(tmp_path: Path) -> None:
    manifest = tmp_path / "m.csv"
    manifest.write_text("path,lot,line,label\na.png,1,,ok\nb.png,,,\n./a.png,2,L,\n")
    first, second = read_source(str(manifest)).entries
    assert (dict(first.meta), first.label) == ({"lot": "2", "line": "L"}, "ok")
    assert second.path.name == "b.png"


def test_a_parquet_manifest(tmp_path: Path) -> None:
    table = pa.table({
        "path": ["a.png", "b.png"],
        "lot": [7, None],
        "weight": [0.5, float("nan")],
        "image": [b"bytes", b"bytes"],
        "boxes": [[1], [2]],
    })  # fmt: skip
    pq.write_table(table, tmp_path / "m.parquet")
    first, second = read_source(str(tmp_path / "m.parquet")).entries
    assert (first.path, dict(first.meta)) == (tmp_path / "a.png", {"lot": "7", "weight": "0.5"})
    assert dict(second.meta) == {}


def test_a_coco_file(tmp_path: Path) -> None:
    document = {"images": [{"id": 1, "file_name": "i/a.png", "width": 4, "station": "S2", "tags": ["x"]}]}
    (tmp_path / "c.json").write_text(json.dumps(document))
    source = read_source(str(tmp_path / "c.json"))
    assert [(one.path, dict(one.meta)) for one in source.entries] == [(tmp_path / "i/a.png", {"station": "S2"})]
    assert source.annotations == tmp_path / "c.json"


def test_labels_from_folders(tmp_path: Path) -> None:
    touch(tmp_path, "crack/a.png", "train/good/b.png", "c.png")
    labels = {one.path.name: one.label for one in read_source(str(tmp_path), labels_from_folders=True).entries}
    assert labels == {"a.png": "crack", "b.png": "good", "c.png": None}
    assert all(one.label is None for one in read_source(str(tmp_path)).entries)


def test_metadata_from_the_path(tmp_path: Path) -> None:
    touch(tmp_path, "L1/S2/p7_2024_01.png", "L1/stray.png")
    source = read_source(str(tmp_path), path_pattern="{line}/{station}/{part}_{time}.png")
    assert [dict(one.meta) for one in source.entries] == [
        {"line": "L1", "station": "S2", "part": "p7", "time": "2024_01"},
        {},
    ]
    assert source.n_unmatched == 1


def test_a_manifest_column_wins_over_the_path(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("path,line\nL1/a.png,L9\nL1/b.png,\n")
    entries = read_source(str(tmp_path / "m.csv"), path_pattern="{line}/{part}.png").entries
    assert [dict(one.meta) for one in entries] == [{"line": "L9", "part": "a"}, {"line": "L1", "part": "b"}]


@pytest.mark.parametrize(
    "pattern", ["no/field.png", "{a}/{a}.png", "{a}{b}.png", "{a/b}.png", "{}.png", "{a b}.png", "{a}}"]
)
def test_bad_patterns(pattern: str) -> None:
    with pytest.raises(ConfigError, match="bad path pattern"):
        compile_pattern(pattern)


def test_a_pattern_takes_no_longer_on_nasty_names() -> None:
    fields = compile_pattern("{a}_{b}_{c}_{d}_{e}_{f}.png")
    started = time.perf_counter()
    assert fields.match("_" * 4000) is None
    assert time.perf_counter() - started < 0.5


@given(st.lists(st.text("abc.+*()[]\\$^ -", min_size=1, max_size=6), min_size=3, max_size=3))
def test_a_pattern_reads_back_what_was_written(values: list[str]) -> None:
    line, part, when = values
    match = compile_pattern("{line}/x(+)_{part}_{when}.png").match(f"{line}/x(+)_{part}_{when}.png")
    assert match is not None
    assert match.groupdict() == {"line": line, "part": part, "when": when}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.csv", "file,lot\na.png,1\n", r"m\.csv: no column named path; found file, lot"),
        ("m.csv", "", "no column named path; found no columns"),
        ("m.csv", "path\n", "the manifest has no rows"),
        ("m.csv", "path,lot\na.png,1\n,2\n", r"m\.csv:3: a row has no path"),
        ("m.csv", "path,lot\na.png,1,2\n", r"m\.csv:2: wrong number of values; found 3; expected 2"),
        ("m.csv", "path,lot,lot\n", "a column comes twice; found lot"),
        ("m.csv", b"path\n\xff\xfe.png\n", "not a CSV file in UTF-8"),
        ("m.csv", "path,label\na.png,x\na.png,y\n", "m.csv:3: two labels for a.png; found 'y'; expected 'x'"),
        ("m.parquet", "no parquet", "not a readable Parquet file"),
        ("m.json", "{", "not valid JSON"),
        ("m.json", "[" * 100_000, "not valid JSON"),
        ("m.json", "[1]", "no images in this COCO file"),
        ("m.json", '{"images": []}', "no images in this COCO file"),
        ("m.json", '{"images": [{"file_name": "a"}, {"id": 2}]}', r"images\[1\]: an image has no file_name"),
        ("m.xlsx", "", "not a kind of source; found .xlsx; expected a folder, a glob"),
    ],
)
def test_mistakes_in_manifests(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message) as caught:
        read_source(str(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_missing_and_empty_places(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder or file"):
        read_source(str(tmp_path / "absent"))
    with pytest.raises(DataError, match=r"no image in this folder or below it; expected files ending in \.bmp"):
        read_source(str(touch(tmp_path, "notes.txt")))
    with pytest.raises(DataError, match="no image fits this glob"):
        read_source(str(tmp_path / "*.png"))


def test_a_parquet_without_path_names_its_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"file": ["a"]}), tmp_path / "m.parquet")
    with pytest.raises(DataError, match="no column named path; found file"):
        read_source(str(tmp_path / "m.parquet"))
