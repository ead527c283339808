"""What a selection reads: filters, labels, predictions, vectors, exemplars, and files that are gone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from activesel.catalog import Catalog
from activesel.config import load_config
from activesel.errors import ActiveselError, DataError, UsageError
from activesel.pipelines.gather import Gathered, gather
from activesel.pipelines.ingest import ingest
from activesel.pipelines.select import select_batch
from activesel.records import IntArray
from activesel.workspace import Workspace
from tests.cli.samples import tiny_backbone
from tests.pipelines.workspaces import KINDS, Job, make_job, write_image, write_predictions

pytestmark = pytest.mark.usefixtures("plain_pages")

STATIONS = ["A", "B", "C", ""] * 10


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return make_job(tmp_path, meta={"station": STATIONS, "line": ["1"] * 20 + ["2"] * 20})


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Settings of a network that is built in no time."""
    return [word for word in tiny_backbone(tmp_path_factory.mktemp("weights")) if word != "--set"]


def read(job: Job, *settings: str, **fields: Any) -> Gathered:
    return gather(job.open(*settings), job.request(5, **fields))


def numbers(job: Job, gathered: Gathered, rows: IntArray) -> list[int]:
    """The job's numbers of rows of the pool, sorted."""
    return sorted(job.ids.index(image_id) for image_id in gathered.images.names(rows))


def meeting(job: Job, *where: str) -> set[int]:
    gathered = read(job, where=where)
    return set(numbers(job, gathered, np.flatnonzero(gathered.candidates)))


def embedding(job: Job, tiny: list[str]) -> Workspace:
    return replace(job.workspace, config=load_config(None, tiny))


# Filters


def test_one_value_several_values_several_columns(job: Job) -> None:
    everything = set(range(40))
    assert meeting(job) == everything
    assert meeting(job, "station=A") == {i for i in everything if i % 4 == 0}
    assert meeting(job, "station=A,C") == {i for i in everything if i % 4 in (0, 2)}
    assert meeting(job, "station=A,C", "line=2") == {i for i in everything if i % 4 in (0, 2) and i >= 20}
    assert meeting(job, "station=A,Z") == meeting(job, "station=A")


@pytest.mark.parametrize("where", [("station=Z",), ("colour=red",), ("station=A", "station=B"), ("station=a",)])
def test_nothing_meets_the_filter(job: Job, where: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match=r"no image meets the filter; found line=1\|2; station=A\|B\|C"):
        read(job, where=where)


@pytest.mark.parametrize("where", ["station", "=A", "station="])
def test_filter_of_another_form(job: Job, where: str) -> None:
    with pytest.raises(DataError, match="cannot read a filter"):
        read(job, where=(where,))


