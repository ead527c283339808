"""How well near-duplicate groups match the truth, per similarity; docs/near_duplicates.md holds its output.

    python scripts/run_near_duplicates.py                    magnetic tiles of $ACTIVESEL_DATA and the elpv cells
    python scripts/run_near_duplicates.py --neighbours 64 --pooling plain

Magnetic tiles: the same tile appears up to 29 times, and labels.csv says which (neardup_group). Solar cells: each cell
was photographed once, so whatever is grouped merely looks alike. Left out: images that a cap of one per group would
leave out; for the cells, all of them wrongly. No limit: connected components without the limit to a centre.
Vectors: the default backbone's, unit length, whole and in their 256 leading directions.
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.sparse.csgraph import connected_components

from activesel.config import load_config
from activesel.duplicates import group_near_duplicates, link_near_duplicates
from activesel.index import knn_graph
from activesel.pipelines.embed import embed, load_vectors
from activesel.projection import reduce_dimensions
from activesel.records import FloatArray, ImageRow, IntArray, KnnGraph
from activesel.vectors import check_vectors
from activesel.workspace import create_workspace

SIMILARITIES = (0.90, 0.93, 0.95, 0.96, 0.97, 0.975, 0.98, 0.985, 0.99, 0.995)
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Agreement:
    """Pairs of images that share a group, found against true; largest: images in the largest group."""

    precision: float
    recall: float
    largest: int
    n_left_out: int  # images that a cap of one per group would leave out

    @property
    def f1(self) -> float:
        return 2 * self.precision * self.recall / max(self.precision + self.recall, 1e-9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neighbours", type=int, default=32)
    parser.add_argument("--pooling", choices=("plain", "defect-aware"), default=load_config().embedding.pooling)
    args = parser.parse_args()
    data = Path(os.environ.get("ACTIVESEL_DATA", ROOT.parent / "shared" / "data"))
    tiles, truth = read_tiles(data / "magnetic_tile")
    tile_vectors, cell_vectors = embed_all(tiles, args.pooling), embed_all(find_cells(), args.pooling)
    for components in (0, 256):
        tile_graph = knn_graph(reduce_dimensions(tile_vectors, components), args.neighbours)
        cell_graph = knn_graph(reduce_dimensions(cell_vectors, components), args.neighbours)
        print(f"\n{components or tile_vectors.shape[1]} dimensions; {share_listed(tile_graph, truth):.0%} of the true "
              f"pairs of tiles are among {args.neighbours} neighbours\n")  # fmt: skip
        print_table(tile_graph, truth, cell_graph)


def print_table(tile_graph: KnnGraph, truth: IntArray, cell_graph: KnnGraph) -> None:
    print("| similarity | precision | recall | F1 | largest | left out | no limit: F1 | largest ", end="")
    print("| cells: largest | left out |\n|---|---|---|---|---|---|---|---|---|---|")
    singles = np.arange(len(cell_graph.neighbours))
    for similarity in SIMILARITIES:
        tile = compare(group_near_duplicates(tile_graph, similarity), truth)
        plain = compare(connected_components(link_near_duplicates(tile_graph, similarity), directed=False)[1], truth)
        cell = compare(group_near_duplicates(cell_graph, similarity), singles)
        print(f"| {similarity} | {tile.precision:.2f} | {tile.recall:.2f} | {tile.f1:.2f} | {tile.largest} "
              f"| {tile.n_left_out} | {plain.f1:.2f} | {plain.largest} "
              f"| {cell.largest} | {cell.n_left_out} |")  # fmt: skip


def compare(groups: IntArray, truth: IntArray) -> Agreement:
    sizes = np.bincount(groups)
    both = np.unique(np.column_stack([groups, truth]), axis=0, return_counts=True)[1]
    found, true, right = count_pairs(sizes), count_pairs(np.bincount(truth)), count_pairs(both)
    return Agreement(right / max(found, 1), right / max(true, 1), int(sizes.max()), int((sizes - 1).sum()))


def count_pairs(sizes: npt.NDArray[np.int64]) -> int:
    return int((sizes * (sizes - 1) // 2).sum())


def share_listed(graph: KnnGraph, truth: IntArray) -> float:
    """Return the share of true pairs that the graph lists at all: no threshold can find more."""
    listed = np.argwhere(truth[graph.neighbours] == truth[:, None])
    pairs = {tuple(sorted((int(row), int(graph.neighbours[row, column])))) for row, column in listed}
    return len(pairs) / count_pairs(np.bincount(truth))


def read_tiles(folder: Path) -> tuple[list[Path], IntArray]:
    with (folder / "labels.csv").open(encoding="utf8") as file:
        rows = list(csv.DictReader(file))
    truth = np.unique([row["neardup_group"] for row in rows], return_inverse=True)[1]
    return [folder / row["path"] for row in rows], truth


def find_cells() -> list[Path]:
    spec = find_spec("elpv_dataset")
    if spec is None or spec.origin is None:
        raise SystemExit("the solar cells are in the extra [demo]: pip install elpv-dataset")
    return sorted((Path(spec.origin).parent / "data" / "images").glob("*.png"))


def embed_all(paths: list[Path], pooling: str) -> FloatArray:
    """Return unit rows as a workspace of these images has them."""
    rows = [ImageRow(f"{i:032x}", str(path), 0, 0, "") for i, path in enumerate(paths)]
    with tempfile.TemporaryDirectory() as folder:
        workspace = create_workspace(Path(folder), (f"embedding.pooling={pooling}",))
        embed(workspace, rows)
        return check_vectors(load_vectors(workspace, [row.image_id for row in rows]), "vectors")


if __name__ == "__main__":
    main()
