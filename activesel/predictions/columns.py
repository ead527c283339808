"""Turn the columns of a predictions file into checked arrays; which image a row belongs to is matching's business."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from activesel.errors import DataError
from activesel.uncertainty import check_probs

CLASS_PREFIX = "p_"
ID_COLUMNS = ("image_id", "path")
SHAPE_COLUMNS = ("boxes", "box_probs", "box_names", "box_scores", "polygons", "polygon_names", "polygon_scores")
PROB_COLUMNS = ("probs", "mc_probs", "box_probs", "pixel_probs")
MAX_VALUES = 1_000_000_000  # numbers in one column; a small file can claim far more and unpack to it


def read_table(path: Path, *, shapes: bool = False) -> Any:
    """Return the columns we know of a Parquet or CSV file as a pyarrow table.

    shapes: those of boxes and polygons, with or without probabilities of the whole image.

    Raises:
        DataError: no such file, not Parquet or CSV, more numbers than memory should take, no usable column.
    """
    if not path.is_file():
        raise DataError("no such predictions file", where=str(path))
    read = _read_csv if path.suffix.lower() == ".csv" else _read_parquet
    table = read(path, (*ID_COLUMNS, *SHAPE_COLUMNS) if shapes else (*ID_COLUMNS, *PROB_COLUMNS, "boxes"))
    names = table.column_names
    if not any(name in names for name in ID_COLUMNS):
        raise DataError("no column says which image a row is for", where=str(path), expected="image_id or path")
    if not shapes and not any(name in PROB_COLUMNS or name.startswith(CLASS_PREFIX) for name in names):
        raise DataError("no column with predictions", where=str(path),
                        expected=f"{', '.join(PROB_COLUMNS)}, or one p_CLASS per class")  # fmt: skip
    return table


def holds_probabilities(path: Path) -> bool:
    """Tell whether a file has a column of probabilities, or may have: boxes alone are predictions, too."""
    import pyarrow
    import pyarrow.parquet

    if path.suffix.lower() == ".csv" or not path.is_file():
        return True
    try:
        names = pyarrow.parquet.read_schema(path).names
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError):
        return True  # whoever reads it says what is wrong
    return any(name in PROB_COLUMNS or name.startswith(CLASS_PREFIX) for name in names)


def _is_wanted(name: str, wanted: Sequence[str]) -> bool:
    return name in wanted or name.startswith(CLASS_PREFIX)


def _read_parquet(path: Path, wanted: Sequence[str]) -> Any:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            _check_size(file.metadata, path, wanted)
            table = file.read(columns=[name for name in file.schema_arrow.names if _is_wanted(name, wanted)])
        table.validate(full=True)
        return table
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise DataError("not a readable Parquet file", where=str(path), found=" ".join(str(error).split())[:160],
                        expected="Parquet, or CSV named .csv") from None  # fmt: skip


def _check_size(metadata: Any, path: Path, wanted: Sequence[str]) -> None:
    totals: dict[str, int] = {}
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(column)
            totals[chunk.path_in_schema] = totals.get(chunk.path_in_schema, 0) + chunk.num_values
    for name, total in totals.items():
        if _is_wanted(name.split(".")[0], wanted) and total > MAX_VALUES:
            raise DataError(f"column {name} is too large", where=str(path), found=f"{total} numbers",
                            expected=f"at most {MAX_VALUES}")  # fmt: skip


def _read_csv(path: Path, wanted: Sequence[str]) -> Any:
    import pyarrow
    import pyarrow.csv

    options = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(ID_COLUMNS, pyarrow.string()))
    try:
        table = pyarrow.csv.read_csv(path, convert_options=options)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError("not a readable CSV file", where=str(path), found=" ".join(str(error).split())[:160]) from None
    return table.select([name for name in table.column_names if _is_wanted(name, wanted)])


def read_names(table: Any, where: str) -> list[str | None]:
    """Return the image id, or where there is no such column the path, of every row."""
    column = next(name for name in ID_COLUMNS if name in table.column_names)
    if not _is_text(table.schema.field(column).type):
        raise DataError(f"column {column} is not text", where=where, found=str(table.schema.field(column).type))
    return list(table.column(column).to_pylist())


def read_probs(table: Any, where: str) -> tuple[npt.NDArray[np.float32] | None, tuple[str, ...] | None]:
    """Return (rows, c) probabilities and the class names, from `probs` or the p_CLASS columns; None where absent."""
    if "probs" in table.column_names:
        values, lengths = flatten_lists(table.column("probs"), f"{where}, column probs")
        n_classes = _one_length(lengths, f"{where}, column probs", "probabilities")
        probs = values.reshape(-1, n_classes)
    else:
        columns = [name for name in table.column_names if name.startswith(CLASS_PREFIX)]
        if not columns:
            return None, read_class_names(table, where)
        probs = np.stack([_as_floats(table.column(name), f"{where}, column {name}") for name in columns], axis=1)
    return check_probs(probs, table.num_rows, where), read_class_names(table, where)


def read_mc_probs(table: Any, where: str) -> npt.NDArray[np.float32] | None:
    """Return (rows, t, c) probabilities of t samples, or None where the column is absent."""
    if "mc_probs" not in table.column_names:
        return None
    where = f"{where}, column mc_probs"
    samples, n_samples = flatten_lists(table.column("mc_probs"), where, nested=True)
    t = _one_length(n_samples, where, "samples")
    values, lengths = flatten_lists(samples, where)
    c = _one_length(lengths, where, "probabilities")
    sampled = values.reshape(-1, t, c)
    for sample in range(t):
        check_probs(sampled[:, sample], None, f"{where}, sample {sample}")
    return np.asarray(sampled, dtype=np.float32)


def read_class_names(table: Any, where: str) -> tuple[str, ...] | None:
    """Return the names in the schema's metadata `classes` (JSON list), or of the p_CLASS columns, or None."""
    text = (table.schema.metadata or {}).get(b"classes")
    if text is None:
        columns = [name for name in table.column_names if name.startswith(CLASS_PREFIX)]
        found = [name.removeprefix(CLASS_PREFIX) for name in columns] if "probs" not in table.column_names else []
    else:
        try:
            found = json.loads(text)
        except ValueError:
            found = None
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found) or len(set(found)) < len(found):
        raise DataError("class names are not a list of different names", where=f"{where}, metadata classes",
                        found=str(text if text is not None else found)[:80],
                        expected='JSON such as ["crack", "free"]')  # fmt: skip
    return tuple(found) or None


