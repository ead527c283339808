"""The files of a batch: their schema, what a spreadsheet may not run, names that tables trip over, damaged files."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activesel.errors import DataError
from activesel.nearest import to_distance
from activesel.pipelines import batch as batch_module
from activesel.pipelines.batch import SCORES
from activesel.pipelines.batch_file import read_batch, read_head
from activesel.pipelines.select import BatchResult
from activesel.pipelines.tables import write_csv
from tests.pipelines.workspaces import KINDS, Job, make_job, make_vectors, read_csv, write_predictions

pytestmark = pytest.mark.usefixtures("plain_pages")

ODD_NAMES = [
    "comma, and space.png", 'quote"d".png', "line\nbreak.png", "carriage\rreturn.png", "tab\there.png", "=1+1.png",
    "ünïcödé-日本-🔩.png", "'single'.png", " leading.png", "@at/-minus/+plus.png", "semi;colon.png", "back\\slash.png",
]  # fmt: skip
FORMULAS = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\tx", "\rx"]
NO_CAP = "duplicates.group_cap=0"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "formats_output.md"


@pytest.fixture
def odd(tmp_path: Path) -> Job:
    """Names and metadata that tables trip over; everything is picked."""
    n = len(ODD_NAMES)
    meta = {
        "note": [(FORMULAS * 2)[i] for i in range(n)],
        "degrees": ["-5", "+7.5", "-1e3", "12"] * 3,
        "=column": ["x"] * n,
        "rank": ["first", *["later"] * (n - 1)],
        "uncertainty": ["wide"] * n,
        "empty": [""] * n,
    }
    return make_job(tmp_path, n, meta=meta, names=ODD_NAMES)


@pytest.fixture
def full(tmp_path: Path) -> BatchResult:
    """A batch with everything in it: labels, a quota, three kinds of picks, disagreement, groups."""
    job = make_job(tmp_path, meta={"station": ["A", "B"] * 20})
    job.label(range(8))
    rng = np.random.default_rng(0)
    preds = write_predictions(job, tmp_path / "p.parquet", classes=KINDS,
                              mc_probs=rng.dirichlet(np.ones(4), (40, 3)).tolist())  # fmt: skip
    return job.select(10, "selection.explore=0.2", "selection.evaluation=0.2", predictions=preds,
                      quotas=("station=A:4",), command="activesel select --budget 10")  # fmt: skip


# The schema


def check_text(value: Any) -> bool:
    return isinstance(value, str)


def check_share(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1


PICK_FIELDS = {
    "rank": lambda v: type(v) is int and v >= 1,
    "image_id": lambda v: bool(re.fullmatch(r"[0-9a-f]{32}", v)),
    "path": lambda v: Path(v).is_absolute(),
    "kind": lambda v: v in ("strategy", "explore", "evaluation"),
    "reason": lambda v: check_text(v) and len(v) > 10,
    "predicted": lambda v: v is None or check_text(v),
    "probability": lambda v: v is None or check_share(v),
    "gain": lambda v: isinstance(v, int | float),
    "propensity": lambda v: v is None or (check_share(v) and v > 0),
    "scores": lambda v: set(v) <= set(SCORES) and all(map(check_share, v.values())),
    "stands_for": lambda v: type(v) is int and v >= 1,
    "group": lambda v: v is None or type(v) is int,
    "meta": lambda v: all(check_text(text) for pair in v.items() for text in pair),
}
BATCH_FIELDS = {
    "schema_version": lambda v: v == 1,
    "batch_id": lambda v: bool(re.fullmatch(r"\d{4,}", v)),
    "created": lambda v: bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", v)),
    "request_key": lambda v: bool(re.fullmatch(r"[0-9a-f]{32}", v)),
    "strategy": check_text,
    "budget": lambda v: isinstance(v, float) and v > 0,
    "seed": lambda v: type(v) is int,
    "command": check_text,
    "config": lambda v: v["schema_version"] == 1 and v["selection"]["explore"] == 0.2,
    "versions": lambda v: {"python", "activesel", "numpy", "torch"} <= set(v) and all(map(check_text, v.values())),
    "inputs": lambda v: {"images", "labels", "vectors"} <= set(v) and all(map(check_text, v.values())),
    "notes": lambda v: isinstance(v, list) and all(map(check_text, v)),
    "n_pool": lambda v: v == 40,
    "n_labelled": lambda v: v == 8,
    "worth": lambda v: v is None,  # tests/pipelines/test_worth.py has the others
    "worth_text": lambda v: "too few labels" in v,
    "picks": lambda v: isinstance(v, list) and len(v) == 10,
}


def refuse_constant(name: str) -> None:
    pytest.fail(f"{name} is not JSON")


def test_every_field_is_as_documented(full: BatchResult) -> None:
    stored = json.loads((full.folder / "batch.json").read_text(encoding="utf8"), parse_constant=refuse_constant)
    assert list(stored) == list(BATCH_FIELDS)
    for name, holds in BATCH_FIELDS.items():
        assert holds(stored[name]), f"{name}: {stored[name]!r}"
    for pick in stored["picks"]:
        assert list(pick) == list(PICK_FIELDS)
        for name, check in PICK_FIELDS.items():
            assert check(pick[name]), f"{name}: {pick[name]!r}"
        assert (pick["propensity"] is None) == (pick["kind"] == "strategy")
    assert [pick["rank"] for pick in stored["picks"]] == list(range(1, 11))
    assert set(stored["picks"][0]["scores"]) == set(SCORES)


def test_the_page_names_every_field_and_score() -> None:
    page = DOCS.read_text(encoding="utf8")
    assert [name for name in (*BATCH_FIELDS, *PICK_FIELDS, *SCORES) if f"| `{name}` |" not in page] == []
    for name in ("images", "labels", "vectors", "metadata", "predictions", "embeddings", "ids", "exemplars"):
        assert f"`{name}`" in page


def test_what_is_written_is_what_is_read(full: BatchResult, tmp_path: Path) -> None:
    from activesel.workspace import find_workspace

    batch = read_batch(find_workspace(tmp_path / "job"), full.batch_id)
    assert batch.picks == full.picks
    assert batch.notes == full.notes
    assert batch.command == "activesel select --budget 10"


def test_the_table_says_what_the_json_says(full: BatchResult) -> None:
    rows = read_csv(full.folder / "batch.csv")
    for row, pick in zip(rows, full.picks, strict=True):
        assert (int(row["rank"]), row["image_id"], row["path"], row["kind"]) == (
            pick.rank, pick.image_id, pick.path, pick.kind,
        )  # fmt: skip
        assert row["propensity"] == ("" if pick.propensity is None else str(pick.propensity))
        assert {name: float(row[name]) for name in pick.scores} == pick.scores
        assert row["station"] == pick.meta["station"]


def test_stands_for_lists_each_image_once(full: BatchResult) -> None:
    rows = read_csv(full.folder / "stands_for.csv")
    assert len({row["image_id"] for row in rows}) == len(rows)
    for pick in full.picks:
        mine = [row for row in rows if row["rank"] == str(pick.rank)]
        assert len(mine) == pick.stands_for
        assert {row["pick_image_id"] for row in mine} == {pick.image_id}
        (itself,) = [row for row in mine if row["image_id"] == pick.image_id]
        assert float(itself["distance"]) < 0.05
    assert all(0 <= float(row["distance"]) <= 2 for row in rows)


@pytest.mark.parametrize("block", [1, 5, 1000])
@pytest.mark.parametrize("names", [ODD_NAMES, [f"{i}.png" for i in range(12)]])
def test_stands_for_is_the_plain_table(
    tmp_path: Path, names: list[str], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a line at a time, ties and images that no pick represents included."""
    monkeypatch.setattr(batch_module, "_BLOCK_LINES", block)
    seen: list[tuple[Any, Any]] = []
    original = batch_module.stands_for_lines
    monkeypatch.setattr(batch_module, "stands_for_lines", lambda *both: (seen.append(both), original(*both))[1])
    job = make_job(tmp_path, 12, names=names, vectors=np.repeat(make_vectors(4), 3, axis=0))
    job.label([0, 5])
    written = (job.select(4, NO_CAP).folder / "stands_for.csv").read_bytes()
    ((gathered, chosen),) = seen
    picks, images = chosen.picks, gathered.images.take(np.arange(12))
    lines: list[list[object]] = [["rank", "pick_image_id", "image_id", "path", "distance"]]
    for rank, pick in enumerate(picks.rows):
        for row in np.flatnonzero(picks.stands_for == rank):
            far = float(to_distance(chosen.nearest_known[row]))
            lines.append([rank + 1, images[pick].image_id, images[row].image_id, images[row].path, f"{far:.4f}"])
    assert written == write_csv(lines).encode()
    assert 4 < len(lines) < 13, "some are represented by a labelled image"


