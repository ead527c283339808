"""What one place of a file says about one image, and what of it no format has a field for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from activesel.annotations import Annotation, Role
from activesel.labels.fields import as_object, as_role, as_seconds, as_share, as_text, as_time

_TEXTS = ("annotator", "skipped", "guideline", "prelabel", "source", "external_id", "note")


@dataclass(frozen=True, slots=True)
class Said:
    """where: "labels.csv:12". image: as the file names it. annotation: its image_id is empty for an unknown image.

    batch: of ours, where the file names it. project: the tool's number of the project that it comes from.
    """

    where: str
    image: str
    annotation: Annotation
    batch: str = ""
    project: int | None = None


def to_extras(one: Annotation) -> dict[str, Any]:
    """Return all but the image, its class and its shapes, what is empty left out: JSON for a tool's free field."""
    known: dict[str, Any] = {name: getattr(one, name) for name in (*_TEXTS, "created", "lead_time_s", "score")}
    kept = {name: value for name, value in known.items() if value not in ("", None)}
    return kept if one.role is Role.annotator else {**kept, "role": one.role.value}


def from_extras(extras: Mapping[str, Any] | object, where: str) -> dict[str, Any]:
    """Return the fields of an Annotation that ``to_extras`` wrote.

    Raises:
        DataError: a value is not what its field takes.
    """
    given = as_object(extras, "activesel's own field", where)
    fields: dict[str, Any] = {name: as_text(given[name], name, where, may_be_empty=True) if given.get(name) else ""
                              for name in _TEXTS}  # fmt: skip
    fields["role"] = as_role(given.get("role", "") or Role.annotator, where)
    fields["created"] = as_time(given.get("created"), "created", where)
    fields["lead_time_s"] = as_seconds(given.get("lead_time_s"), "lead_time_s", where)
    fields["score"] = as_share(given.get("score"), "score", where)
    return fields
