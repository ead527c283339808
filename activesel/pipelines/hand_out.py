"""The story of `activesel export --to`: a batch's images, with what is known about them, as a tool's own file."""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from activesel.annotations import Annotation, Resolution, Role, Task
from activesel.catalog import Catalog
from activesel.errors import DataError, UnreachableError, UsageError
from activesel.labels import ImageLookup, Item, Sheet, fit, get_format
from activesel.pipelines.batch_file import read_batch
from activesel.settling import PEOPLE
from activesel.workspace import Workspace, write_atomic

_LOCAL_FILES = "/data/local-files/?d="  # where Label Studio serves files below its document root
_MADE_AT = (1980, 1, 1, 0, 0, 0)  # the first moment a zip knows: equal content, equal bytes


@dataclass(frozen=True)
class ExportRequest:
    """with_labels: what people said goes along. prelabels: what a model says, but for the blind arm.

    classes: the first classes, in this order; the rest follow by name. images_at: the URL below which the tool finds
    the images, in folders as here; empty: where they lie.
    """

    batch_id: str
    format_name: str
    out: Path
    with_labels: bool = False
    prelabels: bool = True
    classes: tuple[str, ...] = ()
    images_at: str = ""
    dry_run: bool = False


@dataclass(frozen=True)
class ExportSummary:
    """n_blind: images whose pre-label is kept from people. left_out: what the format cannot hold, counts by kind."""

    batch_id: str
    format_name: str
    path: str
    n_images: int
    n_with_labels: int
    n_with_prelabel: int
    n_blind: int
    left_out: dict[str, int]
    classes: tuple[str, ...]
    dry_run: bool


def export_to(workspace: Workspace, request: ExportRequest) -> ExportSummary:
    """Write a batch for an annotation tool, atomically: a file, a folder, or a zip where ``out`` ends in .zip.

    Raises:
        UsageError: no such format. DataError: something else is at ``out``, or a class the format cannot write.
        UnreachableError: a full disk.
    """
    found = get_format(request.format_name)
    sheet = make_sheet(workspace, request)
    fitted, left_out = fit(sheet, found.holds)
    files = found.writes(fitted)
    if not request.dry_run:
        place(files, request.out, several=found.several_files)
    return ExportSummary(
        request.batch_id, found.name, str(request.out.absolute()), len(sheet.items),
        sum(any(one.role in PEOPLE for one in item.opinions) for item in fitted.items),
        sum(item.prelabel is not None or any(one.role not in PEOPLE for one in item.opinions) for item in fitted.items),
        sum(item.arm == "hidden" for item in sheet.items), dict(left_out), sheet.classes, request.dry_run,
    )  # fmt: skip


def make_sheet(workspace: Workspace, request: ExportRequest) -> Sheet:
    """Return the batch's images in the order of the picks, with what may be shown of them.

    Gold answers never go along: people are measured by them.
    """
    batch = read_batch(workspace, request.batch_id)
    ids = [pick.image_id for pick in batch.picks]
    with Catalog.open(workspace.catalog_place) as catalog:
        lookup = ImageLookup(catalog.resolve())
        sizes = catalog.sizes_of(ids)
        known = _by_image(catalog.annotations.read(ids))
        present = catalog.annotations.resolutions()
        tasks = {task.image_id: task for task in catalog.annotations.tasks(request.batch_id)}
        labels = catalog.labels_of(ids) if request.with_labels else {}
        names = catalog.label_columns().names
    urls = _urls([pick.path for pick in batch.picks], request)
    items = []
    for pick, url in zip(batch.picks, urls, strict=True):
        image_id = pick.image_id
        task = tasks.get(image_id, Task(request.batch_id, image_id))
        opinions = _what_people_said(image_id, known.get(image_id, ()), present.get(image_id), labels) \
            if request.with_labels and not task.gold else ()  # fmt: skip
        prelabel = _prelabel(known.get(image_id, ())) if request.prelabels and task.prelabel != "hidden" else None
        width, height = sizes.get(image_id, (0, 0))
        if not width:  # it left the catalog since; without a size no shape can be placed
            opinions, prelabel = (), None
        items.append(Item(image_id, pick.path, lookup.short_name(pick.path), url, width, height, opinions, prelabel,
                          task.prelabel))  # fmt: skip
    return Sheet(tuple(items), _classes(items, request.classes, names), request.batch_id)


