"""Variants a second on one core at 512 x 512 RGB, stage by stage, beside encoding alone and other generators.

    python scripts/bench_render.py                  made-up donors of 30 to 110 px
    python scripts/bench_render.py --blend residual --blocks 20 --peers build/peers

Everything is timed in turn in the same run, median of the blocks, so that a busy machine slows all alike. ``process``
is processor time, which others' work stretches less, ``quiet`` its quietest tenth. Floor: encoding the host as JPEG-95,
as if rendering cost nothing. Peers (bench/synth_peers.py): from one picture to a file as ours, encoded alike; missing
ones are named.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import torch
from bench.synth_peers import Generate, load_peers

from synth import render
from synth.bank import build_bank
from synth.files import encode_image, encode_mask
from synth.look import draw_look
from synth.poisson import Task, solve_corrections
from synth.records import BLEND_MODES, Donor, Example, Host, Image, Plan
from synth.render import BLOCK, patch_size, render_block, render_each
from synth.seeds import proposal_rng

SIDE = 512
STAGES = {"warp_donors": "- warp", "vary": "- photometric", "blend_patches": "- blend (Poisson inside)",
          "visible_mask": "- label", "measure_grain": "- grain of the host",
          "source_ground": "- grain and texture of the donor"}  # fmt: skip
OURS = "ours"
TITLES = {**STAGES, "encode": "encode, JPEG-95", "mask": "mask, PNG", "floor": "encode the host: the floor",
          "poisson": "Poisson alone, 96 px", "seamlessClone": "OpenCV's seamlessClone, the same"}  # fmt: skip
Times = dict[str, list[float]]
Peers = dict[str, Generate | None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blend", choices=BLEND_MODES, help="one mode; without it all five in turn")
    parser.add_argument("--blocks", type=int, default=20, help=f"of {BLOCK} variants each")
    parser.add_argument("--peers", type=Path, help="folder of packages, searched for peers that are not installed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    donors, hosts = make_donors(), make_hosts()
    modes = [options.blend] if options.blend else list(BLEND_MODES)
    blocks = [make_plans(index, donors, modes) for index in range(options.blocks)]
    known = {donor.donor_id: donor for donor in donors}
    list(render_each(blocks[0], known, hosts, {}))  # matrices, imports
    peers = load_peers(options.peers)
    report(*measure(blocks, known, hosts, peers), peers)


def measure(
    blocks: list[list[Plan]], donors: Mapping[str, Donor], hosts: Mapping[str, Host], peers: Peers
) -> tuple[Times, Times]:
    """Wall and processor time of each stage and block, and of one picture by each peer beside each block, seconds."""
    wall: Times = defaultdict(list)
    process: Times = defaultdict(list)
    for plans in blocks:
        sums: Times = defaultdict(lambda: [0.0, 0.0])
        write_block(plans, donors, hosts, sums)
        with watched_stages(sums):  # again: watching costs time, too
            render_block(plans, donors, hosts, {})
        for name, generate in peers.items():
            if generate is not None:
                with timed(name, sums):
                    encode_image(generate(hosts[plans[0].host_id].picture), ".jpg")
        for name, (seconds, cpu) in sums.items():
            wall[name].append(seconds)
            process[name].append(cpu)
    compare_poisson(wall, process)
    return wall, process


def write_block(plans: list[Plan], donors: Mapping[str, Donor], hosts: Mapping[str, Host], sums: Times) -> None:
    """Render and encode as blocks.py does: a variant is encoded before the next one is finished."""
    variants = render_each(plans, donors, hosts, {})
    for plan in plans:
        with timed("render", sums):  # the first one carries the block's patches
            variant = next(variants)
        with timed("encode", sums):
            encode_image(variant.picture, ".jpg")
        with timed("mask", sums):
            encode_mask(variant.mask)
        del variant
        with timed("floor", sums):
            encode_image(hosts[plan.host_id].picture, ".jpg")


@contextmanager
def timed(name: str, sums: Times) -> Iterator[None]:
    """Add wall and processor time, seconds, to what ``name`` has."""
    started, cpu = time.perf_counter(), time.process_time()
    yield
    sums[name][0] += time.perf_counter() - started
    sums[name][1] += time.process_time() - cpu


@contextmanager
def watched_stages(sums: Times) -> Iterator[None]:
    """Time the calls that render.py makes, too."""

    def watch(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            with timed(name, sums):
                return call(*args, **kwargs)

        return run

    with mock.patch.multiple(render, **{name: watch(name, getattr(render, name)) for name in STAGES}):
        yield


def compare_poisson(wall: Times, process: Times) -> None:
    """The same 32 rectangles of 96 px by our solver and by seamlessClone."""
    rng = np.random.default_rng(1)
    hosts = [rng.integers(100, 160, (96, 96, 3)).astype(np.uint8) for _ in range(BLOCK)]
    picture = rng.integers(60, 120, (96, 96, 3)).astype(np.uint8)
    mask = np.zeros((96, 96), np.uint8)
    cv2.circle(mask, (48, 48), 34, 255, -1)
    tasks = [Task(picture.astype(np.float32), host.astype(np.float32), mask > 0) for host in hosts]
    solve_corrections(tasks)
    for _ in range(5):
        sums: Times = defaultdict(lambda: [0.0, 0.0])
        with timed("poisson", sums):
            solve_corrections(tasks)
        with timed("seamlessClone", sums):
            for host in hosts:
                cv2.seamlessClone(picture, host, mask.copy(), (48, 48), cv2.NORMAL_CLONE)
        for name, (seconds, cpu) in sums.items():
            wall[name].append(seconds)
            process[name].append(cpu)


def report(wall: Times, process: Times, peers: Peers) -> None:
    for times in (wall, process):
        times[OURS] = [sum(pair) for pair in zip(times["render"], times["encode"], strict=True)]
    columns = ((wall, 0.5), (process, 0.5), (process, 0.1))
    print(f"{len(wall['render'])} blocks of {BLOCK} variants, {SIDE} x {SIDE} RGB, one thread\n")
    print("| stage, ms a variant | wall | process | quiet |\n|---|---|---|---|")
    for name in ["render", *STAGES, "encode", "mask", "floor", "poisson", "seamlessClone"]:
        each = (1000 * np.quantile(times[name], share) / BLOCK for times, share in columns)
        print(f"| {TITLES.get(name, name)} | {' | '.join(f'{value:.2f}' for value in each)} |")
    print("\n| generator and JPEG-95, images/s | wall | process | quiet | ours / theirs |\n|---|---|---|---|---|")
    ours = np.median(process[OURS]) / BLOCK
    for name in (OURS, "floor", *peers):
        if name not in wall:
            print(f"| {name} | not installed | | | |")
            continue
        count = 1 if name in peers else BLOCK
        rates = (f"{count / np.quantile(times[name], share):.1f}" for times, share in columns)
        ratio = np.median(process[name]) / count / ours
        print(f"| {TITLES.get(name, name)} | {' | '.join(rates)} | {ratio:.1f} |")


def make_donors() -> list[Donor]:
    """Blobs and lines of several sizes on a grained ground, in a tint."""
    donors: list[Donor] = []
    sizes = [(10, 12), (16, 24), (30, 22), (44, 40), (4, 60), (3, 90), (20, 20), (14, 8)]
    for number, (height, width) in enumerate(sizes):
        mask = np.zeros((200, 200), np.uint8)
        cv2.ellipse(mask, (100, 100), (width // 2, max(1, height // 2)), 20 * number, 0, 360, 1, -1)
        picture = np.clip(ground(number, 200) - 60.0 * mask[:, :, None], 0, 255).astype(np.uint8)
        images = {"a": picture, "m": np.repeat(mask[:, :, None] * 255, 3, 2)}
        example = Example("a", "pit", "g", mask="m")
        donors += build_bank([example], lambda path, images=images: images[str(path)], label="pit")  # type: ignore[misc]
    return donors


def ground(seed: int, side: int) -> Image:
    levels = 140 + np.random.default_rng(seed).normal(0, 4, (side, side))
    return np.clip(levels[:, :, None] * np.array([1, 0.9, 0.8]), 0, 255).astype(np.uint8)


def make_hosts() -> dict[str, Host]:
    whole = np.ones((SIDE, SIDE), bool)
    return {f"h{n}": Host(f"h{n}", "", f"h{n}", "good", ground(100 + n, SIDE), whole, ~whole) for n in range(4)}


def make_plans(block: int, donors: list[Donor], modes: list[Any]) -> list[Plan]:
    plans = []
    for number in range(block * BLOCK, (block + 1) * BLOCK):
        rng = proposal_rng(1, number)
        donor, mode = donors[int(rng.integers(len(donors)))], modes[number % len(modes)]
        look = draw_look(rng, donor, mode=mode)
        plan = Plan(number, "pit", "donor", donor.donor_id, f"h{number % 4}", (0, 0), mode, **look)
        height, width = patch_size(plan, donor)
        at = int(rng.integers(0, SIDE - height)), int(rng.integers(0, SIDE - width))
        plans.append(replace(plan, top_left=at))
    return plans


if __name__ == "__main__":
    main()
