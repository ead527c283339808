"""Make one image of a set again from its record alone, to the byte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.blocks import BLOCK, render_plans
from synth.errors import SynthError
from synth.files import encode_image, encode_mask, read_bytes, read_image
from synth.generate import request_from_json
from synth.hosts import Read
from synth.planning import OpenHosts, Stock
from synth.publish import PROPOSALS, RECORDS, REJECTED, read_run
from synth.record import plan_from_json, read_lines, versions
from synth.records import Host
from synth.stocking import stock_up
from synth.threads import single_thread


@dataclass(frozen=True)
class Replayed:
    """One image made again. image and mask: the files' bytes; is_equal: to those of the set. notes: what differs."""

    variant_id: str
    image: bytes
    mask: bytes
    is_equal: bool
    notes: tuple[str, ...]


def replay(folder: Path, variant_id: str, read: Read = read_image) -> Replayed:
    """Render the whole block that the image came from, by the recorded plans, and compare with the set's files.

    The label file and the images that it names must still be there. Costs as much as a block, 32 proposals.

    Raises:
        SynthError: no such id, a donor or host that is gone or has changed.
    """
    run = read_run(folder)
    record = _find(folder, variant_id)
    rows = [
        row for row in read_lines(folder / PROPOSALS) if row["number"] // BLOCK == record["block"] and "plan" in row
    ]
    with single_thread():
        stock = stock_up(request_from_json(run["request"]), read).stock
        hosts = _open_hosts(stock, rows)
        _check_donors(stock, rows)
        variants = render_plans(stock, [plan_from_json(row["plan"]) for row in rows], hosts)
        variant = next(one for one in variants if one.plan.number == record["number"])
        image = encode_image(variant.picture, Path(record["image"]).suffix)
        mask = encode_mask(variant.mask)
    is_equal = image == _stored(folder, record["image"]) and mask == _stored(folder, record["mask"])
    now, was = versions(), record["versions"]
    changed = [f"{name} is {now.get(name, 'absent')}, was {was.get(name, 'absent')}" for name in {**was, **now}
               if now.get(name) != was.get(name)]  # fmt: skip
    return Replayed(variant_id, image, mask, is_equal, tuple(changed))


def _find(folder: Path, variant_id: str) -> dict[str, Any]:
    records = read_lines(folder / RECORDS)
    for record in records:
        if record["id"] == variant_id:
            return record
    raise SynthError("no image of this set has this id", where=str(folder), found=variant_id,
                     expected=f"an id of {RECORDS}, such as {records[0]['id'] if records else 'none'}")  # fmt: skip


def _open_hosts(stock: Stock, rows: list[dict[str, Any]]) -> Mapping[str, Host]:
    cards = {card.path: card for card in stock.cards}
    opened = OpenHosts(stock)
    hosts: dict[str, Host] = {}
    for row in rows:
        path = row["host"]["path"]
        if path not in cards:
            raise SynthError("a host is no longer in the label file", where=path)
        host = opened.open(cards[path])
        if host.host_id != row["host"]["id"]:
            raise SynthError("a host has changed since", where=path, found=host.host_id, expected=row["host"]["id"])
        hosts[host.host_id] = host
    return hosts


def _check_donors(stock: Stock, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        plan = row["plan"]
        if plan["source_id"] not in (stock.donors if plan["source"] == "donor" else stock.recipes):
            raise SynthError(f"a {plan['source']} is gone or has changed since", found=plan["source_id"])


def _stored(folder: Path, name: str) -> bytes:
    """Return a file of the set, also where a person rejected it."""
    path = folder / name
    return read_bytes(path if path.exists() else folder / REJECTED / name)
