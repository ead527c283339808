"""What variants are worth beside k real images of a class, and what others' are: docs/synthesis_measured.md.

    python scripts/bench_synth.py --data ../shared/data --work build/synth --out docs/synthesis_measured.md

One cell = class x k x draw; finished cells and vectors are kept in --work, so that a killed run goes on, and --most
stops after so many new ones. Every arm has the same real images, test images and vectors; made images weigh 25 % of
the class. The near-duplicate groups are halved into a pool and a test half anew for every draw.
"""

from __future__ import annotations

import argparse
import copy
import csv
import hashlib
import io
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from bench.synth_page import render_page
from bench.synth_rivals import cut_and_paste, perlin_anomaly

from activesel.coverage import typical_radius
from activesel.pipelines.foldsets import Workroom, make_copies, make_variants
from activesel.pipelines.realset import FileEmbedder, RealSet, read_real
from activesel.pipelines.synthesise import GenerateRequest
from activesel.promotion import LEAST_GROUPS, average_precision, bound_difference, judge_by_siblings, judge_worth
from activesel.seeds import derive_rng, derive_seed
from activesel.training.mixture import UNTESTED_SHARE, Labelled, Made, deal_folds, score_with
from activesel.workspace import create_workspace, write_atomic, write_json
from synth.aim import close_gap
from synth.bank import build_bank
from synth.files import encode_image, read_image
from synth.labels_file import read_labels

# Column of the groups, and the class without a defect, if there is one.
SETS: dict[str, tuple[str, str | None]] = {
    "magnetic_tile": ("neardup_group", "free"),
    "neu_det": ("neardup_group", None),
}
REAL, COPIES, PASTED, PERLIN = "k real alone", "+ standard augmentation", "+ cut-paste", "+ Perlin (DRAEM)"
UNFILTERED, FILTERED, PROVED = "ours, unfiltered", "ours, filtered", "ours, proved"
AIMED = "ours, gap-aimed"
PLAIN, TWICE = "ours, filtered, not mixed", "2k real alone"


@dataclass(frozen=True)
class Cell:
    """name: data set. draw: of the split and of the k real images."""

    name: str
    label: str
    k: int
    draw: int


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
    parser.add_argument("--most", type=int, help="new cells in this run; the page is written from those there are")
    args = parser.parse_args()
    done, left = [], args.most
    for cell, real, room in plan_cells(args):
        path = args.work / "cells" / f"{cell.name}-{cell.label}-{cell.k}-{cell.draw}-{args.count}.json"
        if not path.exists() and (left is None or left > 0):
            write_json(path, {**vars(cell), "count": args.count, **run_cell(cell, real, room, args.count)})
            left = None if left is None else left - 1
        if path.exists():
            done.append(json.loads(path.read_text(encoding="utf8")))
            args.out.write_text(render_page(settle_by_siblings(done), args), encoding="utf8")


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


def good_number(cell: Cell, real: RealSet) -> int | None:
    good = SETS[cell.name][1]
    return None if good is None else real.number_of(good)


def run_cell(cell: Cell, real: RealSet, room: Workroom, count: int) -> dict[str, Any]:
    """Return arm -> figures; images per processor-second of making; what the proof said."""
    rng = derive_rng(cell.draw, "bench-synth", cell.name, cell.label)
    number, good = real.number_of(cell.label), good_number(cell, real)
    truth = real.labelled
    halves = deal_folds(truth.classes, truth.groups, 2, rng)
    side, test = np.flatnonzero(halves == 0), truth.take(np.flatnonzero(halves == 1))
    twice, known = (keep_k(truth, side, number, k, copy.deepcopy(rng)) for k in (2 * cell.k, cell.k))
    unlabelled, side = np.setdiff1d(side, known), known
    train = truth.take(side)
    made, speeds = make_all(cell, real, room, side, count)
    aimed, gap = aim_at_pool(made[FILTERED], train, truth.vectors[unlabelled], number)
    scores = {REAL: score_with(train, None, 0.0, test.vectors)}
    for arm, images in made.items():
        own = replace(images, hosts=None) if arm in (PASTED, PERLIN) else images
        scores[arm] = score_with(train, own, UNTESTED_SHARE, test.vectors)
        if arm in (PASTED, PERLIN):
            scores[f"{arm}, mixed as ours"] = score_with(train, images, UNTESTED_SHARE, test.vectors)
    scores[PLAIN] = score_with(train, replace(made[FILTERED], hosts=None), UNTESTED_SHARE, test.vectors)
    scores[TWICE] = score_with(truth.take(twice), None, 0.0, test.vectors)
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


