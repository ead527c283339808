"""The table of what each format holds is what the formats say of themselves."""

from __future__ import annotations

import re
from pathlib import Path

from activesel.labels import annotation_format_names, get_format

PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats_annotations.md"


def test_the_table_of_what_is_held_is_true() -> None:
    text = PAGE.read_text(encoding="utf8")
    table = re.search(r"^\| \| (label-studio .*?)\n\n", text, flags=re.S | re.M)
    assert table
    head, _, *rows = table.group(0).strip().splitlines()
    names = [cell.strip() for cell in head.split("|")[2:-1]]
    assert sorted(names) == list(annotation_format_names())
    told: dict[str, set[str]] = {name: set() for name in names}
    for row in rows:
        words, *cells = (cell.strip() for cell in row.split("|")[1:-1])
        for name, cell in zip(names, cells, strict=True):
            told[name] |= set(re.findall(r"`(\w+)`", words)) if cell == "yes" else set()
    assert told == {name: set(get_format(name).holds) for name in names}
