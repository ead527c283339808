"""What one row of a label file says, and the checks that hold for every format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from activesel.errors import DataError
from activesel.labels.lookup import SET_ASIDE
from activesel.records import Label

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Opinion:
    """One row. where: "labels.csv:12". image: as the row names it. image_id: None where nobody knows the image."""

    where: str
    image: str
    image_id: str | None
    name: str


def to_labels(opinions: Iterable[Opinion], *, source: str) -> list[Label]:
    """Return one label per image.

    Raises:
        DataError: rows about unknown images (the first three and how many), or two rows that differ about one image.
    """
    first_by_image: dict[str, Opinion] = {}
    unknown: list[Opinion] = []
    for opinion in opinions:
        if opinion.image_id is None:
            unknown.append(opinion)
        elif opinion.image_id != SET_ASIDE:
            first = first_by_image.setdefault(opinion.image_id, opinion)
            if first.name != opinion.name:
                raise DataError(f"two labels for one image: {opinion.image}", where=opinion.where,
                                found=repr(opinion.name),
                                expected=f"{first.name!r} as at {first.where} ({first.image})",
                                hint="keep one of them (files with equal content are one image)")  # fmt: skip
    if unknown:
        raise unknown_images([(opinion.image, opinion.where) for opinion in unknown], source)
    return [Label(image_id, opinion.name, source) for image_id, opinion in first_by_image.items()]


def unknown_images(unknown: Sequence[tuple[str, str]], source: str) -> DataError:
    """Return the error about labels of images that nobody knows. unknown: as the file names each, and where."""
    shown = ", ".join(f"{image[:200]!r} ({where})" for image, where in unknown[:_SHOWN])
    more = f", and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
    rows = "1 label is for an unknown image" if len(unknown) == 1 else f"{len(unknown)} labels are for unknown images"
    return DataError(rows, where=source, found=shown + more,
                     hint="run `activesel ingest` on these images first, or mend the paths")  # fmt: skip