def keep_k(truth: Labelled, side: np.ndarray, number: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """Return the side's rows with k of the class left, of different groups as far as there are so many."""
    own = rng.permutation(side[truth.classes[side] == number])
    first = np.sort(np.unique(truth.groups[own], return_index=True)[1])
    order = np.concatenate([own[first], np.delete(own, first)])
    return np.sort(np.concatenate([side[truth.classes[side] != number], order[:k]]))


def make_all(
    cell: Cell, real: RealSet, room: Workroom, side: np.ndarray, count: int
) -> tuple[dict[str, Made], dict[str, float]]:
    """Make every arm's images from the training side alone, and time it: processor seconds, files written."""
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
        spent = room.embed_files.seconds
        started = time.process_time()
        made[arm] = make()
        seconds = time.process_time() - started - (room.embed_files.seconds - spent)
        speeds[arm] = len(made[arm].vectors) / max(seconds, 1e-9)
    return made, speeds


def make_rivals(arm: str, cell: Cell, real: RealSet, room: Workroom, side: np.ndarray, count: int) -> Made:
    """Paste real defects, or Perlin anomalies, into good images of the side."""
    number, good = real.number_of(cell.label), good_number(cell, real)
    truth, rng = real.labelled, derive_rng(cell.draw, arm, cell.label, cell.k)
    hosts = side[truth.classes[side] != number] if good is None else side[truth.classes[side] == good]
    own = {real.paths[row]: int(truth.groups[row]) for row in side[truth.classes[side] == number]}
    examples = [one for one in real.table.examples if one.path in own]
    donors = build_bank(examples, read_image, label=cell.label) if arm == PASTED else []
    key = hashlib.sha256(f"{arm} {vars(cell)} {count}".encode()).hexdigest()[:16]
    folder = room.folder / f"rival-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    paths, sources, stood = [], [], []
    for i in range(count):
        row, other = (int(one) for one in rng.choice(hosts, 2))
        host = read_image(Path(real.paths[row]))
        if arm == PASTED:
            donor = donors[int(rng.integers(len(donors)))]
            picture, origin = cut_and_paste(donor, host, rng), own[donor.path]
        else:
            picture, origin = perlin_anomaly(host, read_image(Path(real.paths[other])), rng), int(truth.groups[other])
        paths.append(folder / f"{i:04d}.jpg")
        paths[-1].write_bytes(encode_image(picture, ".jpg"))
        sources.append((origin, int(truth.groups[row])))
        stood.append(row)
    return Made(room.embed_files(paths, folder), number, np.array(sources), truth.vectors[stood], truth.classes[stood])


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


def settle_by_siblings(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Let the other classes' cells of the same k speak where k images were too few, as `activesel synth prove` lets
    siblings speak; these were measured on the test half, not on the training side cut once more."""
    return [_settle(cell, [one for one in cells if (one["name"], one["k"]) == (cell["name"], cell["k"])
                           and one["label"] != cell["label"]]) for cell in cells]  # fmt: skip


def _settle(cell: dict[str, Any], others: list[dict[str, Any]]) -> dict[str, Any]:
    if cell["proof"] != "too few":
        return cell
    gains: dict[str, dict[str, list[float]]] = {}
    for rival in (REAL, COPIES):
        by_label: dict[str, list[float]] = {}
        for one in others:
            by_label.setdefault(one["label"], []).append(one["arms"][FILTERED]["ap"] - one["arms"][rival]["ap"])
        n_draws = min(map(len, by_label.values()), default=0)
        gains[rival] = {label: values[:n_draws] for label, values in by_label.items()}
    worth = judge_by_siblings(gains, cell["k"], derive_rng(0, "bench-siblings", cell["label"]))
    arms = {**cell["arms"], PROVED: cell["arms"][FILTERED if worth.is_promoted else REAL]}
    return {**cell, "arms": arms, "proof": worth.outcome}


def measure(scores: np.ndarray, test: Labelled, number: int, good: int | None) -> dict[str, float]:
    """Return the class's average precision, its recall where 1 % of good images are rejected (of all others, where
    none are good), and macro-F1."""
    from sklearn.metrics import f1_score

    own = test.classes == number
    threshold = np.quantile(scores[~own if good is None else test.classes == good, number], 0.99)
    return {"ap": float(average_precision(scores[:, number], own)[0]),
            "recall": float((scores[own, number] > threshold).mean()),
            "f1": float(f1_score(test.classes, scores.argmax(axis=1), average="macro"))}  # fmt: skip


if __name__ == "__main__":
    main()
