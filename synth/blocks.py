"""Blocks of 32 consecutive proposals: planned, rendered and judged together, kept on disk as a folder each.

A block depends on the stock and its number alone, so blocks may be made in any order, by any worker, or again.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.files import encode_image, encode_mask, write_atomic
from synth.gates import Limits, judge
from synth.planning import OpenHosts, Stock, Unplaced, draw_plan
from synth.record import box_of, plain, plan_to_json, verdict_to_json
from synth.records import Host, Plan, Variant, Verdict
from synth.render import render_block, render_each
from synth.sheet import draw_strip

BLOCK = 32
UNPLACED, REJECTED, PASSED = "unplaced", "rejected", "passed"


@dataclass(frozen=True)
class Workshop:
    """What makes blocks: the stock, the calibrated limits (None = nothing is judged), where blocks are kept."""

    stock: Stock
    limits: Limits | None
    folder: Path
    suffix: str | None = None  # of the images; None = .jpg for hosts that are JPEG, else .png

    def path_of(self, number: int) -> Path:
        """Return the folder of block ``number``; it exists once the block is finished."""
        return self.folder / f"{number:06d}"

    def suffix_of(self, host: Host) -> str:
        """Return the suffix of an image drawn on this host."""
        is_jpeg = Path(host.path).suffix.lower() in (".jpg", ".jpeg")
        return self.suffix or (".jpg" if is_jpeg else ".png")


def plan_block(stock: Stock, number: int, hosts: OpenHosts) -> tuple[list[Plan], dict[str, Host], list[Unplaced]]:
    """Draw the plans of a block; the hosts by id; what found no place."""
    plans: list[Plan] = []
    used: dict[str, Host] = {}
    unplaced: list[Unplaced] = []
    for proposal in range(number * BLOCK, (number + 1) * BLOCK):
        drawn = draw_plan(stock, proposal, hosts)
        if isinstance(drawn, Unplaced):
            unplaced.append(drawn)
        else:
            plans.append(drawn[0])
            used[drawn[1].host_id] = drawn[1]
    return plans, used, unplaced


def render_plans(stock: Stock, plans: Sequence[Plan], hosts: Mapping[str, Host]) -> list[Variant]:
    """Render the plans of one block, all of them together, since a result may depend on its block."""
    return render_block(list(plans), stock.donors, hosts, stock.recipes) if plans else []


def make_block(workshop: Workshop, number: int, hosts: OpenHosts) -> Path:
    """Make a block, unless it is there, and return its folder, which appears whole or not at all."""
    target = workshop.path_of(number)
    if target.exists():
        return target
    workshop.folder.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=workshop.folder, prefix=f".{target.name}."))
    try:
        plans, used, unplaced = plan_block(workshop.stock, number, hosts)
        stock = workshop.stock
        variants = render_each(plans, stock.donors, used, stock.recipes)  # one at a time: hosts may be large
        rows: list[dict[str, Any]] = [
            {"number": one.number, "status": UNPLACED, "reason": one.reason} for one in unplaced
        ]
        rows += [_keep(workshop, draft, one, used[one.plan.host_id]) for one in variants]
        rows.sort(key=lambda row: row["number"])
        write_atomic(draft / "block.json", json.dumps(plain(rows), allow_nan=False))
        _move(draft, target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return target


def read_block(folder: Path) -> list[dict[str, Any]]:
    """Return a block's rows, one per proposal, in the order of their numbers."""
    rows: list[dict[str, Any]] = json.loads((folder / "block.json").read_text(encoding="utf8"))
    return rows


def _keep(workshop: Workshop, draft: Path, variant: Variant, host: Host) -> dict[str, Any]:
    """Judge a variant, write its files if it passes, and return its row."""
    verdicts = _judge(workshop, variant, host)
    box = box_of(variant)
    failed = [verdict for verdict in verdicts if not verdict.ok]
    row: dict[str, Any] = {
        "number": variant.plan.number,
        "status": PASSED if box is not None and not failed else REJECTED,
        "reason": failed[0].reason if failed else ("" if box is not None else "nothing of it is visible"),
        "rule": failed[0].rule if failed else ("" if box is not None else "visibility"),
        "plan": plan_to_json(variant.plan),
        "host": {"id": host.host_id, "path": host.path, "group": host.group, "label": host.label},
        "contrast": variant.contrast,
        "size": list(variant.mask.shape),
        "box": box,
        "area_px": int(variant.mask.sum()),
        "verdicts": [verdict_to_json(verdict) for verdict in verdicts],
    }
    if row["status"] == PASSED and box is not None:
        name = f"{variant.plan.number:06d}"
        row["image"], row["mask"] = name + workshop.suffix_of(host), f"{name}_mask.png"
        (draft / row["image"]).write_bytes(encode_image(variant.picture, workshop.suffix_of(host)))
        (draft / row["mask"]).write_bytes(encode_mask(variant.mask))
        (draft / f"{name}_strip.jpg").write_bytes(draw_strip(variant.picture, host.picture, variant.mask, box))
    return row


def _judge(workshop: Workshop, variant: Variant, host: Host) -> list[Verdict]:
    if workshop.limits is None or not variant.mask.any():
        return []
    donor = workshop.stock.donors.get(variant.plan.source_id) if variant.plan.source == "donor" else None
    return list(judge(variant, host, donor, workshop.limits))


def _move(draft: Path, target: Path) -> None:
    try:
        draft.rename(target)
    except OSError:
        if not (target / "block.json").exists():  # else another worker was quicker, with the same content
            raise
        shutil.rmtree(draft)
