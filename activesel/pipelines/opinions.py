"""The story of `activesel import`: opinions from an annotation tool's file into the catalog, and what then counts."""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from activesel.annotations import Annotation, Resolution, Role, Task
from activesel.catalog import Catalog
from activesel.catalog.annotations import Added, Settle, is_open, with_unsaid
from activesel.errors import DataError, UsageError
from activesel.labels import AnnotationFormat, ImageLookup, Said, get_format, guess_format, unknown_images
from activesel.labels.lookup import SET_ASIDE
from activesel.pipelines.echoes import drop_echoes
from activesel.pipelines.tool_projects import read_people
from activesel.settling import PEOPLE, name_wholes, settle
from activesel.workspace import Workspace

NOBODY = "unknown"  # whoever spoke in a file that does not say; all such files together are one person


# Batch and the tool's number of the project -> what "user-7" is called, as a server told at a push or pull.
People = Mapping[tuple[str, int | None], Mapping[str, str]]


@dataclass(frozen=True)
class Unsaid:
    """What counts for opinions that do not say it themselves."""

    annotator: str = ""
    role: Role = Role.annotator
    guideline: str = ""


@dataclass(frozen=True)
class ImportRequest:
    """format_name: None to go by the content. accept_untouched: what a model drew in the tool and nobody touched is
    the annotator's, not the model's.
    """

    file: Path
    format_name: str | None = None
    unsaid: Unsaid = Unsaid()
    accept_untouched: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class ImportSummary:
    """n_opinions: in the file, each once. n_new, n_changed, n_known: those of them the catalog had not, had otherwise,
    had. n_set_aside: about images that ingest could not use. n_by_state, n_by_class: of the file's images, now.
    n_settled: images of which something else counts than before. In a dry run, what would be.
    """

    file: str
    format_name: str
    n_opinions: int
    n_images: int
    n_new: int
    n_changed: int
    n_known: int
    n_skipped: int
    n_set_aside: int
    n_settled: int
    n_by_state: dict[str, int]
    n_by_class: dict[str, int]
    dry_run: bool


def import_annotations(workspace: Workspace, request: ImportRequest) -> ImportSummary:
    """Record every opinion of a file, or on error none, and settle what counts; the caller holds the workspace's lock.

    The same file again changes nothing, and ends what a killed run began.

    Raises:
        DataError: a malformed file, with its place, or an opinion about an unknown image. UsageError: no such format.
    """
    found = get_format(request.format_name) if request.format_name else guess_format(request.file)
    if request.accept_untouched and found.reads_accepting is None:
        raise UsageError("this format does not say what nobody touched", where=str(request.file), found=found.name,
                         hint="leave --accept-untouched out")  # fmt: skip
    reads = found.reads_accepting if request.accept_untouched and found.reads_accepting else found.reads
    with Catalog.open(workspace.catalog_place) as catalog:
        said = _read(catalog, replace(found, reads=reads), request.file)
        if found.reads_accepting is not None:
            said = drop_echoes(said, catalog)
        kept = [one for one in said if one.annotation.image_id != SET_ASIDE]
        opinions = complete(catalog, kept, found.name, request.unsaid, read_people(workspace))
        summary = record(catalog, opinions, good=workspace.config.embedding.good, dry_run=request.dry_run)
    return replace(summary, file=str(request.file), format_name=found.name, n_set_aside=len(said) - len(kept))


def record(
    catalog: Catalog, opinions: Sequence[Annotation], *, good: str | None, dry_run: bool, place: str = ""
) -> ImportSummary:
    """Add opinions about known images to the catalog, and settle what counts where something new was said.

    place: as for ``Annotations.add``.
    """
    ids = {one.image_id for one in opinions}
    before = catalog.annotations.resolutions(ids)
    settling = functools.partial(settle_all, good=good)
    if dry_run:
        gone = set() if place else {one.annotation.key for one in catalog.annotations.withdrawn()}
        counting = [one for one in opinions if one.key not in gone]
        added, after = _foresee(catalog.annotations.read(ids), counting, before, settling)
        added = replace(added, n_known=added.n_known + len(opinions) - len(counting))
    else:
        added = catalog.annotations.add(opinions, settling, place=place)
        after = catalog.annotations.resolutions(ids)
    return ImportSummary(
        "", "", len(opinions), len(ids), added.n_new, added.n_changed, added.n_known,
        sum(bool(one.skipped) for one in opinions), 0, sum(one != before.get(i) for i, one in after.items()),
        dict(Counter(one.state.value for one in after.values())),
        dict(Counter(one.name for one in after.values() if one.name is not None)), dry_run,
    )  # fmt: skip


