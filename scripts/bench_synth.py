"""What variants are worth beside k real images of a class, and what others' are: docs/synthesis_measured.md.

    python -m pip install --no-deps --target build/peers anomalib==2.7.0 defect-synthesis==0.1.0
    python scripts/bench_synth.py --data ../shared/data --work build/synth --out docs/synthesis_measured.md \
        --peers build/peers

One cell = class x k x draw; finished cells and vectors are kept in --work, so that a killed run goes on, and --most
stops after so many new ones. Every arm has the same real images, test images and vectors; made images weigh 25 % of
the class. The near-duplicate groups are halved into a pool and a test half anew for every draw. A finished cell that
lacks the arm of a package that is there now gets this arm alone; one that is not there is no arm, and the page says so.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from bench.synth_arms import (
    AIMED,
    COPIES,
    FILTERED,
    MIXED,
    PASTED,
    PERLIN,
    PLAIN,
    PROVED,
    REAL,
    SETS,
    TWICE,
    UNFILTERED,
    Cell,
    find_absent,
    good_number,
    make_rivals,
)
from bench.synth_cells import add_arms, list_lacking, measure, split_cell, time_making
from bench.synth_page import render_page
from bench.synth_peers import Generate, load_peers
from bench.synth_siblings import settle_by_siblings

from activesel.coverage import typical_radius
from activesel.pipelines.foldsets import Workroom, make_copies, make_variants
from activesel.pipelines.realset import FileEmbedder, RealSet, read_real
from activesel.pipelines.synthesise import GenerateRequest
from activesel.promotion import LEAST_GROUPS, bound_difference, judge_worth
from activesel.seeds import derive_rng, derive_seed
from activesel.training.mixture import UNTESTED_SHARE, Labelled, Made, deal_folds, score_with
from activesel.workspace import create_workspace, write_atomic, write_json
from synth.aim import close_gap
from synth.labels_file import read_labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the sets")
    parser.add_argument("--work", type=Path, required=True, help="vectors, variants and finished cells")
    parser.add_argument("--out", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=["magnetic_tile"])
    parser.add_argument("--classes", nargs="+", help="else every class but the good one")
    parser.add_argument("--k", nargs="+", type=int, default=[3], help="real images of the class")
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--count", type=int, default=60, help="made images of every arm")
    parser.add_argument("--peers", type=Path, help="folder of packages, searched for peers that are not installed")
    parser.add_argument("--most", type=int, help="cells to measure; the page is written from those there are")
    parser.add_argument("--no-new-cells", action="store_true", help="only measure arms that finished cells lack")
    args = parser.parse_args()
    peers = load_peers(args.peers)
    done, measured = [], 0
    for cell, real, room in plan_cells(args):
        path = args.work / "cells" / f"{cell.name}-{cell.label}-{cell.k}-{cell.draw}-{args.count}.json"
        is_new = measured != args.most and bring_up_to_date(path, cell, real, room, args, peers)
        measured += is_new
        if path.exists():
            done.append(json.loads(path.read_text(encoding="utf8")))
        if is_new:
            write_page(done, args, peers)
    write_page(done, args, peers)


def bring_up_to_date(
    path: Path, cell: Cell, real: RealSet, room: Workroom, args: argparse.Namespace, peers: dict[str, Generate | None]
) -> bool:
    """Measure what the cell lacks and write it, nothing twice; return whether anything was measured."""
    if is_new := not path.exists():
        if args.no_new_cells:
            return False
        write_json(path, {**vars(cell), "count": args.count, **run_cell(cell, real, room, args.count)})
    found = json.loads(path.read_text(encoding="utf8"))
    if lacking := list_lacking(cell, found, peers):
        write_json(path, add_arms(found, lacking, cell, real, room))
    return is_new or bool(lacking)


def write_page(done: list[dict[str, Any]], args: argparse.Namespace, peers: dict[str, Generate | None]) -> None:
    if done:
        page = render_page(settle_by_siblings(done), args, find_absent(done, peers))
        args.out.write_text(page, encoding="utf8")


def plan_cells(args: argparse.Namespace) -> Iterator[tuple[Cell, RealSet, Workroom]]:
    """Yield cells, draw by draw, so that a run cut short has all classes."""
    for name in args.sets:
        column, good = SETS[name]
        home = create_workspace(args.work / f"{name}-workspace")
        table = read_labels(with_boxes(args.data / name, args.work), args.data / name, group_column=column)
        with home.lock("bench_synth"):
            real = read_real(home, table, "")
            room = Workroom(args.work / name, home.config, FileEmbedder(home))
            classes = args.classes or [label for label in real.names if label != good]
            for draw, k, label in product(range(args.draws), args.k, classes):
                yield Cell(name, label, k, draw), real, room


def with_boxes(folder: Path, work: Path) -> Path:
    """Return the set's label file; where its boxes are in a file of their own, one with a row for each box."""
    labels, boxes = folder / "labels.csv", folder / "boxes.csv"
    if not boxes.exists():
        return labels
    with labels.open(encoding="utf8", newline="") as stream:
        rows = {row["path"]: row for row in csv.DictReader(stream)}
    joined = io.StringIO()
    writer = csv.DictWriter(joined, [*next(iter(rows.values())), "x0", "y0", "x1", "y1"], lineterminator="\n")
    writer.writeheader()
    with boxes.open(encoding="utf8", newline="") as stream:
        writer.writerows({**rows[box["path"]], **box} for box in csv.DictReader(stream))
    path = work / f"{folder.name}-boxes.csv"
    write_atomic(path, joined.getvalue())
    return path


