"""What the monitors look at, read from a workspace: labelled picks, operators' answers, regions, numbers to compare."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from activesel.catalog import Catalog, Images
from activesel.coverage import is_covered, split_regions, typical_radius
from activesel.duplicates import group_near_duplicates
from activesel.errors import DataError
from activesel.ids import pack_ids, unpack_ids
from activesel.images import decode_pixels
from activesel.index import knn_graph
from activesel.labels import ImageLookup
from activesel.models import PREDICTIONS, Alias
from activesel.monitoring import Labelled, Overrides, Regions
from activesel.nearest import find_nearest
from activesel.pipelines.batch_file import read_batch
from activesel.pipelines.gather import Gathered
from activesel.pipelines.windows import find_image
from activesel.predictions import read_predictions
from activesel.records import BoolArray, Event, FloatArray, IntArray
from activesel.seeds import derive_rng
from activesel.training.held_out import hold_out_head
from activesel.workspace import Workspace

REGION_ROWS = 20_000  # of a larger pool, evenly spread, say where its regions are
MOST_REGIONS = 32
NEIGHBOURS = 32
LOOK_PX = 256  # longest side of what is opened to measure brightness, contrast and sharpness
PREDICTED, OVERRIDDEN, CONFIRMED = "prediction.made", "operator.override", "operator.confirm"
PLACES = ("station", "shift", "line")


@dataclass(frozen=True)
class Word:
    """What a model says of some images. rows: (m,) of the images. probs: (m, c). by: which model."""

    rows: IntArray
    probs: FloatArray
    classes: tuple[str, ...]
    by: str


def find_good(workspace: Workspace, names: tuple[str, ...], classes: IntArray) -> str:
    """Return the class without a defect: by the settings, else the champion's, else the most frequent label."""
    settings = workspace.config
    with Catalog.open(workspace.catalog_place) as catalog:
        champion = catalog.models.aliases().get(Alias.champion)
        card = next((one for one in catalog.models.cards() if one.model_id == champion), None)
    known = settings.monitoring.good or settings.embedding.good or (card.good if card is not None else None)
    return known or (names[int(np.bincount(classes).argmax())] if len(classes) else "")


def read_labelled(workspace: Workspace, good: str) -> tuple[Labelled | None, int]:
    """Return the picks of the newest batches that a person has labelled by now, and how many are for evaluation.

    What the model said is what batch.json has: its word before it learned from the label. What evaluation images are
    labelled stays unread: they steer nothing.
    """
    with Catalog.open(workspace.catalog_place) as catalog:
        batches = catalog.batches.read()[-workspace.config.monitoring.batches :]
        wanted = [
            i for one in batches for i, kind in zip(one.image_ids, one.kinds, strict=True) if kind != "evaluation"
        ]
        labels = catalog.labels()
        weak = set(unpack_ids(catalog.weak_ids()))
        evaluation = {i for one in batches for i in one.image_ids} - set(wanted)
    named = {i: one.name for i, one in labels.items() if i not in weak}
    picked = set(wanted) | evaluation
    names = tuple(sorted({*named.values(), good}))
    code = {name: number for number, name in enumerate(names)}
    rows: list[tuple[int, int, float, bool, int]] = []
    ids: list[str] = []
    sizes = np.zeros(len(batches))
    for number, batch in enumerate(batches):
        said = _read_words(workspace, batch.batch_id)
        for image_id, kind in zip(batch.image_ids, batch.kinds, strict=True):
            predicted, sure, chance = said.get(image_id, (None, math.nan, None))
            explored = kind == "explore"
            if explored and chance:
                sizes[number] = batch.kinds.count("explore") / chance
            if kind != "evaluation" and image_id in named:
                rows.append((code[named[image_id]], code.get(predicted or "", -1), sure, explored, number))
                ids.append(image_id)
    before = frozenset(code[name] for i, name in named.items() if i not in picked)
    n_evaluation = sum(i in named for i in evaluation)
    if not rows:
        return None, n_evaluation
    table = np.array(rows, np.float64)
    return Labelled(
        names, code[good], table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2], table[:, 3] > 0,
        table[:, 4].astype(np.int64), np.arange(len(rows)), sizes, before,
    ), n_evaluation  # fmt: skip


