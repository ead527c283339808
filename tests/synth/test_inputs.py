"""Files that a set is made of: what changed is named, what did not is not read again, and nothing is ever mixed."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synth import generate as story
from synth.errors import SynthError
from synth.files import encode_image, encode_mask, read_image
from synth.generate import generate
from synth.inputs import (
    NOTHING,
    UNREADABLE,
    InputChanged,
    check_same,
    content_of,
    list_files,
    load_inputs,
    read_files,
    tell,
    what_changed,
    write_inputs,
)
from synth.record import read_lines
from synth.replay import replay
from synth.stocking import GenerateRequest, list_stock, stock_up
from tests.synth.sets import plate, write_set


def request(labels: Path, out: Path, **more: object) -> GenerateRequest:
    base = GenerateRequest(
        labels, "scratch", out, count=4, seed=7, most_proposals=64, blends=("residual",), gated=False
    )
    return replace(base, **more)  # type: ignore[arg-type]


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return write_set(tmp_path / "data")


def contents(folder: Path) -> dict[str, bytes]:
    files = (one for one in sorted(folder.rglob("*")) if one.is_file())
    return {str(one.relative_to(folder)): one.read_bytes() for one in files if one.parent.name != ".synth"}


def age(path: Path) -> None:
    """Nothing but the clock makes a file settled; ctime cannot be set, so the test waits for it."""
    while time.time_ns() - path.stat().st_ctime_ns < 2_100_000_000:
        time.sleep(0.05)


def test_every_file_has_a_role(labels: Path) -> None:
    text = labels.read_text().replace("path,label,mask,group", "path,label,mask,group,part")
    text = text.replace("good0.png,good,,g0", "good0.png,good,,g0,bad0_mask.png")
    lines = text.splitlines()
    labels.write_text("\n".join([*lines[:2], *(line + "," for line in lines[2:])]) + "\n")
    listing = list_stock(request(labels, labels.parent / "set", part_mask=labels.parent / "part.png"))
    roles = {Path(path).name: role for path, role in listing.files.items()}
    assert roles["labels.csv"] == "label file"
    assert (roles["bad0.png"], roles["good0.png"], roles["part.png"]) == ("donor", "host", "mask of the part")
    assert roles["bad1_mask.png"] == "mask of the donor bad1.png"
    assert len(roles) == 1 + 3 + 3 + 8 + 1
    assert set(list_files(labels, [], listing.hosts.cards)) >= {str(labels.parent / "good0.png")}


def test_what_changed_is_told_in_a_line() -> None:
    def inputs(**digests: str) -> object:
        return replace(NOTHING, roles=dict.fromkeys(digests, "host"), digests=digests)

    was, now = inputs(a="1", b="2", c="3", d=UNREADABLE), inputs(a="1", b="9", d="4", e="5")
    changes = what_changed(was, now)  # type: ignore[arg-type]
    assert changes == ["b (host) has other content", "d (host) could not be read before", "e (host) is new",
                       "c is no longer used"]  # fmt: skip
    assert tell(changes).endswith("e (host) is new and 1 more")
    assert what_changed(was, was) == []  # type: ignore[arg-type]


def test_only_what_was_touched_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"1")
    age(old)
    new.write_bytes(b"2")
    roles = {str(old): "host", str(new): "host", str(tmp_path / "none"): "host"}
    first = read_files(roles)
    assert set(first.stamps) == {str(old)}, "a file that may still change within one tick of the clock is not settled"
    assert first.digests[str(tmp_path / "none")] == UNREADABLE
    write_inputs(tmp_path / "inputs.json", "k", {"seed": 1}, first)
    key, asked, again = load_inputs(tmp_path / "inputs.json")
    assert (key, asked, again) == ("k", {"seed": 1}, first)
    read: list[str] = []
    monkeypatch.setattr("synth.inputs.content_of", lambda path: read.append(path) or "x")
    read_files(roles, again)
    assert str(old) not in read
    assert str(new) in read
    stamp = old.stat()
    old.write_bytes(b"3")  # as large as before, and given the old time back
    os.utime(old, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    read_files(roles, again)
    assert str(old) in read


@pytest.mark.parametrize("text", ["", "[]", '{"key": 1}', '{"key": "k", "asked": {}, "files": {"a": [1]}}'])
def test_a_damaged_list_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "inputs.json").write_text(text)
    assert load_inputs(tmp_path / "inputs.json") == ("", {}, NOTHING)


def stop_in_the_middle(labels: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object, **__: object) -> Iterator[Path]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("synth.sift._sha256", die)
        with pytest.raises(KeyboardInterrupt):
            generate(request(labels, out))
    assert list((out / ".synth").glob("blocks-*/000000"))


@pytest.mark.parametrize(
    ("name", "said"),
    [("good3.png", r"good3\.png \(host\) has other content"),
     ("bad1_mask.png", r"bad1_mask\.png \(mask of the donor bad1\.png\) has other content"),
     ("labels.csv", r"labels\.csv \(label file\) has other content")],
)  # fmt: skip
def test_a_file_replaced_after_a_kill_is_named(
    labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    out, changed = tmp_path / "set", labels.parent / name
    stop_in_the_middle(labels, out, monkeypatch)
    before = changed.read_bytes()
    if name.startswith("good"):
        changed.write_bytes(encode_image(plate(99), ".png"))
    else:
        mask = read_image(changed)[..., 0] > 0 if name.endswith(".png") else None
        changed.write_bytes(before + b"\n" if mask is None else encode_mask(np.roll(mask, 1)))
    with pytest.raises(SynthError, match=rf"since the unfinished set was begun; found .*{said}; put them back"):
        generate(request(labels, out))
    assert list((out / ".synth").glob("blocks-*/000000")), "nothing is thrown away by asking"
    changed.write_bytes(before)
    generate(request(labels, out))
    assert contents(out) == contents(generate(request(labels, tmp_path / "undisturbed")).folder)


def test_another_request_begins_anew_whatever_changed(
    labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "set"
    stop_in_the_middle(labels, out, monkeypatch)
    (labels.parent / "good3.png").write_bytes(encode_image(plate(99), ".png"))
    generate(request(labels, out, seed=8))
    assert contents(out) == contents(generate(request(labels, tmp_path / "undisturbed", seed=8)).folder)


def test_a_finished_set_is_not_taken_for_one_of_other_files(labels: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    generate(request(labels, out))
    assert generate(request(labels, out)).reused
    host = labels.parent / "good5.png"
    before = host.read_bytes()
    host.unlink()
    with pytest.raises(SynthError, match=r"since the set was made; found .*good5\.png \(host\) is gone"):
        generate(request(labels, out))
    host.write_bytes(before)
    assert generate(request(labels, out)).reused


def test_a_finished_set_of_an_earlier_version_stays_finished(labels: Path, tmp_path: Path) -> None:
    """It has no list of files, and a key of label file and donors alone."""
    asked = request(labels, tmp_path / "set")
    generate(asked)
    run, listed = (asked.out / ".synth" / name for name in ("run.json", "inputs.json"))
    document = json.loads(run.read_text())
    listed.unlink()
    run.write_text(json.dumps({**document, "key": story._earlier_key(asked, stock_up(asked), False, None)}))
    assert generate(asked).reused
    assert replay(asked.out, read_lines(asked.out / "records.jsonl")[0]["id"]).is_equal
    with pytest.raises(SynthError, match="the folder holds another set"):
        generate(replace(asked, seed=8))


def test_a_host_replaced_during_a_run_ends_it(labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaced by another picture, and by one that cannot be decoded, which would only be passed over otherwise."""
    for number, content in enumerate((encode_image(plate(99), ".png"), b"\x89PNG\r\n\x1a\n cut")):
        out = tmp_path / f"set{number}"
        before = {path: path.read_bytes() for path in labels.parent.glob("good*.png")}

        def replaced(*_: object, content: bytes = content, before: dict[Path, bytes] = before) -> None:
            for path in before:
                path.write_bytes(content)

        with monkeypatch.context() as patch:
            patch.setattr("synth.generate.Sift", replaced)  # after the key, before the first block
            patch.setattr("synth.planning._OPEN_HOSTS", 0)
            with pytest.raises(InputChanged, match=r"good\d\.png: the file has changed while the set was made"):
                generate(request(labels, out))
        for path, content_before in before.items():
            path.write_bytes(content_before)
        assert generate(request(labels, out)).n_kept == 4


