"""Whole sets, small ones: the same bytes again and again, whatever happens in between; and what people do with them."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synth import generate as story
from synth.errors import SynthError
from synth.files import encode_mask, hold, read_image, read_mask
from synth.generate import Summary, generate
from synth.labels_file import read_labels
from synth.output.rle import decode_rle
from synth.publish import ACCEPTED, REJECTED, decide, read_decisions, read_decisions_file
from synth.replay import replay
from synth.stocking import GenerateRequest, stock_up
from tests.synth.sets import write_set

COUNT = 6


def request(folder: Path, out: Path, **more: object) -> GenerateRequest:
    base = GenerateRequest(folder / "labels.csv", "scratch", out, count=COUNT, seed=7, most_proposals=96,
                           formats=("coco", "yolo", "imagefolder"))  # fmt: skip
    return replace(base, **more)  # type: ignore[arg-type]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a set but run.json and inputs.json, which name the folder, the worker count and the time."""
    files = (
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("run.json", "inputs.json", "lock")
    )
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("plates")).parent


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, plates: Path) -> tuple[Path, Summary]:
    out = tmp_path_factory.mktemp("finished") / "set"
    return out, generate(request(plates, out))


@pytest.fixture
def copy(finished: tuple[Path, Summary], tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished[0], tmp_path / "set"))


def records(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]