def flatten_lists(column: Any, where: str, *, nested: bool = False) -> tuple[Any, npt.NDArray[np.int64]]:
    """Return the values of a list column end to end and the length of each row's list.

    nested: the values are lists themselves and come back as an arrow array; otherwise float64.
    """
    import pyarrow
    import pyarrow.compute

    array = column.combine_chunks() if isinstance(column, pyarrow.ChunkedArray) else column
    if isinstance(array, pyarrow.ChunkedArray):  # a column too long for one array
        raise DataError("too many numbers in one column", where=where)
    if not _is_list(array.type):
        raise DataError("not a list in every row", where=where, found=str(array.type), expected="list<float>")
    if array.null_count:
        raise DataError(
            "an empty cell", where=f"{where}, row {int(np.flatnonzero(array.is_null().to_numpy(False))[0])}"
        )
    lengths = pyarrow.compute.list_value_length(array).to_numpy(zero_copy_only=False).astype(np.int64)
    values = array.flatten()
    return (values if nested else _as_floats(values, where)), lengths


def _as_floats(values: Any, where: str) -> npt.NDArray[np.float64]:
    import pyarrow

    kind = values.type
    if not (pyarrow.types.is_floating(kind) or pyarrow.types.is_integer(kind)):
        raise DataError("not numbers", where=where, found=str(kind), expected="floats")
    if values.null_count:
        raise DataError("a missing number", where=where, found=f"{values.null_count} of them", expected="none")
    return np.asarray(values, dtype=np.float64)


def _one_length(lengths: npt.NDArray[np.int64], where: str, what: str) -> int:
    if len(lengths) == 0:
        raise DataError("no rows", where=where)
    odd = np.flatnonzero(lengths != lengths[0])
    if len(odd):
        raise DataError(f"a different number of {what}", where=f"{where}, row {odd[0]}", found=f"{lengths[odd[0]]}",
                        expected=f"{lengths[0]}, as in row 0")  # fmt: skip
    if lengths[0] == 0:
        raise DataError(f"no {what}", where=where, found="empty lists")
    return int(lengths[0])


def _is_list(kind: Any) -> bool:
    import pyarrow

    return bool(
        pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind) or pyarrow.types.is_fixed_size_list(kind)
    )


def _is_text(kind: Any) -> bool:
    import pyarrow

    return bool(
        pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind) or pyarrow.types.is_dictionary(kind)
    )
