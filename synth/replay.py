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
from synth.inputs import INPUTS, content_of, difference, load_inputs, tell
from synth.planning import OpenHosts, Stock
from synth.publish import PROPOSALS, RECORDS, REJECTED, STATE, read_run
from synth.record import plan_from_json, read_lines, versions
from synth.records import Host
from synth.stocking import GenerateRequest, stock_up
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
    request = request_from_json(run["request"])
    rows = [
        row for row in read_lines(folder / PROPOSALS) if row["number"] // BLOCK == record["block"] and "plan" in row
    ]
    with single_thread():
        changed_files = _find_changes(folder)
        stock = _stock_up(request, read, changed_files)
        hosts = _open_hosts(stock, rows)
        _check_donors(stock, rows, changed_files)
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


def _find_changes(folder: Path) -> dict[str, str]:
    """Return path -> what became of it, for the donors and masks of donors that are not what the set was made of."""
    was = load_inputs(folder / STATE / INPUTS)[2]
    donors = [path for path, role in was.roles.items() if "donor" in role]
    now = {path: content_of(path) for path in donors}
    return {path: difference(was.digests[path], now[path]) for path in donors if now[path] != was.digests[path]}


def _stock_up(request: GenerateRequest, read: Read, changed: Mapping[str, str]) -> Stock:
    try:
        return stock_up(request, read).stock
    except SynthError as error:
        if not changed:
            raise
        raise _changed_donors(changed, str(error)) from None


def _open_hosts(stock: Stock, rows: list[dict[str, Any]]) -> Mapping[str, Host]:
    cards = {card.path: card for card in stock.cards}
    opened = OpenHosts(stock)
    hosts: dict[str, Host] = {}
    for row in rows:
        path, wanted = row["host"]["path"], row["host"]["id"]
        if path not in cards:
            raise SynthError("a host is no longer in the label file", where=path)
        now = content_of(path)
        if now != wanted:
            raise SynthError("a host has changed since", where=path, found=f"{difference(wanted, now)}, {now}",
                             expected=wanted, hint="put the image back that the set was made with")  # fmt: skip
        hosts[wanted] = opened.open(cards[path])
    return hosts


def _check_donors(stock: Stock, rows: list[dict[str, Any]], changed: Mapping[str, str]) -> None:
    """Refuse a block whose donors are gone or cut from other files; the ground below a defect takes the whole image."""
    for row in rows:
        name, kind = row["plan"]["source_id"], row["plan"]["source"]
        donor = stock.donors.get(name)
        if name not in (stock.donors if kind == "donor" else stock.recipes):
            if kind == "donor" and changed:
                raise _changed_donors(changed, name)
            raise SynthError(f"a {kind} is gone or has changed since", found=name)
        if donor is not None and donor.path in changed:
            raise _changed_donors({donor.path: changed[donor.path]}, name)


def _changed_donors(changed: Mapping[str, str], found: str) -> SynthError:
    names = tell([f"{path} {what}" for path, what in changed.items()])
    return SynthError("a donor has changed since", where=names, found=found,
                      hint="put the files back that the set was made with")  # fmt: skip


def _stored(folder: Path, name: str) -> bytes:
    """Return a file of the set, also where a person rejected it."""
    path = folder / name
    return read_bytes(path if path.exists() else folder / REJECTED / name)
