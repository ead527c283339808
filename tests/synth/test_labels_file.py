"""labels.csv: what its rows become, and what is said of rows that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from synth.errors import SynthError
from synth.labels_file import examples_of, read_labels


def write(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(text, encoding="utf8")
    return path


def test_rows_become_examples(tmp_path: Path) -> None:
    lines = (
        "path,label,mask,part,group,x0,y0,x1,y1,extra",
        "a.png,crack,m/a.png,p/a.png,lot1,,,,,x",
        "b.png,crack,,,,1,2,3,4,",
        "c.png,,,,,,,,,",
    )
    path = write(tmp_path, "\n".join(lines))
    table = read_labels(path, tmp_path / "images")
    first, second = examples_of(table, "crack")
    assert (first.path, first.mask, first.group, first.box) == (
        str(tmp_path / "images/a.png"), str(tmp_path / "images/m/a.png"), "lot1", None)  # fmt: skip
    assert (second.mask, second.group, second.box) == (None, "b.png", (1, 2, 3, 4))
    assert table.parts == {first.path: str(tmp_path / "images/p/a.png")}
    assert table.n_by_class == {"crack": 2}


def test_relative_paths_start_beside_the_file_and_another_group_column_counts(tmp_path: Path) -> None:
    path = write(tmp_path, "path,label,lot\na.png,crack,7\n")
    (one,) = read_labels(path, group_column="lot").examples
    assert (one.path, one.group) == (str(tmp_path / "a.png"), "7")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,label\n", "not the columns"),
        ("", "an empty file"),
        ("path,label\n", "no row has a label"),
        ("path,label\na.png\n", "labels.csv:2: wrong number of values"),
        ("path,label\n,crack\n", "labels.csv:2: a row names no image"),
        ("path,label,x0,y0,x1,y1\na,crack,1,2,x,4\n", "labels.csv:2: not a box"),
        ("path,label,x0,y0,x1,y1\na,crack,1,2,1,4\n", "labels.csv:2: not a box"),
        ("path,label,x0,y0,x1,y1\na,crack,nan,2,3,4\n", "labels.csv:2: not a box"),
        ("path,label,x0,y0,x1,y1\na,crack,1,,3,4\n", "labels.csv:2: not a box"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SynthError, match=said):
        read_labels(write(tmp_path, text))


def test_a_file_that_is_missing_or_binary(tmp_path: Path) -> None:
    with pytest.raises(SynthError, match="cannot read the label file"):
        read_labels(tmp_path / "absent.csv")
    (tmp_path / "labels.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(SynthError, match="UTF-8"):
        read_labels(tmp_path / "labels.csv")