def test_a_set_holds_what_it_says(finished: tuple[Path, Summary]) -> None:
    folder, summary = finished
    assert summary.n_kept == COUNT
    assert summary.stopped == f"the count of {COUNT} was reached"
    with (folder / "labels.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == COUNT
    for row, record in zip(rows, records(folder), strict=True):
        mask = read_mask(folder / row["mask"])
        assert read_image(folder / row["path"]).shape[:2] == mask.shape == (96, 96)
        ys, xs = np.nonzero(mask)
        assert [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1] == [int(row[name]) for name in ("x0", "y0", "x1", "y1")]
        assert (row["label"], row["synthetic"]) == ("scratch", "1")
        assert row["group"].startswith("b"), "the donor's"
        assert row["host_group"].startswith("g")
        assert record["synthetic"] is True
        changed = np.abs(read_image(folder / row["path"]).astype(int) - read_image(Path(record["host"]["path"]))).max(2)  # type: ignore[index]
        assert changed[mask].mean() > 4 * changed[~mask].mean()


def test_the_funnel_adds_up(finished: tuple[Path, Summary]) -> None:
    _, summary = finished
    head, *losses, kept = summary.funnel
    assert head == ("proposals", summary.n_proposals)
    assert kept == ("kept", COUNT)
    assert sum(n for _, n in losses) + COUNT == summary.n_proposals


def test_it_is_a_label_file_again(finished: tuple[Path, Summary]) -> None:
    table = read_labels(finished[0] / "labels.csv")
    assert table.n_by_class == {"scratch": COUNT}
    assert all(Path(str(example.mask)).is_file() for example in table.examples)


def test_formats_round_trip(finished: tuple[Path, Summary]) -> None:
    folder = finished[0]
    document = json.loads((folder / "coco.json").read_text())
    assert [one["name"] for one in document["categories"]] == ["good", "scratch"]
    for image, note, record in zip(document["images"], document["annotations"], records(folder), strict=True):
        mask = read_mask(folder / str(record["mask"]))
        assert np.array_equal(decode_rle((96, 96), note["segmentation"]["counts"]), mask)
        assert note["area"] == mask.sum()
        assert (image["synthetic"], image["source_group"]) == (True, record["group"])
        x0, y0, x1, y1 = record["box"]  # type: ignore[misc]
        assert note["bbox"] == [x0, y0, x1 - x0, y1 - y0]
        number, x, y, w, h = (folder / "labels" / f"{record['id']}.txt").read_text().split()
        assert number == "1"
        assert np.allclose([float(x), float(y), float(w), float(h)],
                           [(x0 + x1) / 192, (y0 + y1) / 192, (x1 - x0) / 96, (y1 - y0) / 96], atol=1e-5)  # fmt: skip
        copy = folder / "imagefolder" / "scratch" / f"{record['id']}.png"
        assert copy.read_bytes() == (folder / str(record["image"])).read_bytes()


def test_two_workers_make_the_same_bytes(finished: tuple[Path, Summary], plates: Path, tmp_path: Path) -> None:
    generate(request(plates, tmp_path / "set", workers=2))
    assert contents(tmp_path / "set") == contents(finished[0])


def test_killed_and_rerun_makes_the_same_bytes(
    finished: tuple[Path, Summary], plates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended at three places: within a block, after some blocks, and while the set is written."""
    out = tmp_path / "set"

    def die(*_: object, **__: object) -> Iterator[Path]:
        raise KeyboardInterrupt

    for module, name in (("synth.blocks", "encode_mask"), ("synth.sift", "_sha256"), ("synth.generate", "write_lines")):
        with monkeypatch.context() as patch:
            patch.setattr(f"{module}.{name}", die)
            with pytest.raises(KeyboardInterrupt):
                generate(request(plates, out))
        assert not (out / ".synth" / "run.json").exists()
    assert list((out / ".synth").glob("blocks-*/000000")), "the finished block is kept"
    with monkeypatch.context() as patch:
        made: list[int] = []
        patch.setattr("synth.blocks.plan_block", lambda *_: made.append(1))
        generate(request(plates, out))
        assert not made, "nothing is made twice"
    assert contents(out) == contents(finished[0])
    assert not list((out / ".synth").glob("blocks-*"))


def test_killed_after_the_last_file_leaves_no_blocks(
    finished: tuple[Path, Summary], plates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "set"
    with monkeypatch.context() as patch:
        patch.setattr("synth.generate.publish", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            generate(request(plates, out))
    assert list((out / ".synth").glob("blocks-*"))
    assert generate(request(plates, out)).reused
    assert not list((out / ".synth").glob("blocks-*"))
    assert contents(out) == contents(finished[0])


def test_the_same_again_is_the_same_set_and_another_is_refused(plates: Path, tmp_path: Path) -> None:
    out = tmp_path / "again"
    generate(request(plates, out))
    stamp = (out / "records.jsonl").stat().st_mtime_ns
    assert generate(request(plates, out)).reused
    assert (out / "records.jsonl").stat().st_mtime_ns == stamp
    with pytest.raises(SynthError, match="the folder holds another set"):
        generate(request(plates, out, seed=8))


def test_a_folder_of_others_is_left_alone(plates: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(SynthError, match="not empty and no set"):
        generate(request(plates, tmp_path))
    with pytest.raises(SynthError, match="--out is not a folder"):
        generate(request(plates, tmp_path / "mine.txt"))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_replay_is_byte_equal_and_sees_what_changed(copy: Path) -> None:
    for record in records(copy)[:2]:
        assert replay(copy, str(record["id"])).is_equal
    record = records(copy)[0]
    (copy / str(record["image"])).write_bytes(b"other")
    done = replay(copy, str(record["id"]))
    assert not done.is_equal
    assert done.image.startswith(b"\x89PNG")
    with pytest.raises(SynthError, match="no image of this set has this id"):
        replay(copy, "../../etc/passwd")


def test_replay_names_another_renderer(copy: Path) -> None:
    """Sets made before the record named a renderer have none, and other bytes."""
    record = records(copy)[0]
    del record["versions"]["renderer"]  # type: ignore[attr-defined]
    (copy / "records.jsonl").write_text(json.dumps(record) + "\n")
    assert any(note.endswith("was absent") and "renderer" in note for note in replay(copy, str(record["id"])).notes)


def test_replay_needs_the_same_host(plates: Path, tmp_path: Path) -> None:
    labels = write_set(tmp_path / "data")
    generate(request(labels.parent, tmp_path / "set", gated=False, count=2))
    record = records(tmp_path / "set")[0]
    host = Path(record["host"]["path"])  # type: ignore[index]
    host.write_bytes((plates / "good0.png").read_bytes() + b"\0")
    with pytest.raises(SynthError, match="a host has changed since"):
        replay(tmp_path / "set", str(record["id"]))


def test_a_person_rejects_and_takes_it_back(copy: Path) -> None:
    before = contents(copy)
    first, second = (str(record["id"]) for record in records(copy)[:2])
    done = decide(copy, {first: REJECTED, second: ACCEPTED})
    assert (done.n_images, done.n_accepted, done.n_rejected) == (COUNT - 1, 1, 1)
    assert first not in (copy / "labels.csv").read_text() + (copy / "coco.json").read_text()
    assert not list(copy.glob(f"images/{first}*")) + list(copy.glob(f"labels/{first}*"))
    assert not list((copy / "imagefolder").rglob(f"{first}*"))
    assert list(copy.glob(f"rejected/images/{first}*"))
    assert f'data-id="{first}" data-state="rejected"' in (copy / "sheet.html").read_text()
    assert replay(copy, first).is_equal
    decide(copy, {first: "", second: ""})
    after = contents(copy)
    after.pop("decisions.json")
    assert after == before


def test_decisions_of_the_sheet(copy: Path, tmp_path: Path) -> None:
    first = str(records(copy)[0]["id"])
    (tmp_path / "d.json").write_text(json.dumps({"set": "x", "accepted": [], "rejected": [first], "undecided": []}))
    decide(copy, read_decisions_file(tmp_path / "d.json"))
    assert read_decisions(copy) == {first: REJECTED}
    with pytest.raises(SynthError, match="no image of this set has this id"):
        decide(copy, {"synth-other-1-000000": REJECTED})
    for text in ("[]", "{", '{"rejected": [3]}', '{"rejected": 3}'):
        (tmp_path / "d.json").write_text(text)
        with pytest.raises(SynthError, match="not a file of decisions"):
            read_decisions_file(tmp_path / "d.json")


def test_what_finds_no_place_is_counted(tmp_path: Path) -> None:
    labels = write_set(tmp_path / "data")
    (tmp_path / "none.png").write_bytes(encode_mask(np.zeros((96, 96), bool)))
    summary = generate(request(labels.parent, tmp_path / "set", part_mask=tmp_path / "none.png", most_proposals=40))
    assert dict(summary.funnel) == {"proposals": 40, "unplaced: no free place on the part": 40, "kept": 0}
    assert summary.stopped == f"the maximum of 40 proposals was reached with 0 of {COUNT} images"


def test_a_broken_host_is_counted_and_a_broken_mask_ends_the_run(tmp_path: Path) -> None:
    labels = write_set(tmp_path / "data", n_good=6)
    (tmp_path / "data" / "good1.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    summary = generate(request(labels.parent, tmp_path / "set", gated=False, count=30))
    assert dict(summary.funnel)["unplaced: the host cannot be used"] > 0
    (tmp_path / "data" / "bad1_mask.png").write_bytes(b"no mask")
    with pytest.raises(SynthError, match=r"bad1_mask\.png"):
        generate(request(labels.parent, tmp_path / "other"))
    (tmp_path / "data" / "bad1_mask.png").write_bytes(encode_mask(np.ones((40, 40), bool)))
    with pytest.raises(SynthError, match=r"bad1_mask\.png"):
        generate(request(labels.parent, tmp_path / "other"))


def test_recipes_need_no_example(plates: Path, tmp_path: Path) -> None:
    asked = request(plates, tmp_path / "set", label="stain", recipes=("stain",), count=2)
    summary = generate(asked)
    assert summary.n_kept == 2
    assert {record["source"]["kind"] for record in records(tmp_path / "set")} == {"recipe"}  # type: ignore[index]
    assert replay(tmp_path / "set", str(records(tmp_path / "set")[0]["id"])).is_equal


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"label": "dent"}, "labels.csv: dent: no image shows this class; found good, scratch"),
        ({"recipes": ("dnet",)}, "unknown recipe"),
        ({"count": 0}, "count is too small"),
        ({"recipe_share": 1.5}, "recipe_share is no share"),
        ({"formats": ("voc",)}, "unknown format"),
        ({"blends": ("smear",)}, "unknown way to blend"),
        ({"suffix": ".gif"}, "unknown kind of image"),
        ({"good": "fine"}, "--good fine"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(plates: Path, tmp_path: Path, more: dict[str, object], said: str) -> None:
    with pytest.raises(SynthError, match=said):
        generate(request(plates, tmp_path / "set", **more))
    assert not (tmp_path / "set").exists()


def test_progress_counts_images(plates: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    generate(request(plates, tmp_path / "set", gated=False, count=40, most_proposals=96), advance=seen.append)
    assert sum(seen) == 40
    assert story.BLOCK == 32


def test_two_at_once_are_kept_apart(copy: Path, plates: Path) -> None:
    with hold(copy / ".synth"), pytest.raises(SynthError, match="another process is writing there"):
        generate(request(plates, copy))
    with hold(copy / ".synth"), pytest.raises(SynthError, match="another process is writing there"):
        decide(copy, {})


def test_a_row_without_mask_or_box_is_not_guessed_where_others_have_one(tmp_path: Path) -> None:
    labels = write_set(tmp_path / "data")
    text = labels.read_text().replace("bad1_mask.png", "")
    labels.write_text(text)
    stocked = stock_up(request(labels.parent, tmp_path / "set"))
    assert {Path(donor.path).name for donor in stocked.stock.donors.values()} == {"bad0.png", "bad2.png"}
    assert "1 rows without mask or box are not used" in stocked.notes
    labels.write_text(text.replace("bad0_mask.png", "").replace("bad2_mask.png", ""))
    with pytest.raises(SynthError, match="no mask or box, and nothing stands out"):
        stock_up(request(labels.parent, tmp_path / "set"))
