"""How long `activesel import` takes for 100,000 opinions of five annotators, and how much memory, format by format; and
`activesel dataset build` for 100,000 labelled images.

    python scripts/bench_labels.py                        # each in a process of its own, about three minutes
    python scripts/bench_labels.py --n 10000 --formats csv
    python scripts/bench_labels.py --formats dataset

Beside an import the floor: the same file only read, not recorded; beside a build the graph of neighbours alone, which
finds near-duplicates among as many vectors. Processor seconds stand beside those of the clock, which on
a shared machine say more of the others. Images are rows of the catalog without files; no importer opens an image.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from activesel.annotations import Annotation, Box
from activesel.catalog import Catalog
from activesel.catalog.writing import FileStamp
from activesel.index import knn_graph
from activesel.labels import ImageLookup, Item, Sheet, fit, get_format
from activesel.pipelines.dataset import BuildRequest, build_dataset
from activesel.pipelines.dataset_sources import NEIGHBOURS
from activesel.pipelines.embed import open_store
from activesel.pipelines.hand_out import place
from activesel.pipelines.opinions import ImportRequest, import_annotations, record
from activesel.records import ImageRow
from activesel.workspace import create_workspace, find_workspace

FORMATS = ("csv", "label-studio", "coco", "scale")  # those that hold several opinions on an image and its annotator
DATASET = "dataset"
_DIMS = 1280  # of the default backbone, the longest vectors that are usual
_SETTINGS = ("dataset.group_column=part", "embedding.pooling=plain")  # without a bank of patches: there are no files
_ANNOTATORS = ("ann", "bob", "cid", "dot", "eve")
_SIZE = (640, 480)
_LIMIT_S, _LIMIT_MIB = 60, 1024


def make_job(folder: Path, name: str, n: int) -> Path:
    """Write a workspace of n / 5 images and a file in which five people speak about each; return the file's path."""
    rng = random.Random(0)
    rows = [ImageRow(f"{number:032x}", f"/images/{number // 1000}/{number}.png", *_SIZE, "PNG")
            for number in range(n // len(_ANNOTATORS))]  # fmt: skip
    with Catalog.open(create_workspace(folder / "job").catalog_place) as catalog:
        catalog.add_images([(row, FileStamp(1, 1)) for row in rows], "images")
    found = get_format(name)
    items = tuple(
        Item(row.image_id, row.path, row.path[1:], row.path, *_SIZE, _speak(row.image_id, rng)) for row in rows
    )
    sheet, _ = fit(Sheet(items, ("crack", "good"), "0001"), found.holds)
    out = folder / "opinions"
    place(found.writes(sheet), out, several=found.several_files)
    return out


def _speak(image_id: str, rng: random.Random) -> tuple[Annotation, ...]:
    cracked = rng.random() < 0.1
    names = ["crack" if cracked == (rng.random() < 0.95) else "good" for _ in _ANNOTATORS]
    box = (Box("crack", 10.5, 20, 60.25, 80),)
    return tuple(
        Annotation(image_id, who, name=name, shapes=box if name == "crack" else (), lead_time_s=rng.uniform(1, 9),
                   created=f"2026-01-{1 + number:02}T10:00:00+00:00") for number, (who, name) in
        enumerate(zip(_ANNOTATORS, names, strict=True))
    )  # fmt: skip


def measure(folder: Path, name: str) -> str:
    """Import once and again; return a line of figures."""
    file, found = folder / "opinions", get_format(name)
    workspace = find_workspace(folder / "job")
    with Catalog.open(workspace.catalog_place) as catalog:
        ids_by_path = catalog.resolve()
        lookup = ImageLookup(ids_by_path, (), catalog.sizes_of(ids_by_path.values()))
    began, busy = time.perf_counter(), time.process_time()
    n_read = sum(1 for _ in found.reads(file, lookup))
    floor = time.process_time() - busy
    began, busy = time.perf_counter(), time.process_time()
    first = import_annotations(workspace, ImportRequest(file, name))
    took, busy = time.perf_counter() - began, time.process_time() - busy
    began = time.process_time()
    again = import_annotations(workspace, ImportRequest(file, name))
    second = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    assert first.n_new == again.n_known == n_read
    assert not again.n_new + again.n_changed + again.n_settled
    good = "yes" if took < _LIMIT_S and peak < _LIMIT_MIB else "NO"
    seconds = f"{floor:>8.1f}{busy:>9.1f}{second:>8.1f}{took:>9.1f}"
    return f"{name:<14}{n_read:>9}{file.stat().st_size >> 20:>6}{seconds}{peak:>7}  {good}"


def make_labelled(folder: Path, n: int) -> None:
    """Write a workspace of n images with a vector, a group and a class that counts each; a tenth have a box."""
    rng = np.random.default_rng(0)
    create_workspace(folder / "job")
    workspace = find_workspace(folder / "job", _SETTINGS)
    rows = [ImageRow(f"{number:032x}", f"/images/{number // 1000}/{number}.png", *_SIZE, "PNG",
                     {"part": str(number // 3)}) for number in range(n)]  # fmt: skip
    box = (Box("crack", 10.5, 20, 60.25, 80),)
    said = [Annotation(row.image_id, "ann", name="crack" if number % 10 == 0 else "good",
                       shapes=box if number % 10 == 0 else (), created="2026-01-01T10:00:00+00:00")
            for number, row in enumerate(rows)]  # fmt: skip
    with Catalog.open(workspace.catalog_place) as catalog:
        catalog.add_images([(row, FileStamp(1, 1)) for row in rows], "images")
        record(catalog, said, good="good", dry_run=False)
    store = open_store(workspace)
    for start in range(0, n, 10_000):
        part = rows[start : start + 10_000]
        vectors = rng.normal(size=(len(part), _DIMS)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        store.append([row.image_id for row in part], vectors.astype(np.float16))


def measure_build(folder: Path) -> str:
    """Build a version once and again, and time the graph alone; return lines of figures."""
    workspace = find_workspace(folder / "job", _SETTINGS)
    began, busy = time.perf_counter(), time.process_time()
    built = build_dataset(workspace, BuildRequest())
    took, busy = time.perf_counter() - began, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    began = time.process_time()
    assert not build_dataset(workspace, BuildRequest()).is_new
    second = time.process_time() - began
    with Catalog.open(workspace.catalog_place) as catalog:
        names = catalog.list_images().names()
    vectors = np.asarray(open_store(workspace).load(names), np.float32)
    began = time.process_time()
    knn_graph(vectors, NEIGHBOURS, seed=0)
    floor = time.process_time() - began
    good = "yes" if took < _LIMIT_S and peak < _LIMIT_MIB else "NO"
    seconds = f"{floor:>8.1f}{busy:>9.1f}{second:>8.1f}{took:>9.1f}"
    return f"{'dataset build':<14}{built.n_images:>9}{'':>6}{seconds}{peak:>7}  {good}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--formats", default=",".join((*FORMATS, DATASET)))
    parser.add_argument("--measure", nargs=2, metavar=("FOLDER", "NAME"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.measure and given.measure[1] == DATASET:
        print(measure_build(Path(given.measure[0])))
        return
    if given.measure:
        print(measure(Path(given.measure[0]), given.measure[1]))
        return
    print(f"{'format':<14}{'opinions':>9}{'MiB':>6}{'read':>8}{'import':>9}{'again':>8}{'clock s':>9}{'MiB':>7}  "
          f"< {_LIMIT_S} s, < {_LIMIT_MIB} MiB", flush=True)  # fmt: skip
    for name in given.formats.split(","):
        with tempfile.TemporaryDirectory() as folder:
            if name == DATASET:
                make_labelled(Path(folder), given.n)
            else:
                make_job(Path(folder), name, given.n)
            command = [sys.executable, __file__, "--measure", folder, name]  # its own process: its own peak of memory
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
