"""Events and dead letters in the catalog, each once, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from activesel.catalog import Catalog, FileStamp
from activesel.records import CatalogPlace, DeadLetter, Event, ImageRow

NOW = "2026-11-24T12:00:00.000000+00:00"
FIRST = Event("/line3", "1", "operator.override", "a" * 32, "", "2026-11-23T14:00:00.000000+00:00", NOW,
              {"operator_verdict": "grün", "score": 0.25})  # fmt: skip
SECOND = replace(FIRST, id="2", type="rework.result", image_id="photos/a.png", data={})
PREDICTED = replace(FIRST, id="3", type="prediction.made", prediction_id="p1")
LETTER = DeadLetter("ga4", "no reason", NOW, '{"a":"\\u00e4"}')


@pytest.fixture
def catalog(catalog_place: CatalogPlace) -> Iterator[Catalog]:
    with Catalog.open(catalog_place) as found:
        yield found


def test_events_come_back_as_they_were_and_once(catalog: Catalog) -> None:
    stored = catalog.events.add([FIRST, SECOND, FIRST], [LETTER, LETTER])
    assert (stored.n_new, stored.n_dead) == (2, 1)
    again = catalog.events.add([replace(FIRST, data={}), replace(FIRST, source="/line4")], [LETTER])
    assert (again.n_new, again.n_dead) == (1, 0), "known by source and id together; the first that came counts"
    assert list(catalog.events.read()) == [FIRST, SECOND, replace(FIRST, source="/line4")]
    assert list(catalog.events.read(["rework.result"])) == [SECOND]
    assert [replace(one, letter_id=0) for one in catalog.events.dead_letters()] == [LETTER]


def test_nothing_is_added(catalog: Catalog) -> None:
    assert catalog.events.add([]).n_new == 0
    assert list(catalog.events.read()) == []
    assert catalog.events.counts().by_type == {}


def test_reading_goes_on_over_its_parts(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activesel.catalog.events._PART_ROWS", 3)
    catalog.events.add([replace(FIRST, id=str(i)) for i in range(7)])
    assert [one.id for one in catalog.events.read()] == list("0123456")


def test_the_newest_dead_letters_are_kept(catalog: Catalog) -> None:
    for i in range(5):
        catalog.events.add([], [replace(LETTER, payload=str(i))], most_dead=3)
    assert [one.payload for one in catalog.events.dead_letters()] == ["2", "3", "4"]


def test_a_forgiven_letter_is_an_event(catalog: Catalog) -> None:
    catalog.events.add([], [LETTER, replace(LETTER, payload="x")])
    first, _ = catalog.events.dead_letters()
    assert catalog.events.forgive([first], [FIRST]).n_new == 1
    assert [one.payload for one in catalog.events.dead_letters()] == ["x"]
    assert list(catalog.events.read()) == [FIRST]


def test_counts_know_which_images_are_here(catalog: Catalog) -> None:
    catalog.add_images([(ImageRow("a" * 32, "/photos/a.png", 8, 8, "png", {}), FileStamp(1, 1))], "photos")
    named = [replace(FIRST, id=str(i), image_id=name) for i, name in enumerate(("/photos/a.png", "later", ""), 5)]
    catalog.events.add([FIRST, PREDICTED, *named], [LETTER])
    counts = catalog.events.counts()
    assert counts.by_type == {"operator.override": 4, "prediction.made": 1}
    assert (counts.n_images, counts.n_unknown) == (3, 1)
    assert counts.dead == {"no reason": 1}
    assert counts.first == counts.last == FIRST.time


def test_a_prediction_tells_its_image(catalog: Catalog) -> None:
    catalog.events.add([PREDICTED, replace(PREDICTED, id="4", prediction_id="p2", image_id="")])
    assert catalog.events.images_of_predictions(["p1", "p2", "p3"]) == {"p1": "a" * 32}
    assert catalog.events.images_of_predictions([]) == {}
