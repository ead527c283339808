"""activesel bench: arrays and images in, a table and files out; killed and rerun; what it refuses."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.benchmark.arrays import make_arrays, write_npz
from tests.cli.conftest import Cli
from tests.cli.samples import KINDS

SHORT = ("--batch", 6, "--rounds", 3, "--seeds", 2, "--components", 8, "--head", "fixed", "--workers", 1)
FILES = {"activesel.yaml", "bench.json", "bench.html", "curves.csv", "curves.png", "curves.svg"}


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    return write_npz(tmp_path / "parts.npz")


def test_arrays_end_to_end(cli: Cli, arrays: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = cli("bench", arrays, "--strategies", "default,margin,default/bandwidth=0.5", *SHORT, "--out", out)
    assert (done.code, done.err) == (0, "")
    assert {path.name for path in out.iterdir() if path.name != ".activesel"} == FILES
    for name in ("default", "margin", "default/bandwidth=0.5", "random"):
        assert f"\n{name} " in done.out
    assert done.out.splitlines()[-1].split() == ["report", str(out / "bench.html")]
    stored = json.loads((out / "bench.json").read_text())
    assert (stored["good"], stored["classes"]) == ("good", {"crack": 24, "good": 64, "hole": 8})
    assert len(stored["trials"]) == 8
    standing = next(one for one in stored["strategies"] if one["strategy"] == "default")
    assert standing["labels"] == [6, 12, 18]
    assert list(standing["recall"]) == ["hole", "crack", "good"], "rare classes first"


def test_figures_follow_from_the_trials(cli: Cli, arrays: Path, tmp_path: Path) -> None:
    """Defects and areas by hand from the rows and points that bench.json lists."""
    out = tmp_path / "out"
    assert cli("bench", arrays, "--strategies", "k-center", *SHORT, "--out", out).code == 0
    stored = json.loads((out / "bench.json").read_text())
    labels = make_arrays()["labels"]
    own = [one for one in stored["trials"] if one["strategy"] == "k-center"]
    for trial in own:
        found = [int((labels[trial["rows"][:n]] != "good").sum()) for n in trial["labels"]]
        assert trial["scores"]["defects_found"] == found
    areas = [(s[0] + 2 * s[1] + s[2]) / 4 for s in (one["scores"]["macro_f1"] for one in own)]
    standing = next(one for one in stored["strategies"] if one["strategy"] == "k-center")
    assert standing["areas"]["macro_f1"]["mean"] == pytest.approx(np.mean(areas))
    with (out / "curves.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert set(rows[0]) == {"strategy", "seed", "labels", "score", "value"}
    scores = {"macro_f1", "balanced_accuracy", "auprc", "defects_found", "classes_found",
              "recall:good", "recall:crack", "recall:hole"}  # fmt: skip
    assert {row["score"] for row in rows} == scores
    assert len(rows) == 2 * 2 * 3 * len(scores)
    assert cli("bench", arrays, "--strategies", "k-center", *SHORT, "--out", out, "--good", "crack").code == 0
    again = json.loads((out / "bench.json").read_text())
    assert again["trials"][0]["scores"]["defects_found"][-1] == (labels[again["trials"][0]["rows"]] != "crack").sum()


def test_workers_and_reruns_change_nothing(cli: Cli, arrays: Path, tmp_path: Path) -> None:
    texts = []
    for workers in (1, 2):
        out = tmp_path / f"out{workers}"
        done = cli("bench", arrays, "--strategies", "margin", *SHORT, "--workers", workers, "--out", out, "--json")
        assert done.code == 0, done.err
        assert done.json["kept_trials"] == 0
        texts.append([(out / name).read_bytes() for name in ("bench.json", "curves.csv", "bench.html", "curves.svg")])
    assert texts[0] == texts[1]
    again = cli("bench", arrays, "--strategies", "margin", *SHORT, "--out", out, "--json")
    assert again.json["kept_trials"] == 4
    assert [(out / name).read_bytes() for name in ("bench.json", "curves.csv", "bench.html", "curves.svg")] == texts[1]
    write_npz(arrays, vectors=make_arrays(seed=1)["vectors"])
    assert cli("bench", arrays, "--strategies", "margin", *SHORT, "--out", out, "--json").json["kept_trials"] == 0


def test_killed_and_run_again(cli: Cli, tmp_path: Path) -> None:
    arrays = write_npz(tmp_path / "parts.npz")
    asked = ["bench", arrays, "--strategies", "default,margin", *SHORT, "--seeds", 6, "--workers", 2]
    out, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen([sys.executable, "-m", "activesel", *map(str, asked), "--out", str(out)],
                               stdout=subprocess.PIPE, start_new_session=True)  # fmt: skip
    trials = out / ".activesel" / "trials"
    deadline = time.monotonic() + 120
    while not trials.exists() or len(list(trials.glob("*.json"))) < 3:
        assert process.poll() is None, "it was done before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    n_kept = len(list(trials.glob("[!.]*.json")))
    _wait_until_gone(process.pid)
    again = cli(*asked, "--out", out, "--json")
    assert again.code == 0, again.err
    assert 3 <= n_kept <= again.json["kept_trials"] < 18
    assert cli(*asked, "--out", whole).code == 0
    assert (out / "bench.json").read_bytes() == (whole / "bench.json").read_bytes()


def _wait_until_gone(group: int) -> None:
    """No process outlives the command that was killed."""
    for _ in range(1000):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    pytest.fail("workers outlive the killed command")


def test_images_with_groups_in_the_labels(cli: Cli, photos: Path, tiny: list[str], tmp_path: Path) -> None:
    rows = [f"{photos}/photo-{i:02d}.png,{KINDS[i % 4]},part{i // 8}-{i % 4}" for i in range(24)]
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(["path,label,part", *rows]) + "\n")
    out = tmp_path / "out"
    short = ("--batch", 3, "--rounds", 2, "--seeds", 2, "--strategies", "k-center", "--workers", 1, *tiny, "--json")
    done = cli("bench", photos, "--labels", labels, "--group-column", "part", *short, "--out", out)
    assert done.code == 0, done.err
    assert (done.json["images"], done.json["groups"], done.json["notes"]) == (24, 12, [])
    shards = {path: path.stat().st_mtime_ns for path in (out / ".activesel" / "vectors").rglob("*") if path.is_file()}
    again = cli("bench", photos, "--labels", labels, "--group-column", "part", *short, "--out", out)
    assert again.json["kept_trials"] == 4
    assert {path: path.stat().st_mtime_ns for path in shards} == shards, "nothing is embedded twice"
    labels.write_text("\n".join(["path,label,part", *rows[:-1]]) + "\n")
    fewer = cli("bench", photos, "--labels", labels, "--group-column", "part", *short, "--out", out)
    assert (fewer.json["images"], fewer.json["kept_trials"]) == (23, 0), "only what the file says now"
    labels.write_text("\n".join(["path,label,part", *rows[:-1], rows[-1].rpartition(",")[0] + ","]) + "\n")
    without = cli("bench", photos, "--labels", labels, "--group-column", "part", *short, "--out", out)
    assert "1 of 24 images have no 'part'" in without.complaint
    wrong = cli("bench", photos, "--labels", labels, "--group-column", "lot", *short, "--out", out)
    assert wrong.code == 2
    assert "--group-column lot: no such column" in wrong.complaint


def test_a_manifest_brings_labels_and_groups(cli: Cli, photos: Path, tiny: list[str], tmp_path: Path) -> None:
    rows = [f"{photos}/photo-{i:02d}.png,{KINDS[i % 2]},part{i // 3}" for i in range(24)]
    manifest = tmp_path / "images.csv"
    manifest.write_text("\n".join(["path,label,part", *rows]) + "\n")
    short = ("--batch", 3, "--rounds", 1, "--seeds", 1, "--strategies", "random", "--workers", 1, *tiny, "--json")
    done = cli("bench", manifest, "--labels", manifest, "--group-column", "part", *short, "--out", tmp_path / "out")
    assert done.code == 0, done.err
    assert (done.json["images"], done.json["groups"]) == (24, 8)


def test_dry_run_writes_nothing(cli: Cli, arrays: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = cli("bench", arrays, *SHORT, "--out", out, "--dry-run", "--json")
    assert (done.code, done.json["trials"], done.json["finished"], done.json["images"]) == (0, 10, 0, 96)
    assert cli("bench", photos, *SHORT, "--out", out, "--dry-run", "--json").json["files"] == 24
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--strategies", "defalt"), 2, "unknown strategy"),
        (("--strategies", ","), 2, "no strategy to compare"),
        (("--strategies", "exemplars"), 2, "needs exemplars"),
        (("--strategies", "default/bandwith=1"), 2, "has no option 'bandwith'"),
        (("--strategies", "default/bandwidth"), 2, "cannot read an option"),
        (("--strategies", "default/bandwidth=wide"), 2, "is a number"),
        (("--strategies", "ska:CoreSet/k=1"), 2, "a peer runs with its own defaults"),
        (("--good", "fine"), 2, "--good fine: no such class; expected crack, good, hole"),
        (("--group-column", "part"), 2, "an .npz brings its own labels and groups"),
        (("--batch", "50"), 3, "the pool half is smaller than the batches"),
        (("--seeds", "0"), 2, "--seeds"),
        (("--start", "twice"), 2, "--start"),
    ],
)  # fmt: skip
def test_what_is_refused(
    cli: Cli, arrays: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = cli("bench", arrays, *arguments, "--out", tmp_path / "out")
    assert done.code == code
    assert said in done.complaint


def test_a_peer_that_is_absent(cli: Cli, arrays: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "skactiveml" else found(name))
    done = cli("bench", arrays, "--strategies", "ska:CoreSet", "--out", tmp_path / "out")
    assert done.code == 2
    assert done.complaint == "ska:CoreSet needs scikit-activeml; pip install 'activesel[bench]'"
    assert not (tmp_path / "out").exists()


def test_the_page_has_the_curves_and_escapes_names(cli: Cli, tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    labels = np.where(make_arrays()["labels"] == "hole", evil, make_arrays()["labels"])
    arrays = write_npz(tmp_path / "a<b&c.npz", labels=labels)
    out = tmp_path / "out"
    assert cli("bench", arrays, "--strategies", "k-center", *SHORT, "--out", out).code == 0
    page, chart = (out / "bench.html").read_text(), (out / "curves.svg").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<h1><bdi>a&lt;b&amp;c.npz</bdi></h1>" in page
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    for name in ("k-center", "random"):
        assert f"<title>{name}</title>" in page
        assert f">{name}</text>" in chart
    assert page.count('class="band"') >= 8
    assert "http" not in page.replace("http-equiv", "")
    assert "a&lt;b&amp;c.npz" in chart
    one = cli("bench", arrays, "--strategies", "random", *SHORT, "--seeds", 1, "--out", out)
    assert one.code == 0, "random alone, and no interval from one seed"


def test_images_without_groups_or_labels(cli: Cli, photos: Path, tiny: list[str], tmp_path: Path) -> None:
    """Near-duplicates are the groups then, and a note says so."""
    labels = tmp_path / "labels.csv"
    labels.write_text("path,label\n" + "".join(f"{photos}/photo-{i:02d}.png,{KINDS[i % 2]}\n" for i in range(20)))
    short = ("--batch", 3, "--rounds", 1, "--seeds", 1, "--strategies", "random", "--workers", 1, "--json")
    own = ("--set", "duplicates.similarity=1.0", "--out", tmp_path / "out")
    done = cli("bench", photos, "--labels", labels, *short, *tiny, *own)
    assert done.code == 0, done.err
    assert done.json["images"] == 20
    assert 10 <= done.json["groups"] <= 20, "random weights see a few photos as equal"
    assert "4 images without a label" in done.json["notes"][0]
    assert "no groups were given" in done.json["notes"][1]
    bare = cli("bench", photos, *short, *tiny, "--out", tmp_path / "bare")
    assert (bare.code, "no image has a label" in bare.complaint) == (3, True)
