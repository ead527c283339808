"""Find the images a user means: a folder, a glob, a CSV or Parquet manifest, a COCO file. Opens no image."""

from __future__ import annotations

import csv
import fnmatch
import glob
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from activesel.errors import ConfigError, DataError
from activesel.images import IMAGE_SUFFIXES

_COCO_NOT_METADATA = frozenset({"id", "file_name", "width", "height", "license", "coco_url", "flickr_url"})
_EXPECTED = "a folder, a glob such as 'line4/**/*.png', a .csv or .parquet manifest, or a COCO .json"


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """One file that may be an image."""

    path: Path  # absolute
    meta: Mapping[str, str] = field(default_factory=dict)
    label: str | None = None


@dataclass(frozen=True)
class Source:
    """The files of one source, in an order that depends on nothing but their names.

    name: the source as an absolute path or glob. root: the folder that relative paths start from.
    annotations: the COCO file whose annotations label these images (activesel.labels reads it), or None.
    n_unmatched: entries whose path does not fit the path pattern.
    """

    name: str
    root: Path
    entries: tuple[SourceEntry, ...]
    annotations: Path | None = None
    n_unmatched: int = 0


def read_source(source: str, *, path_pattern: str | None = None, labels_from_folders: bool = False) -> Source:
    """List the images of ``source``; docs/formats_input.md has the schemas.

    path_pattern: as in "{line}/{station}/{part}_{time}.png", compared with each path below the root; its names become
    metadata, and a manifest's column of the same name wins. labels_from_folders: in a folder or glob, the folder that
    an image lies in is its label; images at the root have none.

    Raises:
        DataError: the source is missing, empty, or not as its schema wants it. ConfigError: a bad pattern.
    """
    fields = compile_pattern(path_pattern) if path_pattern else None
    found = _list_entries(source)
    if labels_from_folders:
        found = replace(found, entries=tuple(_label_by_folder(entry, found.root) for entry in found.entries))
    return _match_paths(found, fields) if fields else found


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Turn "{line}/{part}_{time}.png" into a regular expression; a field takes as little as fits, never a slash.

    >>> compile_pattern("{line}/{part}_{time}.png").match("L4/a_1_2.png").groupdict()
    {'line': 'L4', 'part': 'a', 'time': '1_2'}

    Raises:
        ConfigError: no field, a name twice or that is no identifier, two fields with nothing between, a lone brace.
    """
    segments = [_compile_segment(segment, pattern) for segment in pattern.strip("/").split("/")]
    names = re.findall(r"{(.*?)}", pattern)
    if not names or len(set(names)) < len(names):
        raise _bad_pattern(pattern, "no field" if not names else "the same field twice")
    return re.compile("/".join(segments) + r"\Z")


def _compile_segment(segment: str, pattern: str) -> str:
    """Compile what stands between two slashes; all fields but the last are atomic, so matching stays linear."""
    parts: list[str] = re.split(r"{(.*?)}", segment)
    literals, names = parts[::2], parts[1::2]
    if any("{" in text or "}" in text for text in literals):
        raise _bad_pattern(pattern, "a lone brace")
    if not all(name.isidentifier() for name in names):
        raise _bad_pattern(pattern, "a field name that is no identifier")
    if not all(literals[1:-1]):
        raise _bad_pattern(pattern, "two fields with nothing between them")
    fields = [rf"(?P<{name}>[^/]+?){re.escape(after)}" for name, after in zip(names, literals[1:], strict=True)]
    atomic = [f"(?>{text})" for text in fields[:-1]]
    return re.escape(literals[0]) + "".join(atomic + [f"{text}(?=/|\\Z)" for text in fields[-1:]])


def _bad_pattern(pattern: str, found: str) -> ConfigError:
    return ConfigError("bad path pattern", where="ingest.path_pattern", found=f"{found} in {pattern!r}",
                       expected='folders and fields such as "{line}/{station}/{part}_{time}.png"')  # fmt: skip


def _match_paths(source: Source, fields: re.Pattern[str]) -> Source:
    entries, n_unmatched = [], 0
    for entry in source.entries:
        match = fields.match(_below(entry.path, source.root))
        n_unmatched += match is None
        entries.append(replace(entry, meta={**match.groupdict(), **entry.meta}) if match else entry)
    return replace(source, entries=tuple(entries), n_unmatched=n_unmatched)


def _below(path: Path, root: Path) -> str:
    """Return the path below the root with forward slashes, or the whole path where it lies elsewhere."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _label_by_folder(entry: SourceEntry, root: Path) -> SourceEntry:
    return entry if entry.label or entry.path.parent == root else replace(entry, label=entry.path.parent.name)