def _by_image(opinions: Iterable[Annotation]) -> dict[str, list[Annotation]]:
    by_image: dict[str, list[Annotation]] = defaultdict(list)
    for one in opinions:
        by_image[one.image_id].append(one)
    return by_image


def _what_people_said(
    image_id: str, known: Sequence[Annotation], present: Resolution | None, labels: Mapping[str, str]
) -> tuple[Annotation, ...]:
    """Return people's opinions, oldest first but what counts last: a format that holds one takes the last.

    A label that came without opinions, from a table or folders, is one.
    """
    said = sorted((one for one in known if one.role in PEOPLE), key=lambda one: one.created)
    if not said and image_id in labels:
        return (Annotation(image_id, "", name=labels[image_id], source="labels"),)
    counts = present.name if present is not None else None
    return tuple(sorted(said, key=lambda one: counts is not None and one.name == counts))


def _prelabel(known: Sequence[Annotation]) -> Annotation | None:
    """Return what a model said last, else a rule."""
    said = {role: one for role in (Role.rule, Role.model) for one in known if one.role is role}
    return said.get(Role.model, said.get(Role.rule))


def _classes(items: Sequence[Item], first: tuple[str, ...], names: Sequence[str]) -> tuple[str, ...]:
    opinions = [one for item in items for one in (*item.opinions, *((item.prelabel,) if item.prelabel else ()))]
    used = {one.name for one in opinions if one.name is not None} | {
        shape.name for one in opinions for shape in one.shapes
    }
    return (*dict.fromkeys(first), *sorted({*used, *names} - set(first)))


def _urls(paths: Sequence[str], request: ExportRequest) -> list[str]:
    """Return where the tool finds each image: below images_at as below the images' common folder here, or its path."""
    if request.images_at:
        folder = os.path.commonpath([os.path.dirname(path) for path in paths]) if paths else ""  # noqa: PTH120
        return [request.images_at.rstrip("/") + "/" + quote(os.path.relpath(path, folder)) for path in paths]
    if request.format_name == "label-studio":
        return [_LOCAL_FILES + quote(path.lstrip("/")) for path in paths]
    return list(paths)


def place(files: Mapping[str, str], out: Path, *, several: bool) -> None:
    """Write the one file as ``out``, several as a folder, or all into a zip where ``out`` ends in .zip; whole or not.

    A folder that already holds just these files is left alone.

    Raises:
        DataError: something else is there. UnreachableError: a full disk.
    """
    if out.suffix.lower() == ".zip":
        write_atomic(out, _as_zip(files))
    elif several:
        _write_folder(files, out)
    elif out.is_dir():
        raise UsageError("--out is a folder", where=str(out), expected="a file")
    else:
        write_atomic(out, next(iter(files.values())))


def _as_zip(files: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _MADE_AT), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _write_folder(files: Mapping[str, str], out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        if out.is_dir() and _content(out) == {name: content.encode() for name, content in files.items()}:
            return
        raise DataError("something else is there", where=str(out), hint="remove it, or name another folder with --out")
    made = out.parent / f".{out.name}.part"  # what a killed run left of it goes first
    try:
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        for name, content in files.items():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            (made / name).write_text(content, encoding="utf8", newline="")
        os.replace(made, out)  # noqa: PTH105 - over an empty folder too
    except OSError as error:
        shutil.rmtree(made, ignore_errors=True)
        raise UnreachableError("cannot write", where=str(out), found=error.strerror or str(error)) from None


def _content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
