"""The main job on 2,624 real photographs of solar cells: two batches of 100, the first without any label.

    make demo        (or: python scripts/run_demo.py --out demo-out)

The labels of the elpv-dataset package play the expert: they are revealed only for images that were picked. The table
sets the defects found against ten random batches of the same size, drawn from the same images.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np

GRADES = {0.0: "functional", 1 / 3: "slight", 2 / 3: "moderate", 1.0: "defective"}
RARE = ("slight", "moderate", "defective")
BATCH = 100


def read_truth(folder: Path) -> dict[Path, str]:
    """Read the grade of every photograph: rows of "images/cell0001.png 1.0 mono"."""
    truth = {}
    for line in (folder / "labels.csv").read_text(encoding="utf8").splitlines():
        name, probability, _ = line.split()
        nearest = min(GRADES, key=lambda grade: abs(grade - float(probability)))
        truth[(folder / name).resolve()] = GRADES[nearest]
    return truth


def clear(out: Path) -> None:
    """Remove an earlier demo, so that the first batch is a cold start again; anything else is left alone."""
    if not out.exists():
        return
    if not (out / ".activesel").is_dir():
        sys.exit(f"{out} exists and is not an earlier demo; name another folder with --out")
    shutil.rmtree(out)


def run(*arguments: str | Path) -> dict[str, object]:
    """Run one activesel command, show it, and return what it prints as JSON."""
    shown = " ".join(str(part) for part in arguments)
    print(f"$ activesel {shown}", flush=True)
    command = [sys.executable, "-m", "activesel", *map(str, arguments), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    return dict(json.loads(done.stdout))


def label_batch(batch: dict[str, object], truth: dict[Path, str], labels: Path) -> Counter[str]:
    """Write the labels of a batch's images, as an expert would have, and count them."""
    with (Path(str(batch["folder"])) / "batch.csv").open(encoding="utf8", newline="") as stream:
        paths = [row["path"] for row in csv.DictReader(stream)]
    rows = [(path, truth[Path(path).resolve()]) for path in paths]
    with labels.open("w", encoding="utf8", newline="") as stream:
        csv.writer(stream).writerows([("path", "label"), *rows])
    return Counter(label for _, label in rows)


def count_random(truth: dict[Path, str], n_seeds: int = 10) -> dict[str, float]:
    """Count the grades in random pairs of batches, the mean over seeds."""
    grades = np.array(sorted(truth.values()))
    draws = [np.random.default_rng(seed).choice(grades, 2 * BATCH, replace=False) for seed in range(n_seeds)]
    return {grade: float(np.mean([(draw == grade).sum() for draw in draws])) for grade in GRADES.values()}


def print_table(truth: dict[Path, str], first: Counter[str], second: Counter[str]) -> None:
    random = count_random(truth)
    print(f"\n{'class':12} {'in pool':>8} {'batch 1':>8} {'batch 2':>8} {'both':>6} {'random 200':>11} {'ratio':>6}")
    pool = Counter(truth.values())
    for grade in GRADES.values():
        both = first[grade] + second[grade]
        print(f"{grade:12} {pool[grade]:8} {first[grade]:8} {second[grade]:8} {both:6} {random[grade]:11.1f} "
              f"{both / random[grade]:6.2f}")  # fmt: skip
    found = sum(first[grade] + second[grade] for grade in RARE)
    by_chance = sum(random[grade] for grade in RARE)
    print(f"\ncells with a defect found with 200 labels: {found}; at random: {by_chance:.1f} (mean of 10 draws)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="the workspace of the demo")
    out = parser.parse_args().out
    try:
        import elpv_dataset
    except ImportError:
        sys.exit("the photographs are in a package of their own: pip install activesel[demo]")
    folder = Path(next(iter(elpv_dataset.__path__))) / "data"
    truth = read_truth(folder)
    print(f"{len(truth):,} photographs of solar cells; the first run embeds them, about a minute on two cores\n")
    images = folder / "images"
    clear(out)
    run("init", out)
    run("ingest", images, "-w", out)
    first = label_batch(run("select", "--budget", BATCH, "-w", out), truth, out / "labels-1.csv")
    run("ingest", "--labels", out / "labels-1.csv", "-w", out)
    batch = run("select", "--budget", BATCH, "-w", out)
    second = label_batch(batch, truth, out / "labels-2.csv")
    print_table(truth, first, second)
    print(f"\nreport: {Path(str(batch['folder'])).resolve() / 'report.html'}")


if __name__ == "__main__":
    main()