def run_cell(cell: Cell, real: RealSet, room: Workroom, count: int) -> dict[str, Any]:
    """Return arm -> figures; images per processor-second of making; what the proof said."""
    number, good, truth = real.number_of(cell.label), good_number(cell, real), real.labelled
    split = split_cell(cell, real)
    train, test = truth.take(split.side), truth.take(split.test)
    made, speeds = make_all(cell, real, room, split.side, count)
    aimed, gap = aim_at_pool(made[FILTERED], train, truth.vectors[split.unlabelled], number)
    scores = {REAL: score_with(train, None, 0.0, test.vectors)}
    for arm, images in made.items():
        own = replace(images, hosts=None) if arm in (PASTED, PERLIN) else images
        scores[arm] = score_with(train, own, UNTESTED_SHARE, test.vectors)
        if arm in (PASTED, PERLIN):
            scores[arm + MIXED] = score_with(train, images, UNTESTED_SHARE, test.vectors)
    scores[PLAIN] = score_with(train, replace(made[FILTERED], hosts=None), UNTESTED_SHARE, test.vectors)
    scores[TWICE] = score_with(truth.take(split.twice), None, 0.0, test.vectors)
    scores[AIMED] = score_with(train, aimed, UNTESTED_SHARE, test.vectors) if len(aimed.vectors) else scores[REAL]
    worth = prove_inside(train, made, number, cell.draw)
    scores[PROVED] = scores[FILTERED] if worth.is_promoted else scores[REAL]
    arms = {arm: measure(values, test, number, good) for arm, values in scores.items()}
    return {"arms": arms, "images_per_s": speeds, "proof": worth.outcome, "aimed": len(aimed.vectors), "gap": gap,
            "n_test": int((test.classes == number).sum()), "n_kept": len(made[FILTERED].vectors)}  # fmt: skip


def aim_at_pool(made: Made, train: Labelled, pool: np.ndarray, number: int) -> tuple[Made, str]:
    """Keep what closes the gap that the class's other images of the training half are, whose labels nobody knows yet;
    return the verdict on it, too. Near is what `activesel gaps` calls alike."""
    if not len(pool):
        return made, "none"
    reach = math.sqrt(2 * typical_radius(train.vectors))
    own = np.asarray(train.vectors[train.classes == number], np.float32)
    aim = close_gap(own, np.asarray(made.vectors, np.float32), {"pool": np.asarray(pool, np.float32)}, reach=reach)
    return made.take(aim.keep), aim.verdicts[0].outcome


def make_all(
    cell: Cell, real: RealSet, room: Workroom, side: np.ndarray, count: int
) -> tuple[dict[str, Made], dict[str, float]]:
    """Make the images of our own arms and imitations from the training side alone, and time it, files written."""
    seed = derive_seed(cell.draw, "bench-synth", cell.label, cell.k) % 2**31
    request = GenerateRequest(Path(), cell.label, Path(), count=count, seed=seed, good=SETS[cell.name][1])
    makers: dict[str, Callable[[], Made]] = {
        COPIES: lambda: make_copies(room, real, side, cell.label, count, seed),
        PASTED: lambda: make_rivals(PASTED, cell, real, room, side, count),
        PERLIN: lambda: make_rivals(PERLIN, cell, real, room, side, count),
        UNFILTERED: lambda: make_variants(room, real, side, replace(request, gated=False)),
        FILTERED: lambda: make_variants(room, real, side, request),
    }
    made, speeds = {}, {}
    for arm, make in makers.items():
        made[arm], speeds[arm] = time_making(room, make)
    return made, speeds


def prove_inside(train: Labelled, made: dict[str, Made], number: int, seed: int) -> Any:
    """Decide on the k real images alone, as `activesel synth prove` does, but with variants filtered by their sources
    instead of made anew for each inner fold."""
    own = train.classes == number
    n_groups = len(np.unique(train.groups[own]))
    if n_groups < LEAST_GROUPS:
        return judge_worth({}, {}, n_groups)
    folds = deal_folds(train.classes, train.groups, LEAST_GROUPS, derive_rng(seed, "bench-proof"))
    found = {arm: np.zeros((len(own), train.n_classes)) for arm in (REAL, COPIES, FILTERED)}
    for fold in range(LEAST_GROUPS):
        held, rest = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        for arm, scores in found.items():
            images = made[arm].without(train.groups[held]) if arm in made else None
            scores[held] = score_with(train.take(rest), images, UNTESTED_SHARE, train.vectors[held])
    rng = derive_rng(seed, "bench-bootstrap")
    gains = {arm: bound_difference([found[FILTERED][:, number]], [found[arm][:, number]], own, train.groups, rng)
             for arm in (REAL, COPIES)}  # fmt: skip
    others = {str(c): bound_difference([found[FILTERED][:, c]], [found[REAL][:, c]], train.classes == c, train.groups,
                                       rng) for c in np.unique(train.classes) if c != number}  # fmt: skip
    return judge_worth(gains, others, n_groups)


if __name__ == "__main__":
    main()