def settle_all(
    opinions: Sequence[Annotation], present: Mapping[str, Resolution], *, good: str | None
) -> list[Resolution]:
    """Return what counts for each image that a person spoke about. opinions: all about these images, oldest first."""
    by_image: dict[str, list[Annotation]] = defaultdict(list)
    for one in name_wholes(opinions, good):
        by_image[one.image_id].append(one)
    return [settle(some, present.get(image_id)) for image_id, some in by_image.items()
            if any(one.role in PEOPLE for one in some)]  # fmt: skip


def _foresee(
    before: Sequence[Annotation], opinions: Sequence[Annotation], present: Mapping[str, Resolution], settling: Settle
) -> tuple[Added, dict[str, Resolution]]:
    """Return what recording the opinions would bring, and what would count then."""
    known = {one.key: one for one in before}
    opinions = [with_unsaid(one, known.get(one.key)) for one in opinions]
    n_new = sum(one.key not in known for one in opinions)
    told = {one.image_id for one in opinions if known.get(one.key) != one}
    n_known = sum(known.get(one.key) == one for one in opinions)
    touched = told | {one.image_id for one in opinions if is_open(present.get(one.image_id))}
    after = [one for one in {**known, **{one.key: one for one in opinions}}.values() if one.image_id in touched]
    settled = {one.image_id: one for one in settling(after, present)}
    return Added(n_new, len(opinions) - n_new - n_known, n_known), {**present, **settled}


def _read(catalog: Catalog, found: AnnotationFormat, file: Path) -> list[Said]:
    """Read everything before anything is recorded."""
    ids_by_path = catalog.resolve()
    sizes = catalog.sizes_of(ids_by_path.values()) if found.needs_sizes else None
    lookup = ImageLookup(ids_by_path, (one.path for one in catalog.quarantined()), sizes)
    said = list(found.reads(file, lookup))
    unknown = [(one.image, one.where) for one in said if not one.annotation.image_id]
    if unknown:
        raise unknown_images(unknown, str(file))
    return said


def complete(
    catalog: Catalog, said: Sequence[Said], source: str, given: Unsaid, people: People = MappingProxyType({})
) -> list[Annotation]:
    """Return each opinion once, with what its file or server does not say and the request or the tasks do.

    people: what to call those whom a tool's project knows by a number.

    Raises:
        DataError: two that differ have the same id in the tool.
    """
    arms = _Arms(catalog.annotations.tasks())
    completed = []
    for told in said:
        one = told.annotation
        role = given.role if one.role is Role.annotator else one.role
        name = people.get((told.batch, told.project), {}).get(one.annotator, one.annotator)
        completed.append((told.where, replace(
            one, role=role, annotator=name or given.annotator or NOBODY, guideline=one.guideline or given.guideline,
            source=one.source or source, prelabel=arms.of(told) if role in PEOPLE else one.prelabel,
        )))  # fmt: skip
    return _distinct(completed)


class _Arms:
    """Who had a pre-label before them: the arm that was drawn, whatever stood in the tool."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._by_batch = {(task.batch_id, task.image_id): task.prelabel for task in tasks}
        self._by_image: dict[str, set[str]] = defaultdict(set)
        for task in tasks:
            self._by_image[task.image_id].add(task.prelabel)

    def of(self, told: Said) -> str:
        """Return "hidden" where the opinion's own batch hid it, else what the file says, else the image's only arm."""
        one = told.annotation
        if self._by_batch.get((told.batch, one.image_id)) == "hidden":
            return "hidden"
        only = self._by_image.get(one.image_id, set())
        return one.prelabel or (next(iter(only)) if len(only) == 1 else "")


def _distinct(opinions: Sequence[tuple[str, Annotation]]) -> list[Annotation]:
    """Return each opinion once.

    Raises:
        DataError: two that differ have the same id in the tool.
    """
    first: dict[str, tuple[str, Annotation]] = {}
    for where, one in opinions:
        known_where, known = first.setdefault(one.key, (where, one))
        if known != one and one.external_id:
            raise DataError("two opinions have one id", where=where, found=repr(one.external_id),
                            expected=f"another one than at {known_where}")  # fmt: skip
    return [one for _, one in first.values()]