def test_the_head_is_read_without_the_picks(full: BatchResult, tmp_path: Path) -> None:
    from activesel.workspace import find_workspace

    workspace = find_workspace(tmp_path / "job")
    batch = read_batch(workspace, full.batch_id)
    head = read_head(workspace, full.batch_id)
    assert head == {name: getattr(batch, name) for name in list(head)}
    assert {"request_key", "strategy", "batch_id", "created"} <= set(head)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"{\n  nonsense\n}", b'{\n  "a": }\n}'])
def test_a_head_in_doubt_says_nothing(tmp_path: Path, content: bytes) -> None:
    job = make_job(tmp_path, 8)
    (job.select(2).folder / "batch.json").write_bytes(content)
    assert read_head(job.workspace, "0001") == {}
    assert read_head(job.workspace, "0002") == {}


# Names and metadata from strangers


def test_odd_names_survive_every_file(odd: Job) -> None:
    result = odd.select(len(ODD_NAMES), NO_CAP)
    expected = {str(path) for path in odd.paths}
    assert {row["path"] for row in read_csv(result.folder / "batch.csv")} == expected
    assert {row["path"] for row in read_csv(result.folder / "stands_for.csv")} == expected
    stored = json.loads((result.folder / "batch.json").read_text(encoding="utf8"))
    assert {pick["path"] for pick in stored["picks"]} == expected
    assert odd.select(len(ODD_NAMES), NO_CAP).reused