def _read_words(workspace: Workspace, batch_id: str) -> dict[str, tuple[str | None, float, float | None]]:
    """Image -> the predicted class, how sure, and the chance to be drawn; {} of a batch that has no file of ours."""
    try:
        batch = read_batch(workspace, batch_id)
    except DataError:
        return {}
    return {one.image_id: (one.predicted, math.nan if one.probability is None else one.probability, one.propensity)
            for one in batch.picks}  # fmt: skip


def read_overrides(workspace: Workspace, images: Images) -> tuple[Overrides, ...]:
    """Count operators' answers by station, shift and line, each prediction once: of all that they answered where they
    confirm, too, else of the predictions that were reported. A place is what the event that is counted says, else its
    prediction's event, else the image's metadata. An answer that names no prediction is about the image's last one."""
    with Catalog.open(workspace.catalog_place) as catalog:
        answers = list(catalog.events.read((PREDICTED, OVERRIDDEN, CONFIRMED)))
        by_path = catalog.resolve() if answers else {}
    if not any(one.type == OVERRIDDEN for one in answers):
        return ()
    lookup = ImageLookup(by_path)
    names = {name: find_image(lookup, name) or name for name in {one.image_id for one in answers}}
    told = {one.prediction_id or names[one.image_id]: one for one in answers if one.type == PREDICTED}
    last = {names[one.image_id]: key for key, one in told.items()}
    asked: dict[str, Event] = {}
    overridden: set[str] = set()
    for one in answers:
        if one.type != PREDICTED:
            key = one.prediction_id or last.get(names[one.image_id], names[one.image_id])
            asked[key] = one
            overridden |= {key} if one.type == OVERRIDDEN else set()
    counted = asked if any(one.type == CONFIRMED for one in answers) else {**asked, **told}
    rows = _rows_of(images, [names[(told.get(key) or one).image_id] for key, one in counted.items()])
    found = []
    for place in PLACES:
        column, counts = images.column(place), dict[str, tuple[int, int]]()
        for (key, one), row in zip(counted.items(), rows.tolist(), strict=True):
            code = int(column.codes[row]) if row >= 0 else -1
            value = one.data.get(place) or (told[key].data.get(place) if key in told else None) or (
                column.values[code] if code >= 0 else None)  # fmt: skip
            if value is not None:
                own, n = counts.get(str(value), (0, 0))
                counts[str(value)] = (own + (key in overridden), n + 1)
        if len(counts) > 1:
            found.append(Overrides(place, counts))
    return tuple(found) or (Overrides("all", {"": (len(overridden), len(counted))}),)


def _rows_of(images: Images, names: list[str]) -> IntArray:
    """The row of each image, -1 of a name that is no id of any."""
    known = [name if re.fullmatch("[0-9a-f]{32}", name) else "0" * 32 for name in names]
    return images.find(pack_ids(known))


def find_regions(gathered: Gathered, seed: int) -> tuple[Regions, list[IntArray]]:
    """Return the pool's regions of look-alikes and, of each, the rows nearest to its centre that no pick came from."""
    vectors, n = gathered.vectors, len(gathered.images)
    if n < 2:
        return Regions(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)), []
    rows = np.sort(derive_rng(seed, "regions").permutation(n)[:REGION_ROWS])
    sample = np.asarray(vectors[rows], np.float32)
    radius = typical_radius(sample)
    centres, region = split_regions(sample, 2 * radius, MOST_REGIONS)
    known = np.unique(np.concatenate((gathered.labelled, gathered.pending, gathered.held_out))).astype(np.int64)
    own = (np.asarray(vectors[known], np.float32) @ centres.T).argmax(axis=1) if len(known) else known
    both = np.concatenate((sample, np.asarray(vectors[gathered.labelled], np.float32)))
    nearest = find_nearest(both, np.arange(len(rows), len(both)))[0][: len(rows)]
    near = is_covered(nearest, radius)
    counts = np.bincount(region, minlength=len(centres))
    covered = np.bincount(region, weights=near, minlength=len(centres)) / np.maximum(1, counts)
    typical: list[IntArray] = [rows[here[np.argsort(-(sample[here] @ centres[g]), kind="stable")]]
               for g in range(len(centres)) for here in (np.flatnonzero(region == g),)]  # fmt: skip
    images = np.round(counts * n / len(rows)).astype(np.int64)
    return Regions(images, np.bincount(own, minlength=len(centres)), covered), typical


