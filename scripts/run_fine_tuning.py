"""Whether a gain survives fine-tuning: a backbone trained on the labels that each strategy chose: docs/fine_tuning.md.

    pip install -c constraints.txt -e '.[bench,demo]'
    python scripts/run_fine_tuning.py --data ../shared/data --work build/fine_tuning --out docs/fine_tuning.md

Which images are labelled, and the linear head beside it, are those of `activesel bench` on defect-aware vectors.
Vectors, views and finished runs are kept in --work, so that a killed run goes on. The same code runs on a GPU, where
all stages (--frozen 0), a larger --side, more --steps and --seeds are affordable. --tune tries learning rates on
random labels of another seed, and nothing else.
"""

from __future__ import annotations

import argparse
import csv
import functools
import hashlib
import json
import multiprocessing
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from fine_tuning.page import REFERENCE, Run, render
from fine_tuning.training import Classifier, Recipe, fine_tune, open_pretrained, predict
from fine_tuning.views import keep_views
from run_label_efficiency import run_set, write_elpv

from activesel.benchmark.dataset import Dataset, split_by_group
from activesel.benchmark.kept import Trial
from activesel.benchmark.peers import find_chooser
from activesel.benchmark.scores import score_model
from activesel.benchmark.trial import Protocol, make_bench, run_trial
from activesel.catalog import Catalog
from activesel.errors import DataError
from activesel.workspace import create_workspace, write_json

STRATEGIES = ("default", "k-center", "badge", "margin", "ska:CoreSet", "mundig:diversity-margin")
SETS = ("magnetic_tile", "elpv")
POOLING = "defect-aware"
SCORES = ("macro_f1", "balanced_accuracy")
TUNING_SEEDS, TUNING_RATES = (100,), (1e-4, 3e-4, 1e-3)


@dataclass(frozen=True)
class Job:
    """One network to train. rows: labelled images, a prefix of the order of choice. test: rows it is scored on.

    views: .npy of the set. classes: (n,) of the whole set, of which only those of rows and test are looked at.
    linear: scores of the linear head on the same labels.
    """

    set_name: str
    strategy: str
    seed: int
    rows: tuple[int, ...]
    test: tuple[int, ...]
    views: Path
    classes: tuple[int, ...]
    linear: dict[str, float]
    recipe: Recipe

    @property
    def name(self) -> str:
        """By all that decides the result; the name of the views' file stands for their content."""
        decides = [self.seed, self.rows, self.test, self.views.stem, self.classes, asdict(self.recipe)]
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:24]


def main() -> None:
    args = read_arguments()
    args.work.mkdir(parents=True, exist_ok=True)
    recipe = Recipe(args.side, args.frozen, args.steps, args.batch, args.rate)
    if args.tune:
        for run_recipe, run in tune(args, recipe):
            print(f"{run_recipe}\n  {run}", flush=True)
        return
    sets = {name: run_set(args, name, POOLING, (REFERENCE, *args.strategies)) for name in args.sets}
    jobs = []
    for name, result in sets.items():
        views = views_of(args, name, result.dataset, recipe)
        jobs += [make_job(name, result.dataset, trial, labels, views, recipe)
                 for labels in args.labels for trial in result.trials]  # fmt: skip
    jobs.sort(key=lambda job: -len(job.rows))  # a run that is cut short has the most telling ones
    runs = list(run_jobs(jobs, args.work / "runs", args.device, args.workers))
    args.out.write_text(render(args, recipe, {name: sets[name].dataset for name in sets}, runs), encoding="utf8")


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of magnetic_tile and neu_det")
    parser.add_argument("--work", type=Path, required=True, help="vectors, views and finished runs")
    parser.add_argument("--out", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES, help="beside random")
    parser.add_argument("--labels", nargs="+", type=int, default=(80, 160), help="multiples of 20 up to 160")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--side", type=int, default=Recipe.side_px, help="pixels of the square input")
    parser.add_argument("--frozen", type=int, default=Recipe.frozen, help="first stages that do not learn, 0..7")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--batch", type=int, default=Recipe.batch)
    parser.add_argument("--rate", type=float, default=Recipe.learning_rate)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--workers", type=int, default=1, help="processes; 1 on a GPU")
    parser.add_argument("--tune", action="store_true", help="try recipes on random labels of other seeds")
    args = parser.parse_args()
    args.command = f"python scripts/run_fine_tuning.py {shlex.join(sys.argv[1:])}"
    if args.device == "auto":
        args.device = "cuda" if torch.cuda.is_available() else "cpu"
    return args


