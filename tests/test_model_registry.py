"""The registry: models, their aliases, and a log that only grows, on both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from activesel.catalog import Catalog
from activesel.errors import DataError
from activesel.models import Alias, Decision, ModelCard
from activesel.records import CatalogPlace

FIRST = ModelCard("0" * 12, "head", "abc", ("free", "crack"), "free", 7, "2026-01-01", {"rate": 0.5}, {"a": "b"})
SECOND = ModelCard("1" * 12, "head", "abd", ("free", "crack"), None, 7, "2026-01-02")


def promotion(challenger: str, champion: str | None) -> Decision:
    return Decision("promote", challenger, champion, "done", "better by .03", "2026-01-03", "set", 2, {"gain": 0.03})


@pytest.fixture
def catalog(catalog_place: CatalogPlace) -> Iterator[Catalog]:
    found = Catalog.open(catalog_place)
    for card in (SECOND, FIRST):
        assert found.models.register(card)
    yield found
    found.close()


def test_a_model_comes_back_as_it_was_registered(catalog: Catalog) -> None:
    assert catalog.models.cards() == [FIRST, SECOND]


def test_a_model_that_is_known_stays_as_it_is(catalog: Catalog) -> None:
    assert not catalog.models.register(ModelCard(FIRST.model_id, "other", "x", ("a",), None, 1, "2027-01-01"))
    assert catalog.models.cards()[0] == FIRST


def test_promotion_moves_both_aliases_and_is_logged(catalog: Catalog) -> None:
    first = promotion(FIRST.model_id, None)
    assert catalog.models.promote(first)
    catalog.models.name(Alias.challenger, SECOND.model_id)
    second = promotion(SECOND.model_id, FIRST.model_id)
    assert catalog.models.promote(second)
    assert catalog.models.aliases() == {Alias.champion: SECOND.model_id, Alias.previous: FIRST.model_id}
    assert catalog.models.decisions() == [first, second]


def test_the_same_promotion_again_changes_nothing(catalog: Catalog) -> None:
    catalog.models.promote(promotion(FIRST.model_id, None))
    assert not catalog.models.promote(promotion(FIRST.model_id, None))
    assert len(catalog.models.decisions()) == 1


def test_a_promotion_over_another_champion_is_refused(catalog: Catalog) -> None:
    catalog.models.promote(promotion(FIRST.model_id, None))
    with pytest.raises(DataError, match="the champion has changed meanwhile; found 000000000000; expected none"):
        catalog.models.promote(promotion(SECOND.model_id, None))
    assert catalog.models.aliases() == {Alias.champion: FIRST.model_id}
    assert len(catalog.models.decisions()) == 1


def test_a_verdict_is_logged_without_moving_anything(catalog: Catalog) -> None:
    held = Decision("gate", SECOND.model_id, FIRST.model_id, "hold", "too few defects", "2026-01-03", "set", 1)
    catalog.models.log(held)
    assert catalog.models.decisions() == [held]
    assert catalog.models.aliases() == {}