def test_what_is_not_named_is_not_checked(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    check_same({}, str(tmp_path / "a"))
    check_same({str(tmp_path / "a"): content_of(str(tmp_path / "a"))}, str(tmp_path / "a"))
    with pytest.raises(InputChanged, match="has other content"):
        check_same({str(tmp_path / "a"): "0"}, str(tmp_path / "a"))


def test_replay_says_which_file_differs(labels: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    generate(request(labels, out))
    record = read_lines(out / "records.jsonl")[0]
    assert replay(out, record["id"]).is_equal
    host, donor = Path(record["host"]["path"]), Path(record["source"]["path"])
    mask = donor.with_name(f"{donor.stem}_mask.png")
    for path, content, said in (
        (host, encode_image(plate(99), ".png"), rf"{host.name}: a host has changed since; found has other content"),
        (host, None, rf"{host.name}: a host has changed since; found is gone or cannot be read"),
        (donor, shutil.copyfile, rf"{donor.name} has other content: a donor has changed since"),
        (mask, b"no mask", rf"{mask.name} has other content: a donor has changed since"),
        (mask, None, rf"{mask.name} is gone or cannot be read: a donor has changed since"),
    ):
        before = path.read_bytes()
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content if isinstance(content, bytes) else far_away_pixel(path))
        with pytest.raises(SynthError, match=said):
            replay(out, record["id"])
        path.write_bytes(before)
    assert replay(out, record["id"]).is_equal


def far_away_pixel(path: Path) -> bytes:
    """The picture with one other pixel in a corner: the donor's crop and so its id stay as they are."""
    picture = read_image(path).copy()
    picture[-1, -1] += 1
    return encode_image(picture, ".png")
