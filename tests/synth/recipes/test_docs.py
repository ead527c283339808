from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from synth.recipes import load_recipes, shipped_folder
from tests.test_docs import ROOT, load_script

SCRIPT = load_script("write_recipe_docs")


def test_page_is_current() -> None:
    written = (ROOT / "docs" / "recipes.md").read_text(encoding="utf8")
    assert written == SCRIPT.render(), "run python scripts/write_recipe_docs.py"


@pytest.mark.parametrize("path", sorted(shipped_folder().glob("*.yaml")), ids=lambda path: path.stem)
def test_every_key_has_its_reason(path: Path) -> None:
    reasons = SCRIPT.comments(path)
    recipe = load_recipes()[path.stem]
    for one in fields(recipe):  # type: ignore[arg-type]
        if one.metadata:
            assert len(reasons.get(one.name, "")) >= 9, f"{path.name}: {one.name} has no comment above it"
