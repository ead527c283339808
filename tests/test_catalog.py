"""What goes into the catalog comes out again, whatever the order, the repetition, and the damage to its file."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from activesel.catalog import Batch, Catalog, Counts, FileStamp
from activesel.catalog.connection import connect
from activesel.errors import DataError, LockedError, UnreachableError
from activesel.ids import unpack_ids
from activesel.records import CatalogPlace, ImageRow, Label, Quarantined

STAMP = FileStamp(10, 20)


@pytest.fixture
def catalog(catalog_place: CatalogPlace) -> Iterator[Catalog]:
    with Catalog.open(catalog_place) as opened:
        yield opened


def image(name: str, path: str, **meta: str) -> ImageRow:
    return ImageRow(name * 32, path, 64, 48, "PNG", meta)


def add(catalog: Catalog, *rows: ImageRow, source: str = "s") -> int:
    return catalog.add_images([(row, STAMP) for row in rows], source)


def test_one_image_has_several_paths_and_the_first_by_name(catalog: Catalog) -> None:
    assert add(catalog, image("b", "/z"), image("a", "/m"), image("b", "/k")) == 2
    assert catalog.images() == [image("a", "/m"), image("b", "/k")]
    assert catalog.paths_of("b" * 32) == ["/k", "/z"]
    assert catalog.resolve() == {"/m": "a" * 32, "/k": "b" * 32, "/z": "b" * 32}
    assert catalog.known_files() == {"/m": (10, 20), "/k": (10, 20), "/z": (10, 20)}


def test_adding_again_changes_nothing(catalog: Catalog) -> None:
    rows = [image("a", "/1", lot="7"), image("b", "/2")]
    assert add(catalog, *rows) == 2
    before = (catalog.images(), catalog.counts())
    assert add(catalog, *rows) == 0
    assert (catalog.images(), catalog.counts()) == before


def test_the_order_of_adding_does_not_show(new_place: Callable[[], CatalogPlace]) -> None:
    rows = [image("abcdef"[n % 6], f"/{n:03}") for n in range(60)]
    answers = []
    for seed in range(3):
        random.Random(seed).shuffle(rows)
        with Catalog.open(new_place()) as catalog:
            for start in range(0, 60, 7):
                add(catalog, *rows[start : start + 7])
            answers.append((catalog.images(), catalog.paths_of("c" * 32)))
    assert answers[0] == answers[1] == answers[2]


def test_metadata_is_merged_and_the_later_value_counts_unless_empty(catalog: Catalog) -> None:
    add(catalog, image("a", "/1", lot="7", line="L1"))
    add(catalog, image("a", "/2", lot="8", line="", part="ä"))
    assert catalog.images()[0].meta == {"lot": "8", "line": "L1", "part": "ä"}
    catalog.see_again({"/1": {"lot": "9"}, "/2": {}}, "s")
    assert catalog.images()[0].meta == {"lot": "9", "line": "L1", "part": "ä"}


def test_a_changed_file_is_another_image(catalog: Catalog) -> None:
    add(catalog, image("a", "/1"))
    catalog.add_images([(image("b", "/1"), FileStamp(11, 30))], "s")
    assert catalog.images() == [image("b", "/1")]
    assert catalog.known_files() == {"/1": (11, 30)}
    assert catalog.counts().n_images == 1


def test_images_of_one_source(catalog: Catalog) -> None:
    add(catalog, image("a", "/x/1"), image("b", "/x/2"), source="x")
    add(catalog, image("b", "/y/2"), image("c", "/a/3"), source="y")
    catalog.see_again({"/x/1": {}}, "y")
    assert [(row.image_id[0], row.path) for row in catalog.images("x")] == [("a", "/x/1"), ("b", "/x/2")]
    assert [(row.image_id[0], row.path) for row in catalog.images("y")] == [("a", "/x/1"), ("b", "/y/2"), ("c", "/a/3")]
    assert catalog.images("nowhere") == []
    assert len(catalog.images()) == 3


def test_a_file_is_either_used_or_in_quarantine(catalog: Catalog) -> None:
    bad = Quarantined("/1", "truncated", "cut")
    catalog.add_quarantined([bad, Quarantined("/0", "empty", "0 bytes")], "s")
    assert [one.path for one in catalog.quarantined()] == ["/0", "/1"]
    add(catalog, image("a", "/1"))  # mended
    assert [one.path for one in catalog.quarantined()] == ["/0"]
    catalog.add_quarantined([bad], "s")  # broken again
    assert catalog.images() == []
    assert bad in catalog.quarantined()
    assert catalog.known_files() == {}


def test_the_last_label_counts_and_a_source_has_one_opinion(catalog: Catalog) -> None:
    add(catalog, image("a", "/1"), image("b", "/2"))
    a, b = "a" * 32, "b" * 32
    catalog.add_labels([Label(b, "ok", "1.csv"), Label(a, "ok", "1.csv")])
    catalog.add_labels([Label(a, "crack", "2.csv")])
    assert catalog.labels() == {a: Label(a, "crack", "2.csv"), b: Label(b, "ok", "1.csv")}
    assert list(catalog.labels()) == [a, b]
    catalog.add_labels([Label(a, "fray", "1.csv")])
    assert catalog.labels()[a].name == "fray"
    assert catalog.counts().n_labelled == 2


def test_batches_are_kept_and_the_evaluation_images_known(catalog: Catalog) -> None:
    add(catalog, *(image(name, f"/{name}") for name in "abc"))
    ids = ["c" * 32, "a" * 32]
    catalog.batches.add("0001", ids, ["train", "evaluation"], "2026-01-01T00:00:00")
    catalog.batches.add("0001", ids, ["train", "evaluation"], "2026-01-01T00:00:00")
    catalog.batches.add("0002", ["b" * 32], ["explore"], "2026-01-02T00:00:00")
    assert catalog.batches.read() == [
        Batch("0001", "2026-01-01T00:00:00", tuple(ids), ("train", "evaluation")),
        Batch("0002", "2026-01-02T00:00:00", ("b" * 32,), ("explore",)),
    ]
    assert unpack_ids(catalog.batches.picked_ids("evaluation")) == ["a" * 32]
    assert unpack_ids(catalog.batches.picked_ids()) == ["a" * 32, "b" * 32, "c" * 32]
    assert catalog.batches.ids() == ["0001", "0002"]
    assert catalog.counts() == Counts(3, 3, 0, 0, 2, 1)
    with pytest.raises(DataError, match="there is another batch 0001"):
        catalog.batches.add("0001", ids, ["train", "train"], "2026-01-03T00:00:00")


def test_a_transaction_that_fails_leaves_nothing(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    from activesel.catalog import catalog as module

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "add_sightings", fail)  # the last step of the transaction
    with pytest.raises(KeyboardInterrupt):
        add(catalog, image("a", "/1"))
    assert catalog.counts() == Counts(0, 0, 0, 0, 0, 0)


def test_nothing_to_add_is_no_error(catalog: Catalog) -> None:
    assert add(catalog) == 0
    catalog.add_labels([])
    catalog.add_quarantined([], "s")
    catalog.see_again({}, "s")
    assert catalog.images() == []


def tamper(place: CatalogPlace, *statements: str) -> None:
    engine = connect(place)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()


def test_a_newer_catalog_is_refused(catalog_place: CatalogPlace) -> None:
    Catalog.open(catalog_place).close()
    tamper(catalog_place, "UPDATE schema_version SET version = 99")
    with pytest.raises(DataError, match=r"written by a newer activesel; found schema version 99; .*upgrade"):
        Catalog.open(catalog_place)


def test_a_catalog_killed_while_it_was_made_is_made_whole(catalog_place: CatalogPlace) -> None:
    Catalog.open(catalog_place).close()
    tamper(catalog_place, "DELETE FROM schema_version", "DROP TABLE picks", "DROP TABLE labels")
    with Catalog.open(catalog_place) as catalog:
        assert catalog.counts() == Counts(0, 0, 0, 0, 0, 0)


def test_a_file_that_is_no_catalog(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    path.write_text("nothing that SQLite would have written" * 100)
    with pytest.raises(DataError, match="damaged or is no catalog"):
        Catalog.open(path)


def test_a_damaged_catalog(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    with Catalog.open(path) as catalog:
        add(catalog, *(ImageRow(f"{n:032x}", f"/{n}", 1, 1, "PNG") for n in range(5000)))
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xaa" * (len(content) - 8192)
    path.write_bytes(content)
    for read in (Catalog.images, Catalog.list_images):
        with pytest.raises(DataError, match="damaged or is no catalog"), Catalog.open(path) as catalog:
            read(catalog)


def test_no_folder_for_the_catalog(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="cannot use the catalog"):
        Catalog.open(tmp_path / "absent" / "catalog.sqlite")


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from activesel.catalog import connection as module

    Catalog.open(tmp_path / "catalog.sqlite").close()
    monkeypatch.setattr(module, "_SETTINGS", ("PRAGMA max_page_count = 40",))  # what SQLite then says is "full"
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        add(catalog, image("a", "/1"))
        rows = [ImageRow(f"{n:032x}", f"/{n}", 1, 1, "PNG") for n in range(5000)]
        with pytest.raises(UnreachableError, match=r"cannot use the catalog; found .*full; free some space"):
            add(catalog, *rows)
        assert catalog.images() == [image("a", "/1")]


def test_a_catalog_that_another_process_holds(
    catalog: Catalog, catalog_place: CatalogPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from activesel.catalog import connection as of_file
    from activesel.catalog import server as of_server

    monkeypatch.setattr(of_file, "_SETTINGS", ("PRAGMA busy_timeout = 50",))
    monkeypatch.setattr(of_server, "_WAIT_S", 0.05)
    holder = connect(catalog_place)
    with holder.connect() as other:
        if isinstance(catalog_place, Path):
            other.exec_driver_sql("BEGIN IMMEDIATE")
        of_server.wait_for_writers(other)
        with Catalog.open(catalog_place) as second, pytest.raises(LockedError, match="the catalog is in use"):
            add(second, image("a", "/1"))
        other.rollback()
    holder.dispose()
    assert catalog.images() == []


def test_what_many_images_share_is_parsed_once(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        (ImageRow(f"{n:032x}", f"/line/{n:07}.png", 64, 64, "PNG", {"lot": str(n % 100)}), STAMP) for n in range(2_000)
    ]
    catalog.add_images(rows, "s")
    parsed: list[str] = []
    real = json.loads
    monkeypatch.setattr(json, "loads", lambda text: parsed.append(text) or real(text))
    assert len(catalog.images()) == 2_000
    assert len(parsed) == len(set(parsed)) == 100
