"""The story of a set: stock up, make blocks of proposals, sift them in their order, publish what is kept.

Killed and run again it goes on: finished blocks stay in DIR/.synth until the set is complete.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from synth.aiming import Aiming
from synth.blocks import BLOCK, Workshop, read_block
from synth.choice import settle_blend
from synth.errors import SynthError
from synth.files import hold, read_bytes, read_image, sweep, write_atomic
from synth.fill import GapAim, gaps_of, outcome_to_json
from synth.gates import Batch, Limits, calibrate
from synth.hosts import Read
from synth.inputs import INPUTS, Inputs, load_inputs, read_files, tell, what_changed, write_inputs
from synth.planning import OpenHosts, Stock
from synth.publish import PROPOSALS, RECORDS, RUN, STATE, publish, read_run
from synth.record import SCHEMA_VERSION, plain, verdict_to_json, versions, write_lines
from synth.records import Embedder, Verdict
from synth.refusal import refused_of, why_refused
from synth.sift import KEPT, Sift
from synth.stocking import GenerateRequest, Stocked, check_request, list_stock, open_stock, stock_up
from synth.threads import single_thread
from synth.workers import make_blocks

Advance = Callable[[int], None]  # called with the number of images just kept
_HOSTS_TO_CALIBRATE = 32


@dataclass(frozen=True)
class Summary:
    """What a run made. stopped: why it ended. funnel: (what, proposals left or lost there), from the top down.
    verdicts: on the set as a whole; refused: why it is not to be trained on, () = nothing against it. gaps: verdicts of
    the gaps that were aimed at.
    """

    folder: Path
    label: str
    n_kept: int
    n_proposals: int
    stopped: str
    reused: bool
    funnel: tuple[tuple[str, int], ...]
    verdicts: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...]
    seconds: float
    refused: tuple[str, ...] = ()
    gaps: tuple[Mapping[str, Any], ...] = ()


def generate(
    request: GenerateRequest, read: Read = read_image, embed: Embedder | None = None,
    advance: Advance = lambda _: None, aim: GapAim | None = None,
) -> Summary:  # fmt: skip
    """Make a set in ``request.out``; the same request and inputs give the same bytes, whatever the worker count.

    read: (h, w, 3) RGB of a file, raising SynthError for what cannot be decoded; must survive pickling. embed: None =
    the rules that compare vectors are off. A set that is there already is returned as it is. aim: keep what gaps need,
    ``request.count`` at most; None = keep the first that pass.

    Raises:
        SynthError: the request or its inputs are wrong; the folder holds another set.
    """
    started = time.perf_counter()
    check_request(request)
    with single_thread():
        listing = list_stock(request)
        inputs = read_files(listing.files, load_inputs(request.out / STATE / INPUTS)[2])  # before they are used
        stocked = open_stock(request, listing, read, inputs.digests)
    key = run_key(request, stocked, inputs, embed is not None, aim.key if aim is not None else None)
    _check_folder(request.out)
    with hold(request.out / STATE):
        sweep(request.out)
        _check_inputs(request, key, inputs)
        done = _find_done(request.out, key, _earlier_key(request, stocked, embed is not None, aim))
        if done is None:
            write_inputs(request.out / STATE / INPUTS, key, _asked(request), inputs)
        run = done or _make_set(request, stocked, key, embed, advance, aim)
    return _summarise(request.out, run, reused=done is not None, seconds=time.perf_counter() - started)


def _make_set(
    request: GenerateRequest, stocked: Stocked, key: str, embed: Embedder | None, advance: Advance, aim: GapAim | None
) -> dict[str, Any]:
    """Make blocks, sift them in their order, judge the whole, write it; return what run.json holds."""
    blocks = _claim(request.out, key)
    with single_thread():
        hosts = OpenHosts(stocked.stock)
        stocked = settle_blend(stocked, hosts)
        limits = _calibrate(stocked.stock, hosts, embed) if request.gated else None
        batch = Batch(list(stocked.stock.donors.values()), limits, embed) if limits is not None else None
        sift = Sift(stocked.stock, request.count if aim is None else request.limit, batch)
    aiming = Aiming(aim, request.count, request.limit) if aim is not None else None
    workshop = Workshop(stocked.stock, limits, blocks, request.suffix)
    with contextlib.closing(make_blocks(workshop, -(-request.limit // BLOCK), request.workers)) as folders:
        for folder in folders:
            with single_thread():
                added = sift.take(folder, read_block(folder), request.limit)
                if aiming is not None:
                    aiming.take(folder, sift.last_kept(added))
            advance(added if aiming is None else 0)
            if sift.is_full or (aiming is not None and aiming.is_done):
                break
    with single_thread():
        gaps = _aim(aiming, sift, request.limit) if aiming is not None else []
        advance(0 if aiming is None else sift.n_kept)
        verdicts = sift.judge_set(hosts)
    return _write_set(request, stocked, sift, key, verdicts, gaps)


def _aim(aiming: Aiming, sift: Sift, limit: int) -> list[dict[str, Any]]:
    """Keep what the gaps need; return their verdicts as JSON values."""
    filled = aiming.choose()
    open_ones = [one for one in filled.verdicts if one.outcome not in ("closed", "covered")]
    ended = f"{len(open_ones)} of {len(filled.verdicts)} gaps stay open after {len(sift.rows)} proposals"
    ended += ", the maximum" if len(sift.rows) >= limit else ""
    ended += ", which more would not fill" if open_ones and all(one.given_up for one in open_ones) else ""
    sift.keep_only({row: gaps_of(filled.verdicts).get(row, []) for row in filled.keep}, ended)
    return [outcome_to_json(one, aiming.ids) for one in filled.verdicts]


def describe(request: GenerateRequest, read: Read = read_image) -> Stocked:
    """Read what a run would work with, and write nothing.

    Raises:
        SynthError: as generate, as far as it can be told before a host is drawn.
    """
    check_request(request)
    with single_thread():
        return stock_up(request, read)


def run_key(request: GenerateRequest, stocked: Stocked, inputs: Inputs, embeds: bool, aim: str | None = None) -> str:
    """Return 16 hex digits that name the result: request, content of every file, donors, ranges, versions, the aim."""
    recipes = {name: repr(one) for name, one in stocked.stock.recipes.items()}
    read = [inputs.digest, sorted(stocked.stock.donors), recipes, embeds, versions()]
    text = json.dumps([SCHEMA_VERSION, _asked(request), read, *([aim] if aim is not None else [])], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _earlier_key(request: GenerateRequest, stocked: Stocked, embeds: bool, aim: GapAim | None) -> str:
    """Return the key that sets had before the content of their hosts was part of it; finished ones stay finished."""
    read = [hashlib.sha256(read_bytes(request.labels)).hexdigest(), sorted(stocked.stock.donors), embeds, versions()]
    text = json.dumps([SCHEMA_VERSION, _asked(request), read, *([aim.key] if aim is not None else [])], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _asked(request: GenerateRequest) -> dict[str, Any]:
    """Return what of a request the result depends on."""
    return {name: value for name, value in request_to_json(request).items() if name not in ("workers", "out")}


def request_to_json(request: GenerateRequest) -> dict[str, Any]:
    """Return the request as JSON values, its paths absolute."""
    paths = {"labels": request.labels, "images": request.images, "out": request.out, "part_mask": request.part_mask}
    fixed = {name: None if path is None else str(path.absolute()) for name, path in paths.items()}
    return dict(plain({**asdict(request), **fixed}))


def request_from_json(value: Mapping[str, Any]) -> GenerateRequest:
    """Return the request that was written."""
    fields: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in value.items()}
    for name in ("labels", "images", "out", "part_mask"):
        fields[name] = None if fields[name] is None else Path(fields[name])
    return GenerateRequest(**fields)


def _calibrate(stock: Stock, hosts: OpenHosts, embed: Embedder | None) -> Limits:
    """Learn the rules' limits from the donors and some hosts spread over the list; a broken host is passed over."""
    step = max(1, len(stock.cards) // _HOSTS_TO_CALIBRATE)
    tried = [hosts.open_usable(card) for card in stock.cards[::step][:_HOSTS_TO_CALIBRATE]]
    opened = [host for host in tried if host is not None]
    if not opened:
        raise SynthError("no host can be opened", where=stock.cards[0].path)
    return calibrate(list(stock.donors.values()), opened, embed)


def _check_inputs(request: GenerateRequest, key: str, inputs: Inputs) -> None:
    """Refuse to go on with a set, or to take it as done, if the same was asked of files that were others then."""
    state = request.out / STATE
    was_key, asked, before = load_inputs(state / INPUTS)
    is_done = (state / RUN).exists()
    if was_key == key or asked != _asked(request) or not (is_done or any(state.glob("blocks-*/[0-9]*"))):
        return
    if changes := what_changed(before, inputs):
        stage = "set was made" if is_done else "unfinished set was begun"
        hint = ("the set is of the old ones: put them back, or name another --out" if is_done else
                f"put them back to go on, or remove {request.out} to begin anew")  # fmt: skip
        raise SynthError(
            f"files have changed since the {stage}", where=str(request.out), found=tell(changes), hint=hint
        )


def _find_done(out: Path, key: str, earlier: str) -> dict[str, Any] | None:
    if not (out / STATE / RUN).exists():
        return None
    run = read_run(out)
    is_earlier = not (out / STATE / INPUTS).exists() and run.get("key") == earlier
    if run.get("key") != key and not is_earlier:
        raise SynthError("the folder holds another set", where=str(out), found=f"{run.get('key')}, asked for {key}",
                         hint="name another --out, or remove the folder")  # fmt: skip
    publish(out)
    _drop_blocks(out)
    return run


def _check_folder(out: Path) -> None:
    """Refuse a folder that holds something else."""
    if out.exists() and not out.is_dir():
        raise SynthError("--out is not a folder", where=str(out))
    if out.exists() and not (out / STATE).exists() and any(out.iterdir()):
        raise SynthError("the folder is not empty and no set", where=str(out), hint="name another --out")


def _claim(out: Path, key: str) -> Path:
    """Drop blocks of other requests and half-made ones, and return the folder where this request's are."""
    blocks = out / STATE / f"blocks-{key}"
    blocks.mkdir(parents=True, exist_ok=True)
    for other in (*(out / STATE).glob("blocks-*"), *blocks.glob(".*")):
        if other.is_file():
            other.unlink()
        elif other != blocks:
            shutil.rmtree(other, ignore_errors=True)
    return blocks


def _write_set(
    request: GenerateRequest, stocked: Stocked, sift: Sift, key: str, verdicts: list[Verdict],
    gaps: list[dict[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    """Place the kept files, the records and the sheet; run.json last but for the blocks, which then may go."""
    out = request.out
    for row in sift.rows:
        if row["status"] == KEPT:
            for source, target in row.pop("files"):
                _link(source, out / target)
    write_lines(out / RECORDS, [sift.record_of(row) for row in sift.rows if row["status"] == KEPT])
    write_lines(out / PROPOSALS, sift.rows)
    run = {
        "schema_version": SCHEMA_VERSION, "key": key, "request": request_to_json(request), "versions": versions(),
        "classes": sorted({*stocked.table.n_by_class, request.label}), "n_kept": sift.n_kept,
        "n_proposals": len(sift.rows), "stopped": sift.stopped, "funnel": sift.funnel, "notes": stocked.notes,
        "verdicts": [verdict_to_json(verdict) for verdict in verdicts], "refused": why_refused(verdicts), "gaps": gaps,
    }  # fmt: skip
    write_atomic(out / STATE / RUN, json.dumps(plain(run), indent=1) + "\n")
    publish(out)
    _drop_blocks(out)
    return run


def _drop_blocks(out: Path) -> None:
    for leftover in (out / STATE).glob("blocks-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        write_atomic(target, source.read_bytes())


def _summarise(out: Path, run: Mapping[str, Any], *, reused: bool, seconds: float) -> Summary:
    funnel = tuple((str(name), int(n)) for name, n in run["funnel"])
    return Summary(out, run["request"]["label"], run["n_kept"], run["n_proposals"], run["stopped"], reused, funnel,
                   tuple(run["verdicts"]), tuple(run["notes"]), seconds, refused_of(run),
                   tuple(run.get("gaps", ())))  # fmt: skip
