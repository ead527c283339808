"""How many events a second `activesel events serve` takes, and whether one is lost or doubled when it is killed.

The collector and the load generator are processes of their own on this machine's cores; an event counts once it was
answered with 200. Beside it the floor: how long the disk takes for one write that it has to keep.

    python scripts/bench_events.py                         # 20 s of each load, then ten kills: about three minutes
    python scripts/bench_events.py --seconds 5 --kills 3
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from activesel.catalog import Catalog
from activesel.pipelines.events import drain_leftovers
from activesel.workspace import Workspace, create_workspace

EVENT = (b'{"specversion":"1.0","type":"com.activesel.operator.override.v1","source":"/plant1/line3/station2",'
         b'"id":"%s","time":"2026-01-05T14:00:00Z","subject":"img%d","datacontenttype":"application/json",'
         b'"data":{"line":"L3","station":"S2","model_verdict":"crack","operator_verdict":"good",'
         b'"model_version":"v12","score":0.61,"time_to_decide_s":2.4}}')  # fmt: skip


@dataclass
class Load:
    """What a generator saw. sent: ids that left; answered: those of them that came with 200. latency_s: per request."""

    sent: list[str] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    latency_s: list[float] = field(default_factory=list)
    refused: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0


@dataclass(frozen=True)
class Plan:
    """connections: at once. batch: events a request. rate: events a second in all, 0 = as fast as answers come."""

    name: str
    connections: int
    batch: int
    rate: float
    seconds: float


def generate(url: str, token: str, plan: Plan, tag: str, result: multiprocessing.connection.Connection) -> None:
    load, began, cpu = Load(), time.perf_counter(), time.process_time()
    asyncio.run(_send_all(url, token, plan, tag, load))
    load.seconds, load.cpu_s = time.perf_counter() - began, time.process_time() - cpu
    result.send(load)
    result.close()


async def _send_all(url: str, token: str, plan: Plan, tag: str, load: Load) -> None:
    await asyncio.gather(*(_send(url, token, plan, f"{tag}-{i}", load) for i in range(plan.connections)))


async def _send(url: str, token: str, plan: Plan, tag: str, load: Load) -> None:
    """One connection: a request, its answer, the next; ends when its time is up or the collector is gone."""
    place = urlsplit(url)
    pace_s = plan.batch * plan.connections / plan.rate if plan.rate else 0.0
    head = (f"POST /v1/events HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/cloudevents-batch+json\r\nContent-Length: ").encode()  # fmt: skip
    try:
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        began = due = time.perf_counter()
        due += random.Random(tag).uniform(0, pace_s)
        for number in range(10**9):
            if (now := time.perf_counter()) - began > plan.seconds:
                break
            if due > now:
                await asyncio.sleep(due - now)
            ids = [f"{tag}-{number}-{i}" for i in range(plan.batch)]
            body = b"[" + b",".join(EVENT % (one.encode(), number) for one in ids) + b"]"
            load.sent += ids
            asked = time.perf_counter()
            writer.write(head + b"%d\r\n\r\n" % len(body) + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().partition(b"content-length: ")[2].split(b"\r")[0])
            await reader.readexactly(length)
            # From when it was due, so that a stall counts for every request that it held up.
            load.latency_s.append(time.perf_counter() - (due if pace_s else asked))
            due += pace_s
            if answer.startswith(b"HTTP/1.1 200"):
                load.answered += ids
            else:
                load.refused += 1
        writer.close()
    except (OSError, asyncio.IncompleteReadError):
        return


@contextmanager
def collector(workspace: Workspace) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    command = [sys.executable, "-m", "activesel", "events", "serve", "-w", str(workspace.root), "--port", "0", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        told = ""
        while not told.rstrip().endswith("}"):
            line = process.stdout.readline()
            assert line, "the collector did not start"
            told += line
        found = json.loads(told)
        yield process, found["url"], found["token"]
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(120)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start_load(
    url: str, token: str, plan: Plan, tag: str
) -> tuple[multiprocessing.Process, multiprocessing.connection.Connection]:
    mine, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=generate, args=(url, token, plan, tag, theirs))
    process.start()
    theirs.close()
    return process, mine


def stored_ids(workspace: Workspace) -> list[str]:
    with Catalog.open(workspace.catalog_place) as catalog:
        return [one.id for one in catalog.events.read()]


def measure(folder: Path, plan: Plan) -> None:
    """Run one load and print a row; every event that was answered must be in the catalog once the collector ended."""
    workspace = create_workspace(folder / plan.name.replace(" ", "_"))
    with collector(workspace) as (process, url, token):
        before = cpu_seconds(process.pid)
        generator, result = start_load(url, token, plan, "load")
        load: Load = result.recv()
        generator.join()
        used = cpu_seconds(process.pid) - before
        began = time.perf_counter()
    drained_s = time.perf_counter() - began
    stored = stored_ids(workspace)
    latency = sorted(load.latency_s)
    p50, p99 = (1000 * latency[int(share * (len(latency) - 1))] for share in (0.5, 0.99))
    lost = len(set(load.answered) - set(stored))
    doubled = len(stored) - len(set(stored))
    per_s, cores, sender = (one / load.seconds for one in (len(load.answered), used, load.cpu_s))
    print(f"{plan.name:34} {per_s:8.0f} {p50:8.1f} {p99:8.1f} {1000 * latency[-1]:8.1f} {cores:8.2f} {sender:8.2f} "
          f"{drained_s:8.1f} {load.refused:7d} {lost:5d} {doubled:7d}", flush=True)  # fmt: skip


def kill_often(folder: Path, n_kills: int) -> None:
    """Kill the collector again and again under load, on one workspace; compare what was answered with what is there."""
    workspace = create_workspace(folder / "kills")
    chance, sent, answered = random.Random(0), set[str](), list[str]()
    for number in range(n_kills):
        plan = Plan("kill", 16, (1, 20)[number % 2], 0, 60)
        with collector(workspace) as (process, url, token):
            generator, result = start_load(url, token, plan, f"kill{number}")
            time.sleep(chance.uniform(0.5, 4.0))
            process.kill()
            process.wait()
            load: Load = result.recv()
            generator.join()
        sent.update(load.sent)
        answered += load.answered
    drain_leftovers(workspace)  # as the next collector would
    stored = stored_ids(workspace)
    print(f"\n{n_kills} x kill -9 under load: {len(sent)} sent, {len(answered)} answered, {len(stored)} stored; "
          f"lost {len(set(answered) - set(stored))}, doubled {len(stored) - len(set(stored))}, "
          f"never sent {len(set(stored) - sent)}")  # fmt: skip


def disk_ms(folder: Path) -> float:
    """Return the median milliseconds that the disk takes to keep 1,000 bytes."""
    times = []
    with (folder / "probe").open("wb", buffering=0) as probe:
        for _ in range(100):
            began = time.perf_counter()
            probe.write(b"x" * 1000)
            os.fdatasync(probe.fileno())
            times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each load")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--only", default="", help="loads whose name has this")
    options = parser.parse_args()
    plans = [
        Plan("batches of 50, 2,000 a second", 8, 50, 2000, options.seconds),
        Plan("singles, 1,000 a second", 64, 1, 1000, options.seconds),
        Plan("batches of 50, all it takes", 8, 50, 0, options.seconds),
        Plan("batches of 10, all it takes", 16, 10, 0, options.seconds),
        Plan("singles, all it takes", 64, 1, 0, options.seconds),
    ]
    with tempfile.TemporaryDirectory(prefix="bench_events_") as name:
        folder = Path(name)
        print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} before; "
              f"the disk keeps one write in {disk_ms(folder):.1f} ms")  # fmt: skip
        print(f"{'load':34} {'events/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'cores':>8} {'sender':>8} "
              f"{'end s':>8} {'refused':>7} {'lost':>5} {'doubled':>7}")  # fmt: skip
        for plan in (one for one in plans if options.only in one.name):
            measure(folder, plan)
        if options.kills:
            kill_often(folder, options.kills)


if __name__ == "__main__":
    main()
