"""Opinions: their key, their shapes as text, and what the catalog keeps of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa

from activesel.annotations import (
    Annotation,
    Box,
    LabelState,
    Mask,
    Polygon,
    Resolution,
    Role,
    Task,
    shapes_from_json,
    shapes_to_json,
)
from activesel.catalog import Catalog
from activesel.catalog.annotations import Added, Withdrawn
from activesel.catalog.connection import connect
from activesel.catalog.writing import FileStamp
from activesel.records import CatalogPlace, ImageRow, Label

SHAPES = (
    Box("crack", 1.5, 2, 30, 40.25, 0.5),
    Polygon("pit", ((0, 0), (4.5, 0), (4, 3))),
    Mask("pit", 2, 3, 4, 1, (1, 2, 1)),
)


@pytest.fixture
def catalog(catalog_place: CatalogPlace) -> Iterator[Catalog]:
    found = Catalog.open(catalog_place)
    rows = [ImageRow(f"{i:032x}", f"/images/{i}.png", 64, 48, "PNG") for i in range(4)]
    found.add_images([(row, FileStamp(1, 1)) for row in rows], "images")
    yield found
    found.close()


def opinion(i: int = 0, annotator: str = "ann", name: str | None = "crack", **more: object) -> Annotation:
    return Annotation(f"{i:032x}", annotator, name=name, **more)  # type: ignore[arg-type]


def test_shapes_survive_as_text() -> None:
    assert shapes_from_json(shapes_to_json(SHAPES)) == SHAPES
    assert shapes_from_json(shapes_to_json(())) == ()


def test_key_is_the_tools_id_else_what_was_said() -> None:
    with_id = opinion(source="tool", external_id="17")
    assert with_id.key == replace(with_id, name="pit", lead_time_s=3.0).key
    assert with_id.key != replace(with_id, external_id="18").key
    assert opinion().key == opinion(lead_time_s=3.0, source="elsewhere").key
    assert opinion().key != opinion(shapes=SHAPES).key
    assert len({opinion().key, opinion(1).key, opinion(annotator="bob").key, opinion(name=None).key}) == 4


def test_opinions_are_kept_as_given_and_once(catalog: Catalog) -> None:
    given = [opinion(), opinion(1, "bob", None, shapes=SHAPES, role=Role.expert, lead_time_s=2.5, created="2026-01-01",
                     note="by the rim"),
             opinion(2, skipped="too dark", name=None, source="tool", external_id="3")]  # fmt: skip
    assert catalog.annotations.add(given) == Added(3, 0, 0)
    assert catalog.annotations.add(given) == Added(0, 0, 3)
    assert catalog.annotations.read() == given
    assert catalog.annotations.read([given[1].image_id]) == [given[1]]
    mended = replace(given[2], name="pit", skipped="")
    assert catalog.annotations.add([mended]) == Added(0, 1, 0)
    assert catalog.annotations.read([mended.image_id]) == [mended]


def test_an_opinion_about_an_unknown_image_leaves_nothing(catalog: Catalog) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        catalog.annotations.add([opinion(), opinion(99)])
    assert catalog.annotations.read() == []


def test_what_counts_is_the_newest_label_and_can_be_taken_back(catalog: Catalog) -> None:
    ids = [f"{i:032x}" for i in range(3)]
    catalog.add_labels([Label(ids[0], "good", "labels.csv")])
    resolved = [Resolution(ids[0], "crack", LabelState.agreed, 0.97, "consensus"),
                Resolution(ids[1], None, LabelState.raw), Resolution(ids[2], "pit", LabelState.rejected)]  # fmt: skip
    catalog.annotations.resolve(resolved)
    assert list(catalog.annotations.resolutions().values()) == resolved
    assert {i: one.name for i, one in catalog.labels().items()} == {ids[0]: "crack"}
    catalog.annotations.resolve([Resolution(ids[0], None, LabelState.raw)])
    assert {i: one.name for i, one in catalog.labels().items()} == {ids[0]: "good"}


def test_tasks_of_a_batch_are_replaced_whole(catalog: Catalog) -> None:
    first = [Task("0001", f"{i:032x}", "crowd", 1 + i, i > 1, i == 0, "shown") for i in range(3)]
    catalog.annotations.assign("0001", first)
    catalog.annotations.assign("0002", [Task("0002", f"{0:032x}")])
    catalog.annotations.assign("0001", first[:2])
    assert catalog.annotations.tasks("0001") == first[:2]
    assert len(catalog.annotations.tasks()) == 3


def test_a_catalog_of_version_1_is_brought_along(catalog_place: CatalogPlace) -> None:
    Catalog.open(catalog_place).close()
    engine = connect(catalog_place)
    with engine.begin() as connection:
        for table in ("annotations", "resolutions", "tasks"):
            connection.execute(sa.text(f"DROP TABLE {table}"))
        connection.execute(sa.text("UPDATE schema_version SET version = 1"))
    engine.dispose()
    with Catalog.open(catalog_place) as catalog:
        assert catalog.annotations.read() == []
    with Catalog.open(catalog_place) as catalog:
        assert catalog.counts().n_images == 0


def test_what_is_withdrawn_is_kept_and_counts_no_more(catalog: Catalog) -> None:
    first, second = opinion(created="2026-01-01", shapes=SHAPES), opinion(1)
    catalog.annotations.add([first, second], place="a")
    assert catalog.annotations.keys_at("a") == {first.key: first.image_id, second.key: second.image_id}
    counting = [
        Resolution(first.image_id, "crack", LabelState.agreed),
        Resolution(second.image_id, "pit", LabelState.raw),
    ]
    catalog.annotations.resolve(counting)
    for n in (1, 0):  # again, after a crash
        assert catalog.annotations.withdraw([first.key], lambda _some, _now: [], at="2026-02-01", why="deleted") == n
    assert catalog.annotations.read() == [second]
    assert catalog.annotations.withdrawn() == [Withdrawn(first, "2026-02-01", "deleted")]
    assert catalog.annotations.keys_at("a") == {second.key: second.image_id}
    assert catalog.annotations.resolutions()[first.image_id] == Resolution(first.image_id, None, LabelState.raw)
    assert catalog.labels()[second.image_id].name == "pit"
    assert first.image_id not in catalog.labels()
    assert catalog.annotations.add([first]) == Added(0, 0, 1), "an older file"
    assert catalog.annotations.add([first], place="a") == Added(1, 0, 0)
    assert catalog.annotations.withdrawn() == []


def test_a_catalog_of_version_3_is_brought_along(catalog_place: CatalogPlace) -> None:
    Catalog.open(catalog_place).close()
    engine = connect(catalog_place)
    with engine.begin() as connection:
        for statement in ("DROP TABLE withdrawn", "DROP TABLE tool_answers", "UPDATE schema_version SET version = 3"):
            connection.execute(sa.text(statement))
    engine.dispose()
    with Catalog.open(catalog_place) as catalog:
        assert (catalog.annotations.withdrawn(), catalog.annotations.keys_at("a")) == ([], {})
