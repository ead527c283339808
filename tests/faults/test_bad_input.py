"""Bad input, in real processes: an exit code and one line, never a traceback; tests/cli has many more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.conftest import N_IMAGES, Job
from tests.faults.processes import run_process

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("extra", "code", "part"),
    [
        (["--budget", "0"], 3, "the budget must be above 0"),
        (["--budget", str(N_IMAGES)], 3, "more than the 16 images that may be picked"),
        (["--strategy", "magic"], 2, "unknown strategy"),
        (["--set", "embedding.bakbone=x"], 3, "unknown setting embedding.bakbone; expected embedding.backbone"),
        (["--labels", "{wrong}"], 3, "1 label is for an unknown image"),
        (["--predictions", "{nan}"], 3, "nan.csv"),
    ],
)
def test_one_line_and_a_code(job: Job, tmp_path: Path, extra: list[str], code: int, part: str) -> None:
    wrong, nan = tmp_path / "wrong.csv", tmp_path / "nan.csv"
    wrong.write_text("path,label\nnobody.png,crack\n")
    nan.write_text("path,a,b\n" + "".join(f"{path},nan,1\n" for path in sorted(job.photos.iterdir())))
    extra = [word.format(wrong=wrong, nan=nan) for word in extra]
    ended = run_process([*job.arguments(tmp_path / "out"), *extra], tmp_path)
    assert (ended.code, ended.out) == (code, ""), ended.err
    (line,) = ended.err.splitlines()
    assert part in line


def test_only_corrupt_images(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(number))
    ended = run_process(["select", str(tmp_path), "--budget", "2", "--out", str(tmp_path / "out")], tmp_path)
    assert ended.code == 3
    (line,) = ended.err.splitlines()
    assert "none of the 5 files is a usable image" in line
