"""Which images are hosts, where their part is, and what is taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from synth.errors import SynthError
from synth.files import encode_image, encode_mask, read_image
from synth.hosts import choose_hosts, find_golden, open_host
from synth.labels_file import LabelTable
from synth.part import find_part
from synth.records import Example
from tests.synth.sets import SIZE, plate


def table(*rows: tuple[str, str], **marks: str) -> LabelTable:
    return LabelTable("labels.csv", tuple(Example(path, label, path, marks.get(path)) for path, label in rows), {})


def test_good_images_alone_if_there_are_enough() -> None:
    rows = [(f"g{i}", "good") for i in range(5)] + [("c", "crack"), ("f", "fray")]
    choice = choose_hosts(table(*rows), "crack")
    assert [card.path for card in choice.cards] == ["g0", "g1", "g2", "g3", "g4"]
    assert choice.good == "good"
    assert choice.left_out == {"shows crack itself": 1, "shows a defect, unknown where": 1}


def test_other_classes_join_few_good_ones_where_their_defect_is_known() -> None:
    choice = choose_hosts(
        table(("g", "fine"), ("h", "fine"), ("f", "fray"), ("e", "fray"), ("c", "crack"), f="m"), "crack"
    )
    assert [card.path for card in choice.cards] == ["g", "h", "f"]
    assert choice.good == "fine"


def test_without_a_name_or_a_majority_no_class_is_good() -> None:
    others = ("pit", "stain", "dent")
    rows = [("a", "crack"), *[(f"{name}{i}", name) for name in others for i in range(6)]]
    boxed = LabelTable(
        "labels.csv", tuple(Example(path, label, path, None, (0.0, 0.0, 2.0, 2.0)) for path, label in rows), {}
    )
    choice = choose_hosts(boxed, "crack")
    assert choice.good is None
    assert {card.label for card in choice.cards} == set(others)
    majority = table(("a", "crack"), *[(f"p{i}", "pit") for i in range(7)], ("s", "stain"))
    assert choose_hosts(majority, "crack").good == "pit"


def test_a_good_class_can_be_named_and_must_exist() -> None:
    rows = [("a", "fine"), ("b", "fine"), ("c", "clean"), ("d", "crack")]
    assert choose_hosts(table(*rows), "crack").good == "clean"
    assert choose_hosts(table(*rows), "crack", "fine").good == "fine"
    with pytest.raises(SynthError, match="--good best: no image of this class; found fine, clean"):
        choose_hosts(table(*rows), "crack", "best")


def test_an_image_that_shows_the_class_beside_another_is_no_host() -> None:
    with pytest.raises(SynthError, match="no image to draw a defect into; found 1 shows crack itself"):
        choose_hosts(table(("a", "crack"), ("a", "good")), "crack")


def test_a_host_knows_its_part_and_what_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode_image(plate(1), ".png"))
    (tmp_path / "part.png").write_bytes(encode_mask(np.eye(SIZE, dtype=bool)))
    rows = (Example(str(tmp_path / "a.png"), "good", "g", box=(10, 20, 30, 40)), Example("c", "crack", "c"))
    (card,) = choose_hosts(LabelTable("l", rows, {}), "crack").cards
    host = open_host(card, read_image)
    assert abs(int(host.part.sum()) - 76 * 80) < 200
    assert host.taken.sum() == 400
    assert host.taken[20:40, 10:30].all()
    (card,) = choose_hosts(LabelTable("l", rows, {}), "crack", part_mask=tmp_path / "part.png").cards
    assert np.array_equal(open_host(card, read_image).part, np.eye(SIZE, dtype=bool))


def test_a_texture_and_a_flat_picture_have_no_part(rng: np.random.Generator) -> None:
    texture = np.repeat(rng.normal(120, 25, (SIZE, SIZE, 1)).clip(0, 255).astype(np.uint8), 3, axis=2)
    assert find_part(texture) is None
    assert find_part(np.full((40, 40, 3), 9, np.uint8)) is None


def test_a_dark_part_on_a_bright_table_is_found() -> None:
    part = find_part(255 - plate(3))
    assert part is not None
    assert part[48, 48]
    assert not part[2, 2]


def test_the_median_shows_a_part_that_single_pictures_hide(tmp_path: Path, rng: np.random.Generator) -> None:
    rows = []
    for i in range(15):
        noisy = plate(i).astype(float) * 0.4 + 80 + rng.normal(0, 45, (SIZE, SIZE, 1))
        path = tmp_path / f"{i}.png"
        path.write_bytes(encode_image(noisy.clip(0, 255).astype(np.uint8), ".png"))
        rows.append(Example(str(path), "good", str(i)))
    cards = choose_hosts(LabelTable("l", tuple(rows), {}), "crack").cards
    assert find_part(read_image(tmp_path / "0.png")) is None
    golden = find_golden(cards, read_image)
    assert golden is not None
    assert abs(int(golden[0].sum()) - 76 * 80) < 400
    assert find_golden(cards[:7], read_image) is None, "too few for a median"
