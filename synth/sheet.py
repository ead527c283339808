"""The contact sheet: one offline page with every kept variant to look at, accept or reject."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Template
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from synth.records import Image, Mask

_STRIP_PX = 176  # side of each of the four squares of a strip
_OUTLINE_RGB = (255, 64, 160)
_MARGIN = 0.6  # of the box's longer side, shown around it
MOST_SHOWN = 2000


@dataclass(frozen=True)
class Card:
    """One variant on the sheet. strip: JPEG of draw_strip. lines: facts below it. state: "", accepted, rejected."""

    variant_id: str
    strip: bytes
    lines: Sequence[str]
    state: str = ""


@dataclass(frozen=True)
class Standing:
    """How the set as a whole stands. refused: why, () = not. gaps: verdicts of the gaps aimed at, as in run.json."""

    refused: Sequence[str] = ()
    gaps: Sequence[Mapping[str, Any]] = ()


def draw_strip(variant: Image, host: Image, mask: Mask, box: tuple[int, int, int, int]) -> bytes:
    """Return a JPEG of four squares: the image with its box, the defect, the same with its outline, the host there."""
    whole = cv2.rectangle(
        variant.copy(), box[:2], (box[2] - 1, box[3] - 1), _OUTLINE_RGB, max(1, max(mask.shape) // 150)
    )
    window = _window(box, (mask.shape[0], mask.shape[1]))
    crops = [_square(one[window]) for one in (variant, host)]
    outlined = crops[0].copy()
    shape = _square(np.repeat(mask[window][..., None].astype(np.uint8) * 255, 3, axis=2))[..., 0] > 127
    edges, _ = cv2.findContours(shape.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(outlined, edges, -1, _OUTLINE_RGB, 1)
    strip = np.concatenate([_square(whole), crops[0], outlined, crops[1]], axis=1)
    done, content = cv2.imencode(".jpg", cv2.cvtColor(strip, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert done
    return bytes(content)


def render_sheet(
    title: str, cards: Sequence[Card], funnel: Sequence[tuple[str, int]], set_id: str, standing: Standing | None = None
) -> str:
    """Return the page; it loads nothing from anywhere. Beyond ``MOST_SHOWN`` cards it says how many are not shown."""
    shown = cards[:MOST_SHOWN]
    note = f"{len(cards)} images" + (f", the first {MOST_SHOWN} shown" if len(cards) > MOST_SHOWN else "")
    rows = "".join(f"<tr><td>{html.escape(name)}</td><td>{n}</td></tr>" for name, n in funnel)
    return _PAGE.substitute(
        title=html.escape(title), note=html.escape(note), rows=rows, cards="".join(map(_card, shown)),
        set_id=json.dumps(set_id).replace("<", "\\u003c"), px=4 * _STRIP_PX, standing=_stand(standing or Standing()),
    )  # fmt: skip


def facts_of(record: Mapping[str, Any]) -> list[str]:
    """Return what the sheet says below a variant: what it was made from, the host, and the closest rule."""
    source, plan = record["source"], record["plan"]
    made = f"{source['kind']} {source['path'].rpartition('/')[2] or source['id']}"
    if source["kind"] == "donor":
        made += f", {plan['blend']}, x{plan['scale']:.2f}, {np.degrees(plan['angle_rad']):.0f}°, " \
                f"strength {plan['strength']:.2f}"  # fmt: skip
    host = f"host {record['host']['path'].rpartition('/')[2]}"
    scores = ", ".join(f"{one['rule']} {one['value']:.3g}" for one in record["verdicts"] if one["value"] is not None)
    return [made, host, scores, *([f"for {'; '.join(record['gaps'])}"] if record.get("gaps") else [])]


def _stand(standing: Standing) -> str:
    """Return what is against the set, and what became of the gaps, as HTML; "" for neither."""
    parts = []
    if standing.refused:
        reasons = "".join(f"<li>{html.escape(one)}</li>" for one in standing.refused)
        parts.append(f'<div class="refused"><b>refused</b>, do not train on it as it is:<ul>{reasons}</ul></div>')
    if standing.gaps:
        rows = "".join(
            f'<tr><td>{html.escape(one["name"])}</td><td class="{html.escape(one["outcome"], quote=True)}">'
            f"{html.escape(one['outcome'])}</td><td>{one['before']:.0%} to {one['after']:.0%}</td>"
            f"<td>{html.escape(one['reason'])}</td></tr>"
            for one in standing.gaps
        )
        table = f'<table class="gaps"><tr><th>gap<th>verdict<th>coverage<th>why</tr>{rows}</table>'
        parts.append(f"<details open><summary>gaps aimed at: {len(standing.gaps)}</summary>{table}</details>")
    return "".join(parts)


def _card(card: Card) -> str:
    image = base64.b64encode(card.strip).decode()
    name = html.escape(card.variant_id, quote=True)
    lines = "".join(f"<p>{html.escape(line)}</p>" for line in card.lines)
    return (
        f'<article data-id="{name}" data-state="{html.escape(card.state, quote=True)}" tabindex="0">'
        f'<img alt="{name}" loading="lazy" src="data:image/jpeg;base64,{image}"><h2>{name}</h2>{lines}'
        '<button data-to="accepted">accept</button> <button data-to="rejected">reject</button></article>'
    )


def _window(box: tuple[int, int, int, int], size: tuple[int, int]) -> tuple[slice, slice]:
    x0, y0, x1, y1 = box
    half = max(20.0, (0.5 + _MARGIN) * max(x1 - x0, y1 - y0))
    y, x = (y0 + y1) / 2, (x0 + x1) / 2
    return (slice(max(0, int(y - half)), min(size[0], int(y + half) + 1)),
            slice(max(0, int(x - half)), min(size[1], int(x + half) + 1)))  # fmt: skip


def _square(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Fit a picture into the strip's square, on grey."""
    height, width = picture.shape[:2]
    scale = _STRIP_PX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    square = np.full((_STRIP_PX, _STRIP_PX, 3), 40, np.uint8)
    top, left = (_STRIP_PX - size[1]) // 2, (_STRIP_PX - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = small
    return square