def read_word(workspace: Workspace, gathered: Gathered) -> Word | None:
    """Return what the champion says of images without a label; without one, what a head says that has not seen them."""
    with Catalog.open(workspace.catalog_place) as catalog:
        champion = catalog.models.aliases().get(Alias.champion)
        by_path = catalog.resolve() if champion else {}
    path = workspace.state / "models" / (champion or "") / PREDICTIONS
    if champion is not None and path.exists():
        said = read_predictions(path, by_path, gathered.images.names(), max_missing=1.0)
        if said.probs is not None and said.classes is not None:
            rows = np.setdiff1d(np.flatnonzero(~said.missing), gathered.labelled)
            return Word(rows, said.probs[rows], said.classes, f"champion {champion}")
    if len(np.unique(gathered.classes)) < 2:
        return None
    vectors, known, seed = gathered.vectors, gathered.labelled, workspace.config.seed
    own = np.asarray(vectors[known], np.float32)
    held = hold_out_head(own, gathered.classes, group_alike(workspace, own), len(gathered.class_names), seed=seed)
    probs = np.asarray(held.head.probabilities(vectors), np.float64)
    probs[known] = held.probs
    rows = np.flatnonzero(np.isfinite(probs).all(axis=1))
    return Word(rows, probs[rows], gathered.class_names, "a head on the labels")


def group_alike(workspace: Workspace, vectors: FloatArray) -> npt.NDArray[np.int64]:
    """Return the near-duplicate group (n,) of each of some vectors (n, d)."""
    graph = knn_graph(vectors, min(NEIGHBOURS, max(1, len(vectors) - 1)), seed=0)
    return group_near_duplicates(graph, workspace.config.duplicates.similarity).astype(np.int64)


def look_at_images(
    workspace: Workspace, images: Images, rows: BoolArray, name: str
) -> dict[str, npt.NDArray[np.float64]]:
    """Return brightness and contrast (0..1), sharpness and megapixels of a sample of the images; (k,) each.

    sharpness: variance of the Laplacian of the image at 256 pixels, as a share of its variance, so that contrast is not
    counted twice. A file that went away counts as none.
    """
    import cv2

    wanted = derive_rng(workspace.config.seed, f"look-{name}").permutation(np.flatnonzero(rows))
    sample = np.sort(wanted[: workspace.config.monitoring.images])
    found: list[tuple[float, float, float, float]] = []
    for image in images.take(sample):
        try:
            pixels = decode_pixels(Path(image.path), max_pixels=round(workspace.config.ingest.max_megapixels * 1e6),
                                   at_least_px=LOOK_PX)  # fmt: skip
        except DataError:
            continue
        grey = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        scale = LOOK_PX / max(grey.shape)
        small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else grey
        small = np.asarray(small, np.float32) / 255
        spread = float(small.var())
        edges = float(cv2.Laplacian(small, cv2.CV_32F).var()) / max(spread, 1e-6)
        found.append((float(small.mean()), math.sqrt(spread), edges, image.width_px * image.height_px / 1e6))
    table = np.array(found, np.float64).reshape(-1, 4)
    return dict(zip(("brightness", "contrast", "sharpness", "megapixels"), table.T, strict=True))


def count_by_model(workspace: Workspace) -> tuple[int, int]:
    """Return how many labels that count nobody but a model or rule gave, and how many labels count."""
    with Catalog.open(workspace.catalog_place) as catalog:
        weak, labels = catalog.weak_ids(), catalog.label_columns()
    return len(weak), len(labels.ids)


def read_ages(workspace: Workspace, now: datetime) -> Mapping[str, float | None]:
    """Return how many days old the newest images, labels and the champion are; None where nothing tells."""
    with Catalog.open(workspace.catalog_place) as catalog:
        times = catalog.watching.newest()
        champion = catalog.models.aliases().get(Alias.champion)
        cards = [one.created for one in catalog.models.cards() if one.model_id == champion]
    if cards:
        made = datetime.fromisoformat(cards[0])
        times["champion"] = made if made.tzinfo is not None else made.replace(tzinfo=UTC)
    return {what: None if at is None else max(0.0, (now - at).total_seconds() / 86400) for what, at in times.items()}