def views_of(args: argparse.Namespace, name: str, dataset: Dataset, recipe: Recipe) -> Path:
    """Make the views of the set's images, in the order of the dataset's rows.

    Raises:
        DataError: the catalog and the dataset do not agree on an image.
    """
    workspace = create_workspace(args.work / f"{name}-{POOLING}")
    with Catalog.open(workspace.catalog_place) as catalog:
        paths = [image.path for image in catalog.images()]
    table = write_elpv(args.work) if name == "elpv" else args.data / name / "labels.csv"
    with table.open(encoding="utf8", newline="") as stream:
        labels = {str((table.parent / line["path"]).resolve()): line["label"] for line in csv.DictReader(stream)}
    said = [labels.get(str(Path(path).resolve())) for path in paths]
    if said != [dataset.class_names[number] for number in dataset.classes]:
        raise DataError("the workspace's images are not those of the labels", where=str(workspace.root),
                        hint="delete the workspace and run again")  # fmt: skip
    return keep_views(paths, recipe.side_px, recipe.frozen, args.work / "views", args.device)


def make_job(name: str, dataset: Dataset, trial: Trial, labels: int, views: Path, recipe: Recipe) -> Job:
    at = trial.labels.index(labels)
    return Job(name, trial.strategy, trial.seed, trial.rows[:labels],
               tuple(split_by_group(dataset, trial.seed).test.tolist()), views, tuple(dataset.classes.tolist()),
               {score: trial.scores[score][at] for score in SCORES}, recipe)  # fmt: skip


def run_jobs(jobs: Sequence[Job], folder: Path, device: str, workers: int) -> Iterator[Run]:
    """Yield what came of each job, in order; one that an earlier run finished is not done again."""
    folder.mkdir(parents=True, exist_ok=True)
    do = functools.partial(run_kept, folder=folder, device=device)
    if workers == 1:
        found = map(do, jobs)
        yield from show(found, len(jobs))
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, torch.set_num_threads, (1,)) as pool:
        yield from show(pool.map(do, jobs), len(jobs))


def show(runs: Iterator[Run], n: int) -> Iterator[Run]:
    for number, run in enumerate(runs, 1):
        print(f"{number}/{n} {run.set_name} {run.strategy} seed {run.seed}, {run.labels} labels: "
              f"{run.linear['macro_f1']:.3f} -> {run.tuned['macro_f1']:.3f}", file=sys.stderr, flush=True)  # fmt: skip
        yield run


def run_kept(job: Job, folder: Path, device: str) -> Run:
    kept = folder / f"{job.name}.json"
    if kept.exists():
        tuned = json.loads(kept.read_text(encoding="utf8"))
    else:
        tuned = run_job(job, device)
        write_json(kept, tuned)
    return Run(job.set_name, job.strategy, job.seed, len(job.rows), job.linear, tuned)


def run_job(
    job: Job, device: str, open_network: Callable[[int, int], Classifier] = open_pretrained
) -> dict[str, float]:  # fmt: skip
    """Train on the job's rows and return the scores on its test half."""
    views, classes = np.load(job.views, mmap_mode="r"), np.array(job.classes)
    rows, test, where = list(job.rows), list(job.test), torch.device(device)
    network = open_network(int(classes.max()) + 1, job.recipe.frozen).to(where)
    shown = torch.from_numpy(views[rows]).to(where)
    fine_tune(network, shown, torch.from_numpy(classes[rows]).to(where), job.recipe, job.seed)
    found = score_model(predict(network, torch.from_numpy(views[test, 0])), classes[test])
    return {score: found[score] for score in SCORES}


def tune(args: argparse.Namespace, recipe: Recipe) -> Iterator[tuple[Recipe, Run]]:
    """Yield one run of each recipe and set: random labels of seeds that the page does not use."""
    for name in args.sets:
        dataset = run_set(args, name, POOLING, (REFERENCE,)).dataset
        for seed in TUNING_SEEDS:
            split = split_by_group(dataset, seed)
            curve = run_trial(make_bench(dataset, split, Protocol(), seed), find_chooser(REFERENCE), Protocol())
            scores = {score: tuple(curve.scores[score].tolist()) for score in SCORES}
            trial = Trial(REFERENCE, seed, tuple(curve.labels.tolist()), scores, tuple(split.pool[curve.rows].tolist()))
            for rate in TUNING_RATES:
                tried = replace(recipe, learning_rate=rate)
                job = make_job(name, dataset, trial, args.labels[-1], views_of(args, name, dataset, tried), tried)
                yield from ((tried, run) for run in run_jobs([job], args.work / "runs", args.device, 1))


if __name__ == "__main__":
    main()
