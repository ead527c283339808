"""Reading within limits, writing inside the folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from synth import files
from synth.errors import SynthError
from synth.files import encode_image, encode_mask, inside, read_image, read_mask, sweep, write_atomic


@pytest.fixture
def picture(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)


def test_png_round_trip_in_colour_and_grey(tmp_path: Path, picture: np.ndarray) -> None:
    grey = np.repeat(picture[..., :1], 3, axis=2)
    late = grey.copy()
    late[-1, -1] = 1, 2, 3  # grey but for its last pixel
    for one in (picture, grey, late):
        (tmp_path / "a.png").write_bytes(encode_image(one, ".png"))
        assert np.array_equal(read_image(tmp_path / "a.png"), one)


def test_mask_round_trip_and_its_values(tmp_path: Path, picture: np.ndarray) -> None:
    mask = picture[..., 0] > 128
    (tmp_path / "m.png").write_bytes(encode_mask(mask))
    assert np.array_equal(read_mask(tmp_path / "m.png", (20, 30)), mask)
    Pillow.fromarray(mask.astype(np.uint8)).save(tmp_path / "ones.png")  # 0 and 1
    assert np.array_equal(read_mask(tmp_path / "ones.png"), mask)
    Pillow.fromarray(mask).convert("1").save(tmp_path / "bits.png")
    assert np.array_equal(read_mask(tmp_path / "bits.png"), mask)


def test_a_jpeg_mask_is_cut_in_the_middle(tmp_path: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = 255
    Pillow.fromarray(mask).save(tmp_path / "m.jpg", quality=70)
    assert np.array_equal(read_mask(tmp_path / "m.jpg"), mask > 0)


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.png").write_bytes(encode_mask(np.ones((5, 6), bool)))
    with pytest.raises(SynthError, match="another size than its image; found 6 x 5; expected 7 x 5"):
        read_mask(tmp_path / "m.png", (5, 7))


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n broken", b"GIF89a"])
def test_broken_files_are_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(SynthError) as caught:
        read_image(tmp_path / "a.png")
    assert "a.png" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_limits_hold_before_pixels_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture: np.ndarray
) -> None:
    (tmp_path / "a.png").write_bytes(encode_image(picture, ".png"))
    monkeypatch.setattr(files, "MAX_PIXELS", 599)
    with pytest.raises(SynthError, match="too many pixels; found 30 x 20"):
        read_image(tmp_path / "a.png")
    monkeypatch.setattr(files, "MAX_BYTES", 10)
    with pytest.raises(SynthError, match="at most 10 bytes"):
        read_image(tmp_path / "a.png")
    with pytest.raises(SynthError, match="regular file"):
        read_image(Path("/dev/null"))


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/b", "a\\b", "a\0b", "a\nb", "/etc", "x" * 300])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SynthError, match="plain name"):
        inside(tmp_path, name)


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "images").symlink_to(tmp_path)
    with pytest.raises(SynthError, match="link"):
        inside(tmp_path / "set", "images", "a.png")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", "old")
    with pytest.raises(TypeError):
        write_atomic(tmp_path / "a", 3)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_what_killed_writers_left_is_swept(tmp_path: Path) -> None:
    write_atomic(tmp_path / "labels" / "kept", "whole")
    script = (
        "import os, sys, pathlib, synth.files as files\n"
        "os.fsync = lambda _: os.kill(os.getpid(), 9)\n"
        "files.write_atomic(pathlib.Path(sys.argv[1]), 'half')\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path / "labels" / "new")], check=False)
    assert killed.returncode == -9
    assert len(list((tmp_path / "labels").iterdir())) == 2
    sweep(tmp_path)
    assert [path.name for path in (tmp_path / "labels").iterdir()] == ["kept"]
