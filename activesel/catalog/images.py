"""The images of a catalog as columns: a million ids in memory, everything else read when somebody asks for it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from activesel.catalog import listing
from activesel.catalog.connection import connect, translate_errors
from activesel.catalog.listing import Texts
from activesel.ids import IdArray, find_ids, unpack_ids
from activesel.records import BoolArray, CatalogPlace, ImageRow, IntArray

_BLOCK_BYTES = 1 << 22  # of JSON that one thread parses


@dataclass(frozen=True)
class Column:
    """One column of text of n images. codes: (n,) int32 into values, -1 = none. values: sorted, each in use."""

    codes: npt.NDArray[np.int32]
    values: tuple[str, ...]

    def meets(self, wanted: Sequence[str]) -> BoolArray:
        """Return (n,) whether each image has one of the wanted values."""
        allowed = np.array([value in wanted for value in self.values] + [False])  # the last for code -1
        return allowed[self.codes]


def make_column(texts: Sequence[str | None]) -> Column:
    """Return the column of the texts, one per image; None = none."""
    values = tuple(sorted({text for text in texts if text is not None}))
    index: dict[str | None, int] = {value: code for code, value in enumerate(values)}
    return Column(np.array([index.get(text, -1) for text in texts], np.int32), values)


def order_column(codes: IntArray, values: Sequence[str]) -> Column:
    """Return the column of codes (n,) into values in any order; -1 = none. What no image has is left out."""
    used = np.unique(codes[codes >= 0])
    ordered = sorted(used.tolist(), key=lambda code: values[code])
    rank = np.full(len(values) + 1, -1, np.int32)  # the last for code -1
    rank[ordered] = np.arange(len(ordered), dtype=np.int32)
    return Column(rank[codes], tuple(values[code] for code in ordered))


@dataclass(frozen=True)
class Images:
    """Images of a catalog, or of one of its sources, in the order of their ids.

    ids: (n, 16) bytes, ascending. Whatever else is asked for is read then: an image that left the catalog since has
    an empty path and no metadata. Catalog.list_images makes one.
    """

    place: CatalogPlace
    source: str | None
    ids: IdArray

    def __len__(self) -> int:
        return len(self.ids)

    def keep(self, rows: IntArray | BoolArray) -> Images:
        """Return some of the images; rows ascend."""
        return replace(self, ids=self.ids[rows])

    def find(self, image_ids: IdArray) -> npt.NDArray[np.int64]:
        """Return the row of each id (m, 16): (m,), -1 where it is not among these images."""
        return find_ids(self.ids, image_ids)

    def names(self, rows: IntArray | None = None) -> list[str]:
        """Return the ids as text, of all images or of some."""
        return unpack_ids(self.ids if rows is None else self.ids[rows])

    def take(self, rows: IntArray) -> list[ImageRow]:
        """Return some images in full, in the order of ``rows``."""
        wanted = self.names(rows)
        with self._read() as connection:
            details = listing.read_details(connection, self.source, self.ids[rows])
            found = {row.image_id: ImageRow(**row._asdict() | {"meta": json.loads(row.meta)}) for row in details}
        return [found.get(image_id) or ImageRow(image_id, "", 0, 0, "") for image_id in wanted]

    @cached_property
    def paths(self) -> Texts:
        """The path of every image: the first by name in the source, or of all; read once."""
        with self._read() as connection:
            return listing.read_first_paths(connection, self.source, self.ids)

    def column(self, name: str) -> Column:
        """Return a column of the metadata; one that no image has is empty."""
        if name not in self._metadata:
            return Column(np.full(len(self), -1, np.int32), ())
        return _order_values(*self._metadata[name])

    def columns(self, most_values: int | None = None) -> dict[str, Column]:
        """Return the columns of the metadata by name, sorted; those with up to ``most_values`` different values."""
        narrow = (name for name, (_, values) in self._metadata.items() if len(values) <= (most_values or len(self)))
        return {name: self.column(name) for name in sorted(narrow)}

    @cached_property
    def _metadata(self) -> Mapping[str, tuple[npt.NDArray[np.int32], Any]]:
        """Column -> (codes, their values as an arrow array in no order), read once."""
        with self._read() as connection:
            return _parse_metadata(listing.read_metadata(connection, self.ids), len(self))

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        engine = connect(self.place)
        try:
            with translate_errors(self.place), engine.begin() as connection:
                yield connection
        finally:
            engine.dispose()


def _parse_metadata(
    parts: Iterator[tuple[npt.NDArray[np.int64], list[str]]], n: int
) -> dict[str, tuple[npt.NDArray[np.int32], Any]]:
    """Turn JSON objects of text into columns of codes; arrow keeps the values, so no image costs a Python object."""
    import pyarrow as pa

    rows: dict[str, list[npt.NDArray[np.int64]]] = {}
    chunks: dict[str, list[Any]] = {}
    for at, texts in parts:
        for name, column in _read_objects(texts, tuple(chunks)).items():
            rows.setdefault(name, []).append(at)
            chunks.setdefault(name, []).append(column.dictionary_encode())
    found = {}
    for name, parts_of in chunks.items():
        whole = pa.chunked_array([part for column in parts_of for part in column.chunks]).unify_dictionaries()
        codes = np.full(n, -1, np.int32)
        of_chunks = [chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in whole.chunks]
        codes[np.concatenate(rows[name])] = np.concatenate(of_chunks)
        if (codes >= 0).any():
            found[name] = (codes, whole.chunks[0].dictionary)
    return found


def _read_objects(texts: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """Return the columns of one JSON object a text, as arrow strings; ``names``: those known of from earlier parts."""
    import pyarrow as pa
    from pyarrow import json as arrow_json

    if not any(len(text) > 2 for text in texts):
        return {}
    content = pa.py_buffer("\n".join(texts).encode())
    block = max(_BLOCK_BYTES, 8 * max(map(len, texts)))  # a block holds every line whole, four bytes a character

    def read(names: Sequence[str]) -> Any:
        schema = pa.schema([(name, pa.string()) for name in names])
        options = arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="infer")
        return arrow_json.read_json(pa.BufferReader(content), arrow_json.ReadOptions(block_size=block), options)

    table = read(names)
    if any(field.type != pa.string() for field in table.schema):  # what looks like a time was taken for one
        table = read(table.column_names)
    return {name: table.column(name) for name in table.column_names}


def _order_values(codes: npt.NDArray[np.int32], values: Any) -> Column:
    import pyarrow.compute

    order = pyarrow.compute.array_sort_indices(values).to_numpy(zero_copy_only=False)
    rank = np.full(len(order) + 1, -1, np.int32)  # the last for code -1
    rank[order] = np.arange(len(order), dtype=np.int32)
    return Column(rank[codes], tuple(values.take(order).to_pylist()))
