"""Gaps and verdicts on a line, where every distance can be read off; and whole sets that aim at a place on a plate."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from synth.errors import SynthError
from synth.files import read_image
from synth.fill import Candidate, Filled, GapAim, Target, fill_gaps
from synth.generate import Summary, generate
from synth.publish import REJECTED, decide
from synth.replay import replay
from synth.stocking import GenerateRequest
from tests.synth.sets import write_set

REAL = np.array([[0.0, 0], [1, 0], [2, 0], [3, 0]], np.float32)


def line(*places: float) -> np.ndarray:
    return np.asarray([[place, 0.0] for place in places], np.float32)


def region(name: str, *places: float, neighbours: int = 2) -> Target:
    return Target(name, 0, 5, 5, REAL, line(*places), neighbours)


def number(name: str, have: int, need: int, missing: int | None = None) -> Target:
    return Target(name, have, need, need - have if missing is None else missing, REAL)


def fill(*targets: Target, at: np.ndarray, most: int = 50, meets: np.ndarray | None = None) -> Filled:
    allowed = np.ones((len(targets), len(at)), bool) if meets is None else meets
    return fill_gaps(targets, at, allowed, most=most, reach=1)


def test_each_verdict_of_a_region() -> None:
    at = line(10.2, 10.4, 20.0, 40.0)
    found = fill(region("closed", 10), region("narrowed", 20, 24), region("far", 30), region("known", 1.5), at=at)
    assert [one.outcome for one in found.verdicts] == ["closed", "narrowed", "unreachable", "covered"]
    closed, narrowed, far, known = found.verdicts
    assert (closed.before, closed.after, closed.kept) == (0, 1, (0, 1))
    assert (narrowed.after, narrowed.kept) == (0, (2,))
    assert "none comes near 1 of its 2 images" in narrowed.reason
    assert "10.00 away, 1.00 counts as near" in far.reason
    assert (known.before, known.kept) == (1, ())
    assert found.keep == (0, 1, 2)


def test_each_verdict_of_a_number() -> None:
    assert fill(number("n", 3, 5), at=line(1, 2, 3)).verdicts[0].outcome == "closed"
    short = fill(number("n", 3, 9), at=line(1, 2, 3)).verdicts[0]
    assert (short.outcome, short.kept) == ("narrowed", (0, 1, 2))
    assert (short.before, short.after) == (pytest.approx(3 / 9), pytest.approx(6 / 9))
    assert "count as no real one" in short.reason
    none = fill(number("n", 3, 9), at=np.zeros((0, 2), np.float32)).verdicts[0]
    assert (none.outcome, none.reason) == ("unreachable", "no variant of it passed the rules")


def test_a_variant_counts_for_every_gap_that_it_lies_in() -> None:
    """The region takes candidates 2 and 3; of the three that lack the number takes one more, the first."""
    found = fill(number("n", 0, 3), region("r", 10), at=line(5, 6, 10, 10.1))
    assert found.keep == (0, 2, 3)
    assert [one.outcome for one in found.verdicts] == ["closed", "closed"]


def test_regions_come_before_numbers_where_not_all_can_be_kept() -> None:
    found = fill(number("n", 0, 9), region("r", 10), at=line(5, 6, 10, 10.1), most=2)
    assert found.keep == (2, 3)
    assert "the most images asked for, 2, are kept" in found.verdicts[0].reason
    assert found.is_enough(2)
    assert not found.is_enough(3)
    starved = fill(region("r", 10), number("n", 0, 9), at=line(10, 10.1), most=2, meets=np.eye(2, dtype=bool)[[0, 0]])
    assert starved.verdicts[0].outcome == "narrowed"
    taken = fill(number("n", 0, 9), region("r", 10), at=line(10, 10.1), most=2, meets=np.array([[False, True]] * 2))
    assert [one.outcome for one in taken.verdicts] == ["narrowed", "narrowed"]


def test_a_slice_takes_only_what_lies_in_it() -> None:
    meets = np.array([[False, False, True]])
    assert fill(number("n", 0, 2), at=line(1, 2, 3), meets=meets).verdicts[0].kept == (2,)
    nothing = fill(region("r", 10), at=line(10), meets=np.zeros((1, 1), bool)).verdicts[0]
    assert (nothing.outcome, nothing.reason[:28]) == ("unreachable", "no variant of this slice was")


def test_what_the_pool_gives_is_not_made() -> None:
    """Ten are wanted, two there, and the pool has six: two are made."""
    verdict = fill(number("n", 2, 10, missing=2), at=line(1, 2, 3, 4)).verdicts[0]
    assert (verdict.outcome, verdict.kept, verdict.after) == ("closed", (0, 1), 0.4)


# Whole sets


def find_dark(paths: Sequence[Path], _kept: Path) -> np.ndarray:
    """Toy vectors: where the darkest spot of the plate is, as shares of the picture."""
    found = []
    for path in paths:
        grey = cv2.GaussianBlur(read_image(path)[12:84, 10:86, 0], (0, 0), 2)
        y, x = np.unravel_index(grey.argmin(), grey.shape)
        found.append([x / 96, y / 96])
    return np.asarray(found, np.float32)


def aim(*targets: Target, key: str = "a") -> GapAim:
    return GapAim(targets, 0.15, find_dark, key)


def spot(name: str, x: float, y: float, neighbours: int = 2) -> Target:
    return Target(name, 0, 2, 2, np.empty((0, 2), np.float32), np.array([[x, y]], np.float32), neighbours)


AIM = aim(spot("middle", 0.4, 0.4), spot("outside", 3, 3))


def request(labels: Path, out: Path, **more: object) -> GenerateRequest:
    base = GenerateRequest(labels, "scratch", out, count=8, seed=7, most_proposals=128, explore=1.0)
    return replace(base, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("plates"))


@pytest.fixture(scope="module")
def aimed(labels: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    out = tmp_path_factory.mktemp("aimed") / "set"
    return out, generate(request(labels, out), aim=AIM)


def contents(folder: Path) -> dict[str, bytes]:
    files = (
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("run.json", "inputs.json", "lock")
    )
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def records(folder: Path) -> list[dict[str, object]]:
    return [json.loads(text) for text in (folder / "records.jsonl").read_text().splitlines()]


def test_only_what_lands_in_the_gap_is_kept(aimed: tuple[Path, Summary]) -> None:
    folder, summary = aimed
    middle, outside = summary.gaps
    assert (middle["outcome"], middle["before"], middle["after"]) == ("closed", 0, 1)
    assert outside["outcome"] == "unreachable"
    assert summary.n_kept == 2
    assert [one["id"] for one in records(folder)] == middle["kept"]
    assert all(one["gaps"] == ["middle"] for one in records(folder))
    for one in records(folder):
        place = find_dark([folder / str(one["image"])], folder)[0]
        assert np.linalg.norm(place - [0.4, 0.4]) <= 0.15
    assert dict(summary.funnel)["aside: good, but no gap needs it"] > 0
    assert sum(n for _, n in summary.funnel[1:]) == summary.n_proposals == 96
    assert summary.stopped == "1 of 2 gaps stay open after 96 proposals, which more would not fill"
    sheet = (folder / "sheet.html").read_text()
    assert "gaps aimed at: 2" in sheet
    assert "unreachable" in sheet
    assert sheet.count("<p>for middle</p>") == 2


def test_it_stops_when_all_is_closed(labels: Path, tmp_path: Path) -> None:
    summary = generate(request(labels, tmp_path / "set"), aim=aim(spot("middle", 0.4, 0.4, neighbours=1)))
    assert (summary.gaps[0]["outcome"], summary.n_kept) == ("closed", 1)
    assert summary.n_proposals in (32, 64)


def test_numbers_are_filled_in_order(labels: Path, tmp_path: Path) -> None:
    lacking = Target("few", 3, 8, 5, np.empty((0, 2), np.float32))
    summary = generate(request(labels, tmp_path / "set"), aim=aim(lacking))
    assert (summary.gaps[0]["outcome"], summary.n_kept) == ("closed", 5)
    assert summary.gaps[0]["reach"] is None


def test_a_kept_variant_is_made_again_to_the_byte(aimed: tuple[Path, Summary]) -> None:
    folder, _ = aimed
    for one in records(folder):
        assert replay(folder, str(one["id"])).is_equal
    decide(folder, {str(records(folder)[0]["id"]): REJECTED})
    decide(folder, {str(records(folder)[0]["id"]): ""})


def test_killed_and_rerun_makes_the_same_bytes(
    aimed: tuple[Path, Summary], labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "set"

    def die(*_: object, **__: object) -> Iterator[Path]:
        raise KeyboardInterrupt

    for name in ("synth.blocks.encode_mask", "synth.fill.coverage", "synth.generate.write_lines"):
        with monkeypatch.context() as patch:
            patch.setattr(name, die)
            with pytest.raises(KeyboardInterrupt):
                generate(request(labels, out), aim=AIM)
        assert not (out / ".synth" / "run.json").exists()
    generate(request(labels, out, workers=2), aim=AIM)
    (aimed[0] / "decisions.json").unlink(missing_ok=True)
    assert contents(out) == contents(aimed[0])
    assert generate(request(labels, out), aim=AIM).reused


def test_another_aim_is_another_set(aimed: tuple[Path, Summary], labels: Path) -> None:
    with pytest.raises(SynthError, match="the folder holds another set"):
        generate(request(labels, aimed[0]), aim=aim(*AIM.targets, key="b"))
    with pytest.raises(SynthError, match="the folder holds another set"):
        generate(request(labels, aimed[0]))


def test_vectors_of_another_length_are_told(labels: Path, tmp_path: Path) -> None:
    wrong = replace(AIM, embed=lambda paths, _: np.zeros((len(paths), 3), np.float32))
    with pytest.raises(SynthError, match="different length"):
        generate(request(labels, tmp_path / "set"), aim=wrong)


def test_a_question_is_asked_of_the_files(labels: Path, tmp_path: Path) -> None:
    asked: list[Candidate] = []

    def meets(candidate: Candidate) -> bool:
        asked.append(candidate)
        return candidate.image.is_file() and candidate.mask.is_file()

    one = replace(Target("few", 0, 2, 2, np.empty((0, 2), np.float32)), meets=meets)
    assert generate(request(labels, tmp_path / "set"), aim=aim(one)).gaps[0]["outcome"] == "closed"
    assert len(asked[0].host_id) == 16