_PAGE = Template("""<!doctype html><html lang="en"><meta charset="utf-8"><title>$title</title>
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<style>
body{font:14px/1.4 system-ui,sans-serif;margin:0;background:#16181c;color:#dde1e7}
header{position:sticky;top:0;background:#16181cf2;padding:10px 16px;border-bottom:1px solid #333a44;z-index:1}
h1{font-size:17px;margin:0 16px 0 0;display:inline}table{border-spacing:12px 0;margin:8px 4px}td+td{text-align:right}
main{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,560px),1fr));gap:12px;padding:12px 16px}
article{background:#1f232a;border:2px solid transparent;border-radius:6px;padding:8px}
article:focus{outline:2px solid #6cf}article[data-state=rejected]{border-color:#e5484d;opacity:.55}
article[data-state=accepted]{border-color:#30a46c}img{width:100%;max-width:${px}px;display:block}
h2{font:600 12px ui-monospace,monospace;margin:6px 0 2px}p{margin:0;color:#9aa4b2;font-size:12px}
button{margin-top:6px;background:#2b313b;color:inherit;border:1px solid #444d5a;border-radius:4px;padding:3px 10px}
summary{cursor:pointer;display:inline-block}
.refused{background:#4a1d21;border-left:4px solid #e5484d;margin:8px 0;padding:6px 12px}ul{margin:2px 0}
.gaps td,.gaps th{text-align:left;vertical-align:top}.closed,.covered{color:#4cc38a}.narrowed{color:#f5d90a}
.unreachable{color:#ff8589}
</style>
<header><h1>$title</h1> $note; <b id="count"></b>
<button id="save">save decisions.json</button>
$standing
<details><summary>proposals, rule by rule</summary><table>$rows</table></details>
<p>Each strip: the image with the defect boxed; the defect; its mask outlined; the host in the same place. Click a card,
then A accepts, R rejects, arrows move. Saved decisions count after
<code>activesel synth review DIR --decisions decisions.json</code>.</p></header>
<main>$cards</main>
<script>
"use strict";
const setId = $set_id, cards = [...document.querySelectorAll("article")];
const count = () => { const n = s => cards.filter(c => c.dataset.state === s).length;
  document.getElementById("count").textContent = n("accepted") + " accepted, " + n("rejected") + " rejected"; };
const decide = (card, to) => { card.dataset.state = card.dataset.state === to ? "" : to; count(); };
cards.forEach((card, i) => {
  card.addEventListener("click", e => { if (e.target.dataset.to) decide(card, e.target.dataset.to); });
  card.addEventListener("keydown", e => {
    if (e.key === "a") decide(card, "accepted"); else if (e.key === "r") decide(card, "rejected");
    const step = {ArrowRight: 1, ArrowLeft: -1}[e.key]; if (step) cards[i + step]?.focus(); });
});
document.getElementById("save").addEventListener("click", () => {
  const of = s => cards.filter(c => c.dataset.state === s).map(c => c.dataset.id);
  const text = JSON.stringify({set: setId, accepted: of("accepted"), rejected: of("rejected"),
    undecided: of("")}, null, 1);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type: "application/json"}));
  link.download = "decisions.json"; link.click(); URL.revokeObjectURL(link.href); });
count();
</script></html>
""")