def test_no_metadata_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no metadata at all"):
        read(make_job(tmp_path, 3), where=("station=A",))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"where": ("station=Z",)}, "no image meets"),
        ({"quotas": ("station=Z:3",)}, "a value that no image has"),
        ({"quotas": ("nonsense",)}, "cannot read a quota"),
        ({"cost": "station"}, "is not a cost"),
        ({"exemplars": "ids"}, "an exemplar is not in the pool"),
        ({"exemplars": "preds"}, "an exemplar cannot be used"),
        ({"predictions": "preds"}, "not among the classes"),
    ],
)
def test_refused_before_anything_is_embedded(
    job: Job, tmp_path: Path, fields: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activesel.pipelines.gather.embed_missing", lambda *_: pytest.fail("an hour of work"))
    job.label([0], ["crak"])
    (tmp_path / "nobody.txt").write_text("nobody.png\n")
    probs = np.full((40, 2), 0.5)
    files = {
        "ids": tmp_path / "nobody.txt",
        "preds": write_predictions(job, tmp_path / "p.parquet", classes=["crack", "free"], probs=probs.tolist()),
    }
    fields = {name: files.get(value, value) if isinstance(value, str) else value for name, value in fields.items()}
    with pytest.raises(DataError, match=message):
        read(job, embeddings=None, ids=None, **fields)


# Labels: what steers, what is held out, what is on its way


def test_labels_steer_evaluation_draws_do_not(job: Job) -> None:
    first = job.select(20, "selection.evaluation=0.5")
    held, train = job.rows(first, "evaluation"), job.rows(first, "strategy")
    assert (len(held), len(train)) == (10, 10)
    job.label([*held, *train])
    gathered = read(job)
    assert numbers(job, gathered, gathered.labelled) == sorted(train)
    names = [gathered.class_names[code] for code in gathered.classes]
    assert names == [job.kind_of(image_id) for image_id in gathered.images.names(gathered.labelled)]
    assert numbers(job, gathered, gathered.held_out) == sorted(held)
    assert gathered.pending.size == 0
    assert not gathered.may_be_picked[gathered.held_out].any()
    assert gathered.may_be_picked.sum() == 20


def test_a_class_known_from_evaluation_alone_is_unknown(job: Job) -> None:
    held = job.rows(job.select(4, "selection.evaluation=1.0"), "evaluation")
    job.label(held, ["secret"] * 4)
    job.label([row for row in range(40) if row not in held][:8])
    gathered = read(job)
    assert "secret" not in gathered.class_names
    assert len(gathered.labelled) == 8


def test_pending_batches_count_in_the_workspace_but_not_for_one_source(job: Job) -> None:
    picked = job.rows(job.select(6))
    gathered = read(job)
    assert numbers(job, gathered, gathered.pending) == sorted(picked)
    with Catalog.open(job.workspace.catalog_path) as catalog:
        assert len(catalog.images(str(job.photos.parent / "manifest.csv"))) == 40
    alone = read(job, source=str(job.photos.parent / "manifest.csv"))
    assert alone.pending.size == 0
    job.label(picked[:2])
    assert len(read(job).pending) == 4


# Predictions


def test_predicted_columns_map_labels(job: Job, tmp_path: Path) -> None:
    """The order of the predictions' columns counts, not the alphabet."""
    classes = ["pit", "free", "fray", "crack"]
    probs = np.eye(4)[[classes.index(KINDS[i % 4]) for i in range(40)]] * 0.8 + 0.05
    preds = write_predictions(job, tmp_path / "p.parquet", classes=classes, probs=probs.tolist())
    job.label([0, 1, 2])
    gathered = read(job, predictions=preds)
    assert gathered.class_names == tuple(classes)
    assert gathered.predictions is not None
    assert gathered.predictions.probs is not None
    best = gathered.predictions.probs.argmax(axis=1)
    assert [classes[c] for c in best] == [job.kind_of(image_id) for image_id in gathered.images.names()]
    result = job.select(4, predictions=preds)
    assert all(pick.predicted == job.kind_of(pick.image_id) for pick in result.picks)
    assert all(pick.probability == pytest.approx(0.85) for pick in result.picks)


def test_predictions_by_path(job: Job, tmp_path: Path) -> None:
    probs = np.random.default_rng(0).dirichlet(np.ones(2), 40)
    by_id = write_predictions(job, tmp_path / "i.parquet", probs=probs.tolist())
    by_path = write_predictions(job, tmp_path / "p.parquet", key="path", probs=probs.tolist())
    left, right = read(job, predictions=by_id).predictions, read(job, predictions=by_path).predictions
    assert left is not None
    assert right is not None
    assert np.array_equal(np.asarray(left.probs), np.asarray(right.probs))


def test_columns_without_names_are_not_guessed(job: Job, tmp_path: Path) -> None:
    """Three columns, two known labels: naming columns after sorted labels would be wrong, and one short."""
    preds = write_predictions(job, tmp_path / "p.parquet", probs=[[0.1, 0.1, 0.8]] * 40)
    job.label([0, 1])
    assert read(job, predictions=preds).class_names == ("class 0", "class 1", "class 2", "crack", "fray")
    result = job.select(3, predictions=preds)
    assert {pick.predicted for pick in result.picks} == {"class 2"}


def test_a_label_that_the_predictions_do_not_know(job: Job, tmp_path: Path) -> None:
    preds = write_predictions(job, tmp_path / "p.parquet", classes=["free", "pit"], probs=[[0.5, 0.5]] * 40)
    job.label([0])
    with pytest.raises(DataError, match="not among the classes of the predictions; found crack; expected free, pit"):
        read(job, predictions=preds)


def test_a_detector_has_no_class_for_good_parts(job: Job, tmp_path: Path) -> None:
    boxes = [[[0.6, 0.1]]] * 40
    preds = write_predictions(job, tmp_path / "p.parquet", classes=["pit", "crack"], box_probs=boxes)
    job.label([0, 2])
    assert read(job, predictions=preds).class_names == ("pit", "crack", "free")


# Vectors


def test_vectors_are_matched_by_id_whatever_their_order(job: Job, tmp_path: Path) -> None:
    order = np.random.default_rng(3).permutation(40)
    np.save(tmp_path / "shuffled.npy", job.vectors[order])
    (tmp_path / "shuffled.txt").write_text("".join(f"{job.paths[i]}\n" for i in order))
    gathered = read(job, embeddings=tmp_path / "shuffled.npy", ids=tmp_path / "shuffled.txt")
    assert np.allclose(gathered.vectors, read(job).vectors)
    expected = job.vectors[[job.ids.index(image_id) for image_id in gathered.images.names()]]
    assert np.allclose(gathered.vectors, expected, atol=1e-3)


@pytest.mark.parametrize("gone", ["embeddings", "ids"])
def test_vectors_and_ids_belong_together(job: Job, gone: str) -> None:
    with pytest.raises(UsageError, match="--embeddings and --ids belong together"):
        job.select(5, **{gone: None})


@pytest.mark.parametrize("field", ["predictions", "embeddings", "ids", "exemplars"])
def test_a_file_that_is_not_there(job: Job, tmp_path: Path, field: str) -> None:
    with pytest.raises(DataError, match="no such file"):
        job.select(5, **{field: tmp_path / "nowhere.npy"})


# Exemplars


def exemplar_rows(job: Job, gathered: Gathered) -> list[int]:
    """Which images of the job the exemplars' vectors are those of."""
    assert gathered.exemplars is not None
    return [int((job.vectors @ vector).argmax()) for vector in np.asarray(gathered.exemplars, dtype=np.float32)]


def test_exemplars_listed_by_id_by_path_and_beside_the_list(job: Job) -> None:
    listing = job.photos / "wanted.txt"
    listing.write_text(f"\n{job.ids[3]}\n{job.paths[7]}\n011.png\n{job.ids[3]}\n", encoding="utf8")
    assert exemplar_rows(job, read(job, exemplars=listing)) == [3, 7, 11]
    picks = job.rows(job.select(6, "selection.strategy=exemplars", exemplars=listing))
    assert sum(row % 4 == 3 for row in picks) >= 5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"nobody.png\n", "an exemplar is not in the pool; found nobody.png"),
        (b"\n  \n", "no exemplar is named"),
        (b"\xff\xfe\x00", "not a text file"),
        (b"a\x00b\n", "an exemplar is not in the pool"),
    ],
)
def test_bad_lists_of_exemplars(job: Job, tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "wanted.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(job, exemplars=tmp_path / "wanted.txt")


def test_exemplar_images_need_our_own_vectors(job: Job) -> None:
    with pytest.raises(DataError, match="need the built-in vectors"):
        read(job, exemplars=job.paths[0])


def test_exemplars_from_an_image_a_folder_and_outside_the_pool(job: Job, tiny: list[str], tmp_path: Path) -> None:
    workspace = embedding(job, tiny)
    own = {"embeddings": None, "ids": None}
    outside = write_image(tmp_path / "elsewhere" / "a.png", 999)
    write_image(tmp_path / "elsewhere" / "b.png", 3)  # the same bytes as image 3 of the pool
    one = gather(workspace, job.request(5, exemplars=outside, **own))
    many = gather(workspace, job.request(5, exemplars=tmp_path / "elsewhere", **own))
    assert one.exemplars is not None
    assert many.exemplars is not None
    assert (len(one.exemplars), len(many.exemplars)) == (1, 2)
    assert len(one.images) == len(many.images) == 40, "an exemplar does not join the pool"
    place = many.images.names().index(job.ids[3])
    assert np.asarray(many.vectors[place], np.float32) @ np.asarray(many.exemplars[1], np.float32) > 0.999
    assert one.input_hashes["exemplars"] != many.input_hashes["exemplars"]


@pytest.mark.parametrize("kind", ["text", "broken", "empty folder"])
def test_exemplars_that_are_no_images(job: Job, tiny: list[str], tmp_path: Path, kind: str) -> None:
    path = tmp_path / "exemplar.png"
    if kind == "empty folder":
        path.mkdir()
    else:
        path.write_bytes(b"not an image" if kind == "text" else job.paths[0].read_bytes()[:60])
    with pytest.raises(DataError, match=r"an exemplar cannot be used|no image in this folder"):
        gather(embedding(job, tiny), job.request(5, exemplars=path, embeddings=None, ids=None))


def test_exemplars_that_no_strategy_looks_at_are_mentioned(job: Job, tmp_path: Path) -> None:
    (tmp_path / "wanted.txt").write_text(job.ids[0])
    notes = job.select(3, exemplars=tmp_path / "wanted.txt").notes
    assert any("exemplars were not looked at" in note for note in notes)


# Files that are gone


def test_a_labelled_file_that_vanished(job: Job, tiny: list[str]) -> None:
    """Before it has a vector it cannot steer; afterwards it can."""
    job.label(range(8))
    job.paths[0].unlink()
    workspace = embedding(job, tiny)
    request = job.request(5, embeddings=None, ids=None)
    gathered = gather(workspace, request)
    assert (len(gathered.images), len(gathered.labelled)) == (39, 7)
    job.paths[1].unlink()
    again = gather(workspace, request)
    assert (len(again.images), len(again.labelled)) == (39, 7)
    assert again.input_hashes == gathered.input_hashes
    with Catalog.open(workspace.catalog_path) as catalog:
        assert [item.path for item in catalog.quarantined()] == [str(job.paths[0])]


def test_an_image_lives_on_under_its_other_path(job: Job, tiny: list[str], tmp_path: Path) -> None:
    copy = tmp_path / "zz-copies" / "000.png"
    copy.parent.mkdir()
    copy.write_bytes(job.paths[0].read_bytes())
    ingest(job.workspace, str(copy.parent))
    job.paths[0].unlink()
    gathered = gather(embedding(job, tiny), job.request(5, embeddings=None, ids=None))
    assert len(gathered.images) == 40
    assert str(copy) in {row.path for row in gathered.images.take(np.arange(40))}


def test_predictions_that_name_a_file_set_aside_since(job: Job, tiny: list[str], tmp_path: Path) -> None:
    probs = np.random.default_rng(0).dirichlet(np.ones(2), 40).tolist()
    preds = write_predictions(job, tmp_path / "p.parquet", key="path", probs=probs)
    job.paths[5].write_bytes(b"\x89PNG broken")
    request = job.request(5, embeddings=None, ids=None, predictions=preds)
    first = select_batch(embedding(job, tiny), request)
    assert select_batch(embedding(job, tiny), request).reused
    assert job.ids[5] not in {pick.image_id for pick in first.picks}


def test_every_file_is_gone(job: Job, tiny: list[str]) -> None:
    for path in job.paths:
        path.unlink()
    with pytest.raises(DataError, match="no image could be read"):
        gather(embedding(job, tiny), job.request(5, embeddings=None, ids=None))


def test_an_empty_workspace(tmp_path: Path) -> None:
    job = make_job(tmp_path, 3)
    empty = replace(job.workspace, root=tmp_path / "new")
    (tmp_path / "new" / ".activesel").mkdir(parents=True)
    with pytest.raises(ActiveselError, match="there are no images yet"):
        gather(empty, job.request(2))


def test_an_image_with_several_paths_is_one(job: Job, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    for number in range(3):
        (tmp_path / "more" / f"copy{number}.png").write_bytes(job.paths[number].read_bytes())
    ingest(job.workspace, str(tmp_path / "more"))
    gathered = read(job)
    assert len(gathered.images) == 40
    alone = gather(job.workspace, job.request(2, source=str(tmp_path / "more")))
    assert [Path(row.path).parent.name for row in alone.images.take(np.arange(3))] == ["more"] * 3


# What names the inputs


@pytest.mark.parametrize("used", [True, False])
def test_metadata_counts_as_input_where_it_is_used(job: Job, used: bool, tmp_path: Path) -> None:
    fields: dict[str, Any] = {"quotas": ("station=A:3",)} if used else {}
    before = read(job, **fields).input_hashes
    (tmp_path / "moved.csv").write_text(f"path,station\n{job.paths[0]},B\n")
    ingest(job.workspace, str(tmp_path / "moved.csv"))
    assert (read(job, **fields).input_hashes != before) is used


def test_pixel_maps_count_as_input(job: Job, tmp_path: Path) -> None:
    for number in range(40):
        np.save(tmp_path / f"map{number}.npy", np.full((1, 4, 4), 0.3, np.float32))
    preds = write_predictions(job, tmp_path / "p.parquet", pixel_probs=[f"map{number}.npy" for number in range(40)])
    before = read(job, predictions=preds).input_hashes
    np.save(tmp_path / "map7.npy", np.full((1, 4, 4), 0.5, np.float32))
    after = read(job, predictions=preds).input_hashes
    assert after["predictions"] == before["predictions"]
    assert after != before