def _absolute(path: str | Path, folder: Path | None = None) -> Path:
    """Make a path absolute without following links, so that it stays the one the user knows."""
    return Path(os.path.abspath(Path(folder or Path.cwd(), path)))  # noqa: PTH100 - resolve() would follow links


def _name(path: Path) -> str:
    """Return a path as text that can be stored, also where a file system's bytes are not UTF-8."""
    return os.fsencode(path).decode("utf8", errors="replace")


def _list_entries(source: str) -> Source:
    path = _absolute(source)
    if path.is_dir():
        return _source_of_files(_name(path), path, _walk(str(path), set()), "no image in this folder or below it")
    if path.is_file():
        return _read_manifest(path)
    if glob.has_magic(source):
        root = _absolute(re.split(r"[*?\[]", source, maxsplit=1)[0] + "x").parent
        return _source_of_files(_name(path), root, _expand_glob(str(path), str(root)), "no image fits this glob")
    raise DataError("no such folder or file", where=source, expected=_EXPECTED)


def _source_of_files(name: str, root: Path, files: Iterable[str], complaint: str) -> Source:
    entries = tuple(SourceEntry(Path(file)) for file in sorted(files))
    if not entries:
        raise DataError(complaint, where=name, expected="files ending in " + ", ".join(sorted(IMAGE_SUFFIXES)))
    return Source(name, root, entries)


def _is_image_name(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122 - 5x faster


def _walk(folder: str, visited: set[tuple[int, int]]) -> Iterator[str]:
    """Yield the images below a folder, each folder once however many links lead to it; hidden names are left out."""
    try:
        status = os.stat(folder)  # noqa: PTH116 - strings, because there may be millions
        if (status.st_dev, status.st_ino) in visited:
            return
        visited.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
        # Real folders first: a file has the path without a link in it, if there is one.
        folders = sorted((entry for entry in entries if entry.is_dir()), key=lambda entry: entry.is_symlink())
    except OSError as error:
        raise DataError("cannot list the folder", where=folder, found=error.strerror or str(error)) from None
    names = {entry.name for entry in folders}
    yield from (entry.path for entry in entries if entry.name not in names and _is_image_name(entry.name))
    for entry in folders:
        if not entry.name.startswith("."):
            yield from _walk(entry.path, visited)


def _expand_glob(pattern: str, root: str) -> Iterable[str]:
    """Return the images that fit; ** goes the way of _walk, because glob's own follows links in circles."""
    patterns = pattern.removeprefix(root).strip("/").split("/")
    if "**" not in patterns:
        found = glob.iglob(pattern)  # noqa: PTH207 - Path.glob takes no absolute pattern
        return filter(_is_file_of_image, found)
    start = len(root.rstrip("/")) + 1
    return (name for name in _walk(root, set()) if _fits(name[start:].split("/"), patterns))


def _fits(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    """Compare a path with a glob part by part; ** stands for any number of folders, also none."""
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return _fits(parts, patterns[1:]) or (bool(parts) and _fits(parts[1:], patterns))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], patterns[0]) and _fits(parts[1:], patterns[1:])


def _is_file_of_image(name: str) -> bool:
    return _is_image_name(os.path.basename(name)) and not os.path.isdir(name)  # noqa: PTH119, PTH112 - 5x faster


