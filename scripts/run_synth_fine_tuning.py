"""Whether variants help a network that is trained, not only a linear head: docs/synthesis_fine_tuning.md.

    python scripts/run_synth_fine_tuning.py pack --data ../shared/data --work build/synth --to build/synth/pack
    python scripts/run_synth_fine_tuning.py train --pack build/synth/pack --results build/synth/tuned.json
    python scripts/run_synth_fine_tuning.py page --results build/synth/tuned.json --out docs/synthesis_fine_tuning.md

pack takes the cells of scripts/bench_synth.py, the same real, test and made images, small and grey, to where a GPU is.
train makes one fit for each cell, arm and seed; finished fits are kept, so that a killed run goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

QUALITY = 95
ARMS = {"k real alone": ("real", 0.0), "+ cut-paste, 25 %": ("cut-paste", 0.25), "ours, filtered, 25 %": ("ours", 0.25),
        "+ cut-paste, 50 %": ("cut-paste", 0.5), "ours, filtered, 50 %": ("ours", 0.5),
        "2k real alone": ("twice", 0.0)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    pack_parser = verbs.add_parser("pack")
    pack_parser.add_argument("--data", type=Path, required=True)
    pack_parser.add_argument("--work", type=Path, required=True, help="of bench_synth.py")
    pack_parser.add_argument("--to", type=Path, required=True)
    pack_parser.add_argument("--k", nargs="+", type=int, default=[3])
    pack_parser.add_argument("--draws", type=int, default=5)
    pack_parser.add_argument("--count", type=int, default=30)
    pack_parser.add_argument("--side", type=int, default=192)
    pack_parser.set_defaults(run=pack)
    train_parser = verbs.add_parser("train")
    train_parser.add_argument("--pack", type=Path, required=True)
    train_parser.add_argument("--results", type=Path, required=True)
    train_parser.add_argument("--steps", type=int, default=300)
    train_parser.add_argument("--batch", type=int, default=32)
    train_parser.add_argument("--rate", type=float, default=3e-4)
    train_parser.add_argument("--head-rate", type=float, default=3e-3)
    train_parser.add_argument("--seeds", type=int, default=1)
    train_parser.add_argument("--seconds", type=float, default=1e9, help="no fit begins after so long")
    train_parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    train_parser.set_defaults(run=train)
    page_parser = verbs.add_parser("page")
    page_parser.add_argument("--results", type=Path, required=True)
    page_parser.add_argument("--out", type=Path, required=True)
    page_parser.set_defaults(run=write_page)
    args = parser.parse_args()
    args.run(args)


def pack(args: argparse.Namespace) -> None:
    """Write pixels.npy, each image's JPEG one after another, and cells.json: which rows of them each arm has."""
    import bench_synth as bench

    args.sets, args.classes = ["magnetic_tile"], None
    args.to.mkdir(parents=True, exist_ok=True)
    kept: dict[str, int] = {}
    cells, real = [], None
    for cell, real, room in bench.plan_cells(args):
        listed = Listed(room.embed_files)
        object.__setattr__(room, "embed_files", listed)
        rows = split_as_bench(bench, cell, real)
        request = bench.GenerateRequest(
            Path(),
            cell.label,
            Path(),
            count=args.count,
            good=bench.SETS[cell.name][1],
            seed=bench.derive_seed(cell.draw, "bench-synth", cell.label, cell.k) % 2**31,
        )
        bench.make_rivals(bench.PASTED, cell, real, room, rows["real"], args.count)
        made = {"cut-paste": listed.paths}
        bench.make_variants(room, real, rows["real"], request)
        made["ours"] = listed.paths
        numbered = {arm: [kept.setdefault(str(path), len(kept)) for path in paths] for arm, paths in made.items()}
        cells.append({**vars(cell), "number": real.number_of(cell.label), "made": numbered,
                      **{name: value.tolist() for name, value in rows.items()}})  # fmt: skip
        print(cell, {arm: len(paths) for arm, paths in made.items()}, flush=True)
    assert real is not None
    files = [*real.paths, *kept]
    pictures = [shrink(Path(path), args.side) for path in files]
    np.savez(args.to / "pictures.npz", content=np.concatenate(pictures), length=[len(one) for one in pictures])
    described = {"n_real": len(real.paths), "side": args.side, "names": real.names, "count": args.count,
                 "good": real.number_of("free"), "classes": real.labelled.classes.tolist(), "cells": cells}  # fmt: skip
    (args.to / "cells.json").write_text(json.dumps(described), encoding="utf8")


