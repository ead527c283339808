"""The page as text: everything is on it, nothing of it can act, and what is absent leaves no empty box."""

from __future__ import annotations

import html
import json
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activesel.errors import UnreachableError
from activesel.report import render
from activesel.report.data import Coverage, PickEntry, QuarantineList, ScoreSample
from activesel.report.render import embed_json, file_name, file_url, format_percent, picture_url, write_report
from tests.report.sample import EVIL, draw_jpeg, make_evil, make_pick, make_report

JPEG = draw_jpeg(make_pick(1))


class Page(HTMLParser):
    """Reads a page as a browser does: its elements, their attributes, the text outside scripts, the data inside."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.data: dict[str, object] = {}
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside = dict(attrs).get("id") or tag

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside.endswith("-data"):
            self.data[self._inside] = json.loads(data)
        elif not self._inside:
            self.text += data

    def ids(self) -> set[str | None]:
        return {attributes.get("id") for _, attributes in self.tags}

    def count(self, tag: str, **wanted: str) -> int:
        return sum(name == tag and wanted.items() <= attributes.items() for name, attributes in self.tags)


def test_every_pick_is_on_the_page(tmp_path: Path) -> None:
    data = make_report()
    write_report(tmp_path / "deep" / "report.html", data)
    page = Page((tmp_path / "deep" / "report.html").read_text(encoding="utf8"))
    listed = page.data["picks-data"]
    assert isinstance(listed, list)
    assert [pick["id"] for pick in listed] == [pick.image_id for pick in data.picks]
    for pick in data.picks:
        assert pick.reason in page.text
        assert file_name(pick.path) in page.text
    for needle in (*data.run.notes, data.run.command, "Tiles, week 12", "/data/line-4/x.png", "0.1.0", "seed: 7"):
        assert needle in page.text
    assert page.count("li", **{"class": "card"}) == len(data.picks)
    assert len(list((tmp_path / "deep").iterdir())) == 1, "no half-written file stays behind"


def test_nothing_is_fetched() -> None:
    text = render.render_report(make_report())
    attributes = [(tag, name, value or "") for tag, attrs in Page(text).tags for name, value in attrs.items()]
    links = [item for item in attributes if item[1] in ("src", "href", "action", "srcset", "data", "poster")]
    assert links
    assert [item for item in links if not item[2].startswith(("data:image/", "#"))] == []
    assert not re.search(r"@import|url\(|https?://", text.replace("http-equiv", ""))


def test_names_of_strangers_stay_text() -> None:
    plain, attacked = Page(render.render_report(make_report())), Page(render.render_report(make_evil()))
    assert attacked.count("script") == plain.count("script") == 3
    assert {tag for tag, _ in attacked.tags} <= {tag for tag, _ in plain.tags}, "an element came from the data"
    assert [name for _, attrs in attacked.tags for name in attrs if name.startswith("on")] == []
    for evil in EVIL:
        assert evil in attacked.text
    listed = attacked.data["picks-data"]
    assert isinstance(listed, list)
    assert [pick["reason"] for pick in listed] == list(EVIL), "what the script reads is what was written"


@settings(max_examples=50)
@given(st.recursive(st.text() | st.integers() | st.none(), lambda inner: st.dictionaries(st.text(), inner)))
def test_embedded_json_reads_back_and_cannot_end_its_element(value: object) -> None:
    text = str(embed_json(value))
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == value


def test_only_our_script_may_run() -> None:
    text = render.render_report(make_report())
    policy = next(a["content"] or "" for tag, a in Page(text).tags if tag == "meta" and "http-equiv" in a)
    assert "default-src 'none'" in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1]


def test_cold_start_without_model_or_metadata_leaves_no_empty_boxes() -> None:
    pick = PickEntry(1, "a" * 32, "/data/a.png", "covers the pool")
    data = make_report(
        picks=(pick,), coverage=Coverage(0.3, np.zeros(200)), breakdowns=(), quarantine=QuarantineList(),
        scores=(ScoreSample("margin", np.full(200, np.nan), np.full(1, np.nan)),),
    )  # fmt: skip
    page = Page(render.render_report(replace(data, run=replace(data.run, labelled_count=0, notes=()))))
    assert not page.ids() & {"scores", "breakdown", "quarantine"}
    assert {"space", "picks", "run"} <= page.ids()
    assert page.count("select") == 1, "sort only; nothing to filter by"
    assert page.count("aside") == 0
    assert "cold start" in page.text
    assert "before, within" not in page.text


def test_bare_report() -> None:
    data = make_report(map=None, coverage=None, scores=(), breakdowns=(), quarantine=QuarantineList())
    page = Page(render.render_report(replace(data, picks=())))
    assert not page.ids() & {"space", "picks", "scores", "map", "breakdown"}
    assert page.data == {"picks-data": [], "map-data": None}


@pytest.mark.parametrize("content", [None, b"", b"GIF89a", b"<svg onload=alert(1)>"])
def test_unreadable_thumbnails_turn_cards_into_a_list(content: bytes | None) -> None:
    page = Page(render.render_report(make_report(thumbnail=lambda _pick: content)))
    assert page.count("li", **{"class": "card"}) == 0
    assert page.count("img") == 0
    assert page.count("tr", **{"data-i": "29"}) == 1


def test_one_unreadable_thumbnail_says_so() -> None:
    page = Page(render.render_report(make_report(thumbnail=lambda pick: None if pick.rank == 3 else JPEG)))
    assert page.text.count("no preview") == 1
    assert page.count("li", **{"class": "card"}) == 30


def test_an_odd_place_is_beside_its_picture() -> None:
    page = Page(render.render_report(make_report(odd_place=lambda pick: JPEG if pick.rank < 3 else None)))
    assert page.count("img") == 32
    assert page.count("div", **{"class": "picture two"}) == 2
    assert page.count("img", title="the odd place, enlarged") == 2


def test_five_thousand_picks_can_be_mailed(tmp_path: Path) -> None:
    asked: list[int] = []

    def thumbnail(pick: PickEntry) -> bytes:
        asked.append(pick.rank)
        return JPEG + bytes(30_000 - len(JPEG))

    picks = tuple(make_pick(rank, meta={"station": "cam-1", "part": f"{rank:012d}"}) for rank in range(1, 5_101))
    path = tmp_path / "report.html"
    write_report(path, make_report(picks=picks, thumbnail=thumbnail))
    assert path.stat().st_size < 15_000_000
    assert len(asked) <= render.MAX_PICTURES, "thumbnails are asked for the first picks only"
    text = path.read_text(encoding="utf8")
    assert {pick.image_id for pick in picks[: render.MAX_PICKS]} <= set(re.findall(r'"id":"(\w+)"', text))
    assert "100 further picks are in batch.csv" in text


def test_a_name_that_is_not_utf8_is_shown_by_its_bytes(tmp_path: Path) -> None:
    name = os.fsdecode(b"/data/caf\xe9.png")
    write_report(tmp_path / "r.html", make_report(picks=(make_pick(1, path=name),)))
    assert "caf\\udce9.png" in (tmp_path / "r.html").read_bytes().decode("utf8")
    assert file_url(name) == "file:///data/caf%E9.png"


def test_a_folder_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnreachableError, match="cannot write"):
        write_report(tmp_path / "file" / "r.html", make_report())


def test_small_pieces_by_hand() -> None:
    assert [format_percent(share) for share in (0, 0.004, 0.784, 0.996, 1)] == [
        "0\u00a0%", "<1\u00a0%", "78\u00a0%", ">99\u00a0%", "100\u00a0%",
    ]  # fmt: skip
    assert file_name("C:\\line 4\\a.png") == "a.png"
    assert file_url("//server/share/a.png") is None, "a click must not reach another machine"
    assert file_url("a.png") is None
    assert file_url("/a b/<c>#?.png") == "file:///a%20b/%3Cc%3E%23%3F.png"
    assert picture_url(b"\x89PNG\r\n\x1a\n") == "data:image/png;base64,iVBORw0KGgo="
    assert html.unescape(str(embed_json("<&>"))) == '"\\u003c\\u0026\\u003e"'
