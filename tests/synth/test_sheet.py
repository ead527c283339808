"""The contact sheet: offline, escaped, one card per variant."""

from __future__ import annotations

import re

import cv2
import numpy as np

from synth.sheet import Card, draw_strip, facts_of, render_sheet


def test_a_strip_shows_four_squares() -> None:
    host = np.full((60, 80, 3), 100, np.uint8)
    variant, mask = host.copy(), np.zeros((60, 80), bool)
    mask[0:6, 70:80] = True  # in a corner
    variant[mask] = 250
    strip = cv2.imdecode(np.frombuffer(draw_strip(variant, host, mask, (70, 0, 80, 6)), np.uint8), cv2.IMREAD_COLOR)
    height, width = strip.shape[:2]
    assert width == 4 * height
    squares = [strip[:, i * height : (i + 1) * height] for i in range(4)]
    assert (squares[1] > 220).mean() > 0.02
    assert (squares[3] > 220).mean() < 0.001


def test_the_page_loads_nothing_and_escapes_names() -> None:
    cards = [Card("synth-a-7-000001", b"jpeg", ['<script>alert("x")</script>'], "rejected"), Card('b"><i>', b"", [])]
    page = render_sheet("</title><script>", cards, [("rejected: a<b", 3)], "</script>")
    assert "2 images" in page
    assert page.count("<article") == 2
    assert page.count("<script") == 1
    assert 'data-state="rejected"' in page
    assert "<i>" not in page
    assert "a&lt;b" in page
    assert re.findall(r"""(?:src|href)=["']?(?!data:)[^"'\\s>]+""", page.replace("link.href = URL", "")) == []
    assert "http" not in page.replace("http-equiv", "")


def test_facts_of_a_donor_and_of_a_recipe() -> None:
    plan = {"blend": "residual", "scale": 1.1, "angle_rad": 0.5, "strength": 0.9}
    record = {"source": {"kind": "donor", "id": "ab", "path": "/x/d.png"}, "host": {"path": "/y/h.png"}, "plan": plan,
              "verdicts": [{"rule": "area", "value": 425.0}, {"rule": "realism", "value": None}]}  # fmt: skip
    assert facts_of(record) == ["donor d.png, residual, x1.10, 29°, strength 0.90", "host h.png", "area 425"]
    recipe = {**record, "source": {"kind": "recipe", "id": "pit", "path": ""}}
    assert facts_of(recipe)[0] == "recipe pit"
