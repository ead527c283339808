"""Mutate payloads of every format, as bytes and as JSON, and read them: each must become events or dead letters, within
bounds and within time, and never an error.

    python scripts/fuzz_events.py                  # 10,000 payloads a format, half a minute
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from activesel.events import Read, event_format_names, get_event_format, read_payload
from activesel.events.log import decode, encode
from activesel.events.reading import MOST_PAYLOAD
from tests.events.payloads import BATCHES, SINGLES

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ODD: list[Any] = [None, True, -1, 0, 2**63 - 1, 1e308, "", " ", "\u0000", "\ud800", "x" * 300, "x" * 70_000, [], {},
                  [[]], "NaN", "2026-13-01", "1e999", {"a": {"b": {}}}, "iglu:", "{", "eyJ", ["a"] * 50]  # fmt: skip
SLOW_S = 2.0


def mutate_value(value: Any, chance: random.Random) -> Any:
    """Change one place of a JSON value: another value, gone, or moved."""
    found = copy.deepcopy(value)
    places = list(_places(found))
    holder, key = chance.choice(places)
    action = chance.randrange(4)
    if action == 0 and isinstance(holder, dict):
        del holder[key]
    elif action == 1 and isinstance(holder, dict):
        holder[chance.choice(["", "x", "data", "schema", "batch", "events", "specversion"])] = holder.pop(key)
    elif action == 2:
        other, other_key = chance.choice(places)
        holder[key] = copy.deepcopy(other[other_key])
    else:
        holder[key] = chance.choice(ODD)
    return found


def _places(value: Any) -> Any:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def mutate_bytes(raw: bytes, chance: random.Random) -> bytes:
    """Change, cut, repeat or insert some bytes."""
    found = bytearray(raw)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(found) + 1)
        action = chance.randrange(4)
        if action == 0 and at < len(found):
            found[at] = chance.randrange(256)
        elif action == 1:
            del found[at : at + chance.randrange(1, 20)]
        elif action == 2:
            found[at:at] = found[at : at + chance.randrange(1, 40)]
        else:
            found[at:at] = chance.choice([b"[" * 40, b"\x00", b"\xff", b"NaN", b"1" * 400, b'"', b"\\u0000", b"{}"])
    return bytes(found)


def check(read: Read) -> None:
    """Fail where something came out that the catalog or the log could not hold."""
    assert read.events or read.dead
    assert decode(encode(read)) == read
    for event in read.events:
        json.dumps(event.data, allow_nan=False, ensure_ascii=False).encode()
        for text, most in ((event.source, 256), (event.id, 256), (event.type, 64), (event.time, 64)):
            assert 0 < len(text) <= most
            assert "\0" not in text
        assert len(event.image_id) <= 256
        assert len(event.prediction_id) <= 256
    for letter in read.dead:
        assert len(letter.payload) <= MOST_PAYLOAD
        assert "\0" not in letter.payload
        assert len(letter.reason) <= 600
        (letter.payload + letter.reason).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=10_000, help="payloads per format")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for name in event_format_names():
        chance = random.Random(f"{options.seed} {name}")
        seeds = [payload for one, payload, *_ in SINGLES if one == name] + [p for one, p in BATCHES if one == name]
        n_events = n_dead = 0
        slowest = 0.0
        for i in range(options.n):
            value = chance.choice(seeds)
            for _ in range(chance.randrange(1, 4)):
                value = mutate_value(value, chance) if isinstance(value, dict | list) and value else value
            raw = json.dumps(value).encode()
            raw = mutate_bytes(raw, chance) if i % 2 else raw
            began = time.process_time()
            read = read_payload(raw, NOW, get_event_format(name) if i % 3 else None)
            slowest = max(slowest, time.process_time() - began)
            check(read)
            n_events, n_dead = n_events + len(read.events), n_dead + len(read.dead)
        assert slowest < SLOW_S, f"{name}: a payload took {slowest:.1f} s"
        print(f"{name:12} {options.n} payloads: {n_events} events, {n_dead} dead letters, no error; "
              f"the slowest took {1000 * slowest:.1f} ms", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
