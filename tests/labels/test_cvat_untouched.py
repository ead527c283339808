"""What a model drew in CVAT and nobody touched is the model's, not the annotator's."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest

from activesel.annotations import Annotation, Box, Role
from activesel.labels import get_format
from tests.labels.opinions import IDS, LOOKUP, PATHS

CORNERS = 'xtl="1" ytl="2" xbr="30" ybr="40"'


def write(path: Path, *images: str) -> Path:
    inner = "".join(
        f"<image name={quoteattr(name)}>{marks}</image>" for name, marks in zip(PATHS, images, strict=False)
    )
    path.write_text("<annotations><meta><job><assignee>ann</assignee></job></meta>" + inner + "</annotations>")
    return path


def box(source: str, name: str = "crack") -> str:
    return f'<box label="{name}" {source} {CORNERS}/>'


@pytest.mark.parametrize("source", ['source="manual"', 'source="semi-auto"', 'source="file"', ""])
def test_what_somebody_touched_is_theirs(tmp_path: Path, source: str) -> None:
    (one,) = get_format("cvat").reads(write(tmp_path / "f", box(source)), LOOKUP)
    assert (one.annotation.annotator, one.annotation.role) == ("ann", Role.annotator)


def test_what_nobody_touched_is_the_models(tmp_path: Path) -> None:
    tag = '<tag label="good" source="auto"/>'
    path = write(tmp_path / "f", box('source="auto"') + box('source="manual"', "pit"), tag)
    mine, auto, tagged = (one.annotation for one in get_format("cvat").reads(path, LOOKUP))
    assert mine == Annotation(IDS[0], "ann", shapes=(Box("pit", 1, 2, 30, 40),))
    assert auto == Annotation(IDS[0], "cvat-auto", Role.model, shapes=(Box("crack", 1, 2, 30, 40),))
    assert tagged == Annotation(IDS[1], "cvat-auto", Role.model, "good")


def test_leaving_it_can_be_accepting_it(tmp_path: Path) -> None:
    path = write(tmp_path / "f", box('source="auto"') + box('source="manual"', "pit"))
    accepting = get_format("cvat").reads_accepting
    assert accepting is not None
    (one,) = accepting(path, LOOKUP)
    assert (one.annotation.annotator, [shape.name for shape in one.annotation.shapes]) == ("ann", ["crack", "pit"])
