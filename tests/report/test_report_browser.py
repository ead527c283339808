"""The page in a real browser: it draws, fits, answers to clicks, and runs nothing that came with the data."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from activesel.report.data import ReportData
from activesel.report.render import write_report
from tests.report.sample import EVIL, N_PICKS, make_evil, make_pick, make_report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the PATH"),
]
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
)  # fmt: skip
# Added to a copy of the page without its policy; leaves what it finds where --dump-dom shows it.
PROBE = """
const find = (selector) => document.querySelector(selector);
const all = (selector) => [...document.querySelectorAll(selector)];
const visible = () => all(".card").filter((card) => card.offsetParent !== null).map((card) => card.id);
const choose = (selector, value) => {
  find(selector).value = value;
  find(selector).dispatchEvent(new Event("change"));
};
const inks = (canvas) => {
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return new Set(new Uint32Array(pixels.buffer)).size;
};
const found = {};
BODY
document.body.dataset.found = JSON.stringify(found);
"""


@dataclass(frozen=True)
class Seen:
    """What the browser made of a page. console: every line a script, or a broken one, wrote."""

    dom: str
    console: list[str]
    found: dict[str, Any]


def browse(tmp_path: Path, text: str, *flags: str, width: int = 1400, height: int = 1000) -> Seen:
    page = tmp_path / "page.html"
    page.write_text(text, encoding="utf8")
    profile = tmp_path / "profile"
    assert CHROMIUM is not None
    done = subprocess.run(
        [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}",
         *(flags or ("--dump-dom",)), page.as_uri()],
        capture_output=True, timeout=120, check=True,
    )  # fmt: skip
    dom, log = done.stdout.decode(), done.stderr.decode(errors="replace")
    match = re.search(r'data-found="([^"]*)"', dom)
    console = [line for line in log.splitlines() if "CONSOLE" in line]
    return Seen(dom, console, json.loads(unescape(match[1])) if match else {})


def render(tmp_path: Path, data: ReportData) -> str:
    write_report(tmp_path / "report.html", data)
    return (tmp_path / "report.html").read_text(encoding="utf8")


def probe(tmp_path: Path, data: ReportData, body: str, **size: int) -> Seen:
    """Browse a copy of the page that runs ``body``; its policy is taken out, so escaping stands alone."""
    text, n = re.subn(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", render(tmp_path, data))
    assert n == 1
    script = f"<script>{PROBE.replace('BODY', body)}</script>"
    return browse(tmp_path, text.replace("</body>", script + "</body>"), **size)


def test_page_draws_without_errors_under_its_policy(tmp_path: Path) -> None:
    seen = browse(tmp_path, render(tmp_path, make_report()))
    assert seen.console == []
    assert 'data-ready="true"' in seen.dom
    assert len(re.findall(r'<li class="card"', seen.dom)) == N_PICKS


@pytest.mark.parametrize("width", [1400, 800])
def test_nothing_sticks_out_sideways(tmp_path: Path, width: int) -> None:
    body = """
      found.page = document.documentElement.scrollWidth; found.window = window.innerWidth;
      found.inks = inks(find("#map"));
      const sticksOut = (e) => e.getBoundingClientRect().right > innerWidth + 1;
      found.wide = all("body *").filter((e) => sticksOut(e) && !e.closest(".scroll, dialog, pre"))
        .map((e) => e.tagName + "." + e.className);
    """
    seen = probe(tmp_path, make_report(), body, width=width)
    assert seen.found["page"] <= seen.found["window"] == width
    assert seen.found["wide"] == []
    assert seen.found["inks"] > 20, "the map is blank"


def test_filters_order_and_details(tmp_path: Path) -> None:
    body = """
      found.first = visible().length;
      find("#more").click(); found.all = visible().length;
      choose("[data-filter=kind]", "=explore"); found.explore = visible(); found.shown = find("#shown").textContent;
      choose("[data-filter=kind]", ""); choose("#sort", "score.margin"); found.best = visible()[0];
      choose("#sort", "standsFor"); found.most = visible()[0];
      find("#search").value = "part_0007"; find("#search").dispatchEvent(new Event("input")); found.search = visible();
      find("#search").value = ""; choose("#sort", "rank");
      find("#pick-12 .open").click();
      found.title = find("#detail-title").textContent; found.facts = find("#detail-facts").textContent;
      found.picture = find("#detail-picture img").naturalWidth > 0 || find("#detail-picture img").src.length;
      found.small = inks(find("#detail-map"));
      find("#next").click(); found.next = find("#detail-title").textContent;
      find("#close").click(); found.open = find("#detail").open;
      const before = find("#map").toDataURL();
      find("[data-zoom=in]").click(); found.zoomed = find("#map").toDataURL() !== before;
      find("[data-layer='0']").click(); found.pressed = find("[data-layer='0']").getAttribute("aria-pressed");
    """
    seen = probe(tmp_path, make_report(), body)
    assert seen.console == []
    found = seen.found
    assert (found["first"], found["all"]) == (24, N_PICKS)
    assert found["explore"] == ["pick-10", "pick-20", "pick-30"]
    assert found["shown"] == "3 of 30 picks"
    assert (found["best"], found["most"]) == ("pick-1", "pick-30")
    assert found["search"] == ["pick-7"]
    assert found["title"] == "Pick 12: scratch 51 %"
    assert "cam-0" in found["facts"]
    assert "12 unlabelled images" in found["facts"]
    assert found["picture"]
    assert found["small"] > 20
    assert found["next"].startswith("Pick 13")
    assert found["open"] is False
    assert found["zoomed"] is True
    assert found["pressed"] == "false"


def test_filters_reach_the_picks_without_pictures(tmp_path: Path) -> None:
    picks = tuple(make_pick(rank, kind="strategy" if rank <= 210 else "evaluation") for rank in range(1, 221))
    body = """
      const shown = () => all("#rows tr").filter((row) => row.checkVisibility({contentVisibilityAuto: true}));
      const rows = () => find("#rest").open ? shown().map((row) => Number(row.dataset.i) + 1) : [];
      found.cards = all(".card").length; found.closed = rows().length;
      choose("[data-filter=kind]", "=evaluation");
      found.summary = find("#rest summary").textContent; found.rows = rows(); found.visible = visible();
      find("#rows tr:not([hidden]) .open").click();
      found.title = find("#detail-title").textContent; find("#close").click();
      choose("[data-filter=kind]", ""); found.again = find("#rest summary").textContent;
    """
    seen = probe(tmp_path, make_report(picks=picks), body)
    assert seen.console == []
    assert (seen.found["cards"], seen.found["closed"]) == (200, 0)
    assert seen.found["summary"] == "10 matching picks without pictures"
    assert (seen.found["rows"], seen.found["visible"]) == (list(range(211, 221)), [])
    assert seen.found["title"].startswith("Pick 211")
    assert seen.found["again"].startswith("20 more picks")


def test_names_of_strangers_do_not_run(tmp_path: Path) -> None:
    body = """
      all(".card .open").forEach((button) => { button.click(); find("#close").click(); });
      all("details").forEach((box) => { box.open = true; });
      const map = find("#map"), box = map.getBoundingClientRect();
      for (let x = 0; x < box.width; x += 14) for (let y = 0; y < box.height; y += 14)
        map.dispatchEvent(new PointerEvent("pointermove", {clientX: box.left + x, clientY: box.top + y}));
      all("[autofocus]").forEach((element) => element.focus());
      choose("[data-filter='predicted']", "=" + find(".card .reason").textContent); found.kept = visible();
      found.tip = find("#tip").children.length; found.title = document.title;
      found.page = document.documentElement.scrollWidth; found.window = window.innerWidth;
    """
    seen = probe(tmp_path, make_evil(), body)
    assert seen.console == []
    assert "data-hacked" not in seen.dom
    assert seen.found["title"] == EVIL[0]
    assert seen.found["kept"] == ["pick-1"]
    assert seen.found["tip"] > 0, "no tooltip was drawn, so none was tested"
    assert seen.found["page"] <= seen.found["window"], "long names must wrap"
    assert browse(tmp_path, render(tmp_path, make_evil())).console == [], "the policy had nothing to stop"


def test_screenshot_shows_something(tmp_path: Path) -> None:
    shot = tmp_path / "shot.png"
    browse(tmp_path, render(tmp_path, make_report()), f"--screenshot={shot}", height=1600)
    with Image.open(shot) as image:
        pixels = np.asarray(image.convert("L"), dtype=np.float64)
    assert pixels.shape == (1600, 1400)
    bands = [float(band.std()) for band in np.array_split(pixels, 4)]
    assert min(bands) > 5, f"a quarter of the page is blank: {bands}"
