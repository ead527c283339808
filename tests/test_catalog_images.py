"""Images as columns say what images as rows say, whatever the metadata."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activesel.catalog import Catalog, Column, FileStamp, Images, make_column
from activesel.catalog import listing as listing_module
from activesel.ids import pack_ids
from activesel.records import CatalogPlace, ImageRow, Label

STAMP = FileStamp(10, 20)
# Names and values that a reader of JSON could take for something else, or stumble over.
TEXTS = ["a", "ä", "日本", "2024-01-02", "2024-01-02T03:04:05Z", "12", "-1.5e3", "true", "null", "{}", '"', "\\", "\n",
         "\u2028", "\u0000", "x" * 5000, "🔩"]  # fmt: skip
metas = st.dictionaries(st.sampled_from(TEXTS), st.sampled_from(TEXTS), max_size=3)


@pytest.fixture
def catalog(catalog_place: CatalogPlace) -> Iterator[Catalog]:
    with Catalog.open(catalog_place) as opened:
        yield opened


def fill(catalog: Catalog, all_meta: list[dict[str, str]], source: str = "s") -> None:
    """Add images in no order; every third has a second, earlier path."""
    rows = []
    for i, meta in enumerate(all_meta):
        image_id = f"{i * 2654435761 % 2**128:032x}"
        rows.append((ImageRow(image_id, f"/m/{i}.png", 64 + i, 48, "PNG", meta), STAMP))
        if i % 3 == 0:
            rows.append((ImageRow(image_id, f"/a/ä {i}.png", 64 + i, 48, "PNG", meta), STAMP))
    catalog.add_images(rows, source)


def texts_of(column: Column) -> list[str | None]:
    return [column.values[code] if code >= 0 else None for code in column.codes]


def check_columns(catalog: Catalog, source: str | None = None) -> None:
    """Everything that columns say is what the rows say."""
    rows, images = catalog.images(source), catalog.list_images(source)
    everything = np.arange(len(rows))
    assert images.names() == [row.image_id for row in rows]
    assert images.take(everything[::-1]) == rows[::-1]
    assert images.paths.take(everything) == [row.path.encode() for row in rows]
    assert list(images.columns()) == sorted({name for row in rows for name in row.meta})
    for name, column in images.columns().items():
        assert texts_of(column) == [row.meta.get(name) for row in rows]
        assert list(column.values) == sorted({row.meta[name] for row in rows if name in row.meta})
    assert images.find(images.ids).tolist() == everything.tolist()


def test_columns_say_what_rows_say(
    new_place: Callable[[], CatalogPlace], catalog_place: CatalogPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_examples = 40 if isinstance(catalog_place, Path) else 6  # a file is made in no time, twelve tables are not

    @settings(deadline=None, max_examples=n_examples)
    @given(st.lists(metas, min_size=1, max_size=12), st.integers(1, 5))
    def check(all_meta: list[dict[str, str]], part: int) -> None:
        monkeypatch.setattr(listing_module, "_PART_ROWS", part)
        with Catalog.open(new_place()) as catalog:
            fill(catalog, all_meta)
            check_columns(catalog)
            check_columns(catalog, "s")

    check()


def test_an_empty_catalog(catalog: Catalog) -> None:
    check_columns(catalog)
    images = catalog.list_images()
    assert (len(images), images.columns(), images.names()) == (0, {}, [])
    assert images.find(pack_ids(["0" * 32])).tolist() == [-1]


def test_one_source_of_two(catalog: Catalog) -> None:
    fill(catalog, [{"lot": str(i)} for i in range(10)])
    rows = catalog.images()
    more = [ImageRow(rows[i].image_id, f"/z/{i}.png", 1, 1, "PNG", {}) for i in (2, 5)]
    new = ImageRow("f" * 32, "/z/new.png", 1, 1, "PNG", {"only": "here"})
    catalog.add_images([(row, STAMP) for row in (*more, new)], "z")
    for source in (None, "s", "z", "nowhere"):
        check_columns(catalog, source)
    assert list(catalog.list_images("z").columns()) == ["lot", "only"]


def test_an_image_without_a_file_is_none(catalog: Catalog) -> None:
    fill(catalog, [{"gone": "yes"}, {"lot": "1"}])
    images = catalog.list_images()
    gone = images.take(np.array([0]))[0]
    catalog.add_images([(ImageRow("e" * 32, path, 1, 1, "PNG"), STAMP) for path in ("/m/0.png", "/a/ä 0.png")], "s")
    check_columns(catalog)
    assert list(catalog.list_images().columns()) == ["lot"]
    # The list from before the file changed still stands; what it asks for now is not there any more.
    assert images.take(np.array([0])) == [ImageRow(gone.image_id, "", 0, 0, "")]
    assert images.paths.take(np.arange(2))[0] == b""


def test_some_of_the_images(catalog: Catalog) -> None:
    fill(catalog, [{"lot": str(i % 3)} for i in range(9)])
    rows, some = catalog.images(), catalog.list_images().keep(np.array([1, 4, 8]))
    assert some.take(np.arange(3)) == [rows[i] for i in (1, 4, 8)]
    assert some.paths.take(np.array([2, 0])) == [rows[i].path.encode() for i in (8, 1)]
    assert texts_of(some.column("lot")) == [rows[i].meta["lot"] for i in (1, 4, 8)]
    assert some.find(catalog.list_images().ids).tolist() == [-1, 0, -1, -1, 1, -1, -1, -1, 2]


def test_columns_of_few_values(catalog: Catalog) -> None:
    fill(catalog, [{"lot": str(i), "line": str(i % 2)} for i in range(9)])
    assert list(catalog.list_images().columns(most_values=2)) == ["line"]
    assert list(catalog.list_images().columns(most_values=9)) == ["line", "lot"]


def test_a_column_by_hand() -> None:
    column = make_column(["b", None, "a", "b"])
    assert (column.codes.tolist(), column.values) == ([1, -1, 0, 1], ("a", "b"))
    assert column.meets(["b", "z"]).tolist() == [True, False, False, True]
    assert make_column([None]).meets(["a"]).tolist() == [False]
    assert make_column([]).meets(["a"]).tolist() == []


def test_the_last_label_counts_in_columns_too(catalog: Catalog) -> None:
    fill(catalog, [{}] * 6)
    ids = catalog.list_images().names()
    catalog.add_labels([Label(ids[i], name, "1") for i, name in ((5, "ok"), (0, "crack"), (3, "pit"))])
    catalog.add_labels([Label(ids[5], "fray", "2"), Label(ids[0], "ok", "2")])
    assert catalog.labels_of(ids) == {ids[0]: "ok", ids[3]: "pit", ids[5]: "fray"}
    catalog.add_labels([Label(ids[5], "crack", "1")])
    table = catalog.label_columns()
    named = dict(zip(catalog.list_images().keep(catalog.list_images().find(table.ids)).names(),
                     (table.names[code] for code in table.codes), strict=True))  # fmt: skip
    assert named == {image_id: label.name for image_id, label in catalog.labels().items()}
    assert table.names == ("crack", "ok", "pit"), "nobody says fray any more"
    assert catalog.labels_of([ids[5], ids[1]]) == {ids[5]: "crack"}
    assert named == {ids[0]: "ok", ids[3]: "pit", ids[5]: "crack"}


def test_no_label_and_no_batch(catalog: Catalog) -> None:
    assert catalog.label_columns().ids.shape == catalog.batches.picked_ids().shape == (0, 16)
    assert (catalog.label_columns().names, catalog.batches.ids(), catalog.batches.counts()) == ((), [], [])


def test_batches_are_counted(catalog: Catalog) -> None:
    fill(catalog, [{}] * 6)
    ids = catalog.list_images().names()
    catalog.add_labels([Label(ids[i], "ok", source) for i in (0, 1) for source in "xy"])
    catalog.batches.add("0001", ids[:4], ["train", "explore", "train", "evaluation"], "2026-01-02")
    catalog.batches.add("0002", ids[4:], ["train"] * 2, "2026-01-01")
    second, first = catalog.batches.counts()
    assert (first.batch_id, first.created, first.n_labelled) == ("0001", "2026-01-02", 2)
    assert first.n_by_kind == {"train": 2, "explore": 1, "evaluation": 1}
    assert (second.batch_id, second.n_by_kind, second.n_labelled) == ("0002", {"train": 2}, 0)


def test_metadata_is_read_once(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(catalog, [{"lot": "1"}])
    images = catalog.list_images()
    images.column("lot")
    monkeypatch.setattr(Images, "_read", lambda _: pytest.fail("read again"))
    assert images.column("lot").values == ("1",)
    assert images.column("line").values == ()


def test_reading_many_makes_no_object_for_each(catalog: Catalog) -> None:
    """A million images would be a gigabyte of them; here 8,000, of which no more than a part is in memory at once."""
    import tracemalloc

    catalog.add_images([(ImageRow(f"{i:032x}", f"/line/{i:07}.png", 1, 1, "PNG",
                                  json.loads(f'{{"part": "{i}", "lot": "{i % 9}"}}')), STAMP) for i in range(8_000)],
                       "s")  # fmt: skip
    listing_module_rows, listing_module._PART_ROWS = listing_module._PART_ROWS, 400
    try:
        tracemalloc.start()
        images = catalog.list_images()
        images.columns(most_values=100)
        paths = images.paths
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        listing_module._PART_ROWS = listing_module_rows
    assert len(paths) == 8_000
    assert peak < 2.4e6, "300 bytes an image, parts included; rows with a dictionary each take 1,000"