class Listed:
    """Remembers the files whose vectors were asked for last, and returns the kept vectors."""

    def __init__(self, embed: Any) -> None:
        self.embed, self.paths, self.seconds = embed, [], 0.0

    def __call__(self, paths: Sequence[Path], kept: Path) -> Any:
        self.paths = list(paths)
        return self.embed(paths, kept)


def split_as_bench(bench: Any, cell: Any, real: Any) -> dict[str, np.ndarray]:
    """Return the rows that bench_synth.run_cell trains on and tests on."""
    split = bench.split_cell(cell, real)
    return {"real": split.side, "twice": split.twice, "test": split.test}


def shrink(path: Path, side: int) -> np.ndarray:
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].ravel()


def train(args: argparse.Namespace) -> None:
    """Fit what is not in the results yet; written after every cell."""
    from fine_tuning.graphed import Plan, Trainer, balance

    described = json.loads((args.pack / "cells.json").read_text(encoding="utf8"))
    pixels = read_pictures(args.pack / "pictures.npz").to(args.device)
    results = json.loads(args.results.read_text(encoding="utf8")) if args.results.exists() else {"fits": {}}
    recipe = {"steps": args.steps, "batch": args.batch, "rate": args.rate, "head_rate": args.head_rate}
    results |= {"recipe": recipe, "side": described["side"], "device": device_name(args.device),
                "count": described["count"]}  # fmt: skip
    trainer = Trainer(pixels, len(described["names"]), **recipe)
    classes, started = np.array(described["classes"]), time.perf_counter()
    for seed in range(args.seeds):
        for cell in described["cells"]:
            for arm, (source, share) in ARMS.items():
                key = f"{cell['label']} {cell['k']} {cell['draw']} {seed} {arm}"
                if key in results["fits"] or time.perf_counter() - started > args.seconds:
                    continue
                real = np.array(cell[source if source == "twice" else "real"])
                made = np.array(cell["made"].get(source, []), np.int64) + described["n_real"]
                names = np.concatenate([classes[real], np.full(len(made), cell["number"])])
                is_made = np.arange(len(names)) >= len(real)
                trainer.fit(Plan(np.concatenate([real, made]), names, balance(names, is_made, share), seed))
                test = np.array(cell["test"])
                scores = trainer.predict(test)
                results["fits"][key] = {
                    "label": cell["label"],
                    "k": cell["k"],
                    "draw": cell["draw"],
                    "seed": seed,
                    "arm": arm,
                    **measure(scores, classes[test], cell["number"], described["good"]),
                }
            args.results.write_text(json.dumps(results), encoding="utf8")
        print(f"seed {seed}: {time.perf_counter() - started:.0f} s", flush=True)


def read_pictures(path: Path) -> torch.Tensor:
    """Return (n, 1, side, side) uint8."""
    with np.load(path, allow_pickle=False) as kept:
        content, ends = kept["content"], np.cumsum(kept["length"])
    starts = [0, *ends[:-1]]
    decoded = [cv2.imdecode(content[a:b], cv2.IMREAD_GRAYSCALE) for a, b in zip(starts, ends, strict=True)]
    return torch.from_numpy(np.stack(decoded)[:, None])


def measure(scores: np.ndarray, classes: np.ndarray, number: int, good: int) -> dict[str, float]:
    """As bench_synth.measure: of the class its average precision and recall at 1 % false rejects; macro-F1."""
    from activesel.promotion import average_precision

    own = classes == number
    threshold = np.quantile(scores[classes == good, number], 0.99)
    said, f1 = scores.argmax(axis=1), []
    for one in np.unique(classes):
        hits = int(((said == one) & (classes == one)).sum())
        f1.append(2 * hits / max(1, int((said == one).sum()) + int((classes == one).sum())))
    return {"ap": float(average_precision(scores[:, number], own)[0]),
            "recall": float((scores[own, number] > threshold).mean()), "f1": float(np.mean(f1))}  # fmt: skip


def device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else "CPU"


def write_page(args: argparse.Namespace) -> None:
    from fine_tuning.synth_page import render

    results = json.loads(args.results.read_text(encoding="utf8"))
    args.out.write_text(render(results, list(ARMS)), encoding="utf8")


if __name__ == "__main__":
    main()