def _read_manifest(path: Path) -> Source:
    readers = {".csv": _csv_rows, ".parquet": _parquet_rows, ".json": _coco_rows}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError("not a kind of source", where=str(path), found=path.suffix or "no suffix", expected=_EXPECTED)
    entries: dict[Path, SourceEntry] = {}
    for where, row in reader(path):
        entry = _entry_of_row(row, path.parent, where)
        entries[entry.path] = _merge_entries(entries.get(entry.path), entry, where)
    if not entries:
        raise DataError("the manifest has no rows", where=str(path))
    annotations = path if path.suffix.lower() == ".json" else None
    return Source(_name(path), path.parent, tuple(entries.values()), annotations)


def _merge_entries(earlier: SourceEntry | None, later: SourceEntry, where: str) -> SourceEntry:
    """Join two rows about one file: of two values for a column the later one counts, two labels are an error."""
    if earlier is None:
        return later
    if earlier.label and later.label and earlier.label != later.label:
        raise DataError(f"two labels for {later.path.name}", where=where, found=repr(later.label),
                        expected=f"{earlier.label!r} as in an earlier row")  # fmt: skip
    return replace(later, meta={**earlier.meta, **later.meta}, label=later.label or earlier.label)


def _entry_of_row(row: Mapping[str, str], folder: Path, where: str) -> SourceEntry:
    if not row["path"]:
        raise DataError("a row has no path", where=where, hint="fill it in or remove the row")
    meta = {name: value for name, value in row.items() if value and name not in ("path", "label")}
    return SourceEntry(_absolute(row["path"], folder), meta, row.get("label") or None)


def _require_path_column(columns: Iterable[object], path: Path) -> None:
    names = [str(name) for name in columns]
    if "path" not in names:
        raise DataError("no column named path", where=str(path), found=", ".join(names) or "no columns")
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise DataError("a column comes twice", where=str(path), found=doubled[0])


def _csv_rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (file:line, row) of a comma-separated file in UTF-8, with or without a byte-order mark."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            columns = [name.strip() for name in next(reader, [])]
            _require_path_column(columns, path)
            for values in filter(None, reader):
                if len(values) != len(columns):
                    raise DataError("wrong number of values", where=f"{path}:{reader.line_num}", found=str(len(values)),
                                    expected=f"{len(columns)}, as the first line has")  # fmt: skip
                yield f"{path}:{reader.line_num}", dict(zip(columns, map(str.strip, values), strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError("not a CSV file in UTF-8", where=str(path), found=str(error)) from None


def _parquet_rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            _require_path_column(file.schema_arrow.names, path)
            n_before = 0
            for batch in file.iter_batches(columns=_plain_columns(file.schema_arrow)):
                for number, row in enumerate(batch.to_pylist(), start=n_before + 1):
                    yield f"{path}: row {number}", {name: _to_text(value) for name, value in row.items()}
                n_before += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise DataError("not a readable Parquet file", where=str(path), found=str(error).splitlines()[0]) from None


def _plain_columns(schema: Any) -> list[str]:
    """Name the columns that can be metadata: no lists, structs or raw bytes (an image inside the table, say)."""
    import pyarrow.types as kinds

    skipped = (kinds.is_nested, kinds.is_binary, kinds.is_large_binary, kinds.is_fixed_size_binary)
    return [column.name for column in schema if not any(is_kind(column.type) for is_kind in skipped)]


def _to_text(value: Any) -> str:
    return "" if value is None or value != value else str(value)  # NaN is not equal to itself


def _coco_rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError("not valid JSON", where=str(path), found=str(error)) from None
    images = document.get("images") if isinstance(document, dict) else None
    if not isinstance(images, list) or not images:
        raise DataError(
            "no images in this COCO file", where=str(path), expected='{"images": [{"file_name": ...}, ...]}'
        )
    for number, image in enumerate(images):
        where = f"{path}: images[{number}]"
        if not isinstance(image, dict) or not isinstance(image.get("file_name"), str):
            raise DataError("an image has no file_name", where=where)
        meta = {name: _to_text(value) for name, value in image.items() if isinstance(value, str | int | float)}
        yield where, {"path": image["file_name"], **{k: v for k, v in meta.items() if k not in _COCO_NOT_METADATA}}