def test_no_cell_is_a_formula(odd: Job) -> None:
    result = odd.select(len(ODD_NAMES), NO_CAP)
    with (result.folder / "batch.csv").open(encoding="utf8", newline="") as stream:
        cells = [cell for row in csv.reader(stream) for cell in row]
    numbers = re.compile(r"[+-]?[\d.]+(e-?\d+)?")
    assert [cell for cell in cells if cell[:1] in "=+-@\t\r" and cell and not numbers.fullmatch(cell)] == []
    notes = {row["note"] for row in read_csv(result.folder / "batch.csv")}
    assert {f"'{text}" for text in FORMULAS if text.strip() == text} <= notes


def test_numbers_stay_numbers(odd: Job) -> None:
    rows = read_csv(odd.select(len(ODD_NAMES), NO_CAP).folder / "batch.csv")
    assert {row["degrees"] for row in rows} == {"-5", "+7.5", "-1e3", "12"}


def test_metadata_columns_never_pass_for_ours(odd: Job) -> None:
    with (odd.select(len(ODD_NAMES), NO_CAP).folder / "batch.csv").open(encoding="utf8", newline="") as stream:
        header = next(csv.reader(stream))
    assert len(set(header)) == len(header)
    assert {"rank", "meta_rank", "meta_uncertainty", "'=column"} <= set(header)
    assert "uncertainty" not in header, "there is no model here"


def test_class_names_are_text_from_strangers(tmp_path: Path) -> None:
    job = make_job(tmp_path)
    job.label(range(8), ["=HYPERLINK(1)", "-good"] * 4)
    rows = read_csv(job.select(4).folder / "batch.csv")
    assert {row["predicted"] for row in rows} <= {"'=HYPERLINK(1)", "'-good"}


@given(st.lists(st.lists(st.text(max_size=8), min_size=2, max_size=3), min_size=1, max_size=4))
def test_any_text_comes_back_but_for_the_quote_in_front(lines: list[list[str]]) -> None:
    written = write_csv([list(line) for line in lines])
    read = list(csv.reader(io.StringIO(written, newline="")))
    assert len(read) == len(lines)
    for before, after in zip(lines, read, strict=True):
        assert [new in (old, f"'{old}") for old, new in zip(before, after, strict=True)] == [True] * len(before)


def test_a_command_that_is_not_utf8(tmp_path: Path) -> None:
    job = make_job(tmp_path, 8)
    command = b"activesel select photos\xff".decode("utf8", "surrogateescape")
    result = job.select(2, command=command)
    assert json.loads((result.folder / "batch.json").read_text(encoding="utf8"))["command"].startswith(
        "activesel select photos"
    )


# Damaged files


def damage(stored: dict[str, Any], kind: str) -> str:
    pick = stored["picks"][0]
    if kind == "no picks":
        del stored["picks"]
    elif kind == "rank is text":
        pick["rank"] = "first"
    elif kind == "unknown kind":
        pick["kind"] = "guess"
    elif kind == "no path":
        del pick["path"]
    elif kind == "picks are text":
        stored["picks"] = "all"
    elif kind == "newer":
        stored["schema_version"] = 2
    text = json.dumps(stored)
    return {"cut": text[:200], "list": "[]", "empty": "", "deep": "[" * 100_000}.get(kind, text)


@pytest.mark.parametrize(
    "kind",
    ["no picks", "rank is text", "unknown kind", "no path", "picks are text", "newer", "cut", "list", "empty", "deep"],
)
def test_a_damaged_batch_is_one_line(tmp_path: Path, kind: str) -> None:
    job = make_job(tmp_path, 8)
    path = job.select(2).folder / "batch.json"
    path.write_text(damage(json.loads(path.read_text(encoding="utf8")), kind), encoding="utf8")
    with pytest.raises(DataError, match=r"batch\.json") as caught:
        read_batch(job.workspace, "0001")
    assert "\n" not in str(caught.value)


def test_a_binary_batch_file(tmp_path: Path) -> None:
    job = make_job(tmp_path, 8)
    (job.select(2).folder / "batch.json").write_bytes(b"\xff\x00")
    with pytest.raises(DataError, match="not a batch file"):
        read_batch(job.workspace, "0001")


def test_no_such_batch(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no batch 0009"):
        read_batch(make_job(tmp_path, 3).workspace, "0009")
