"""Write docs/recipes.md from the recipes and the comments in configs/recipes: `python scripts/write_recipe_docs.py`."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from synth.recipes import recipe_class, shipped_folder

PAGE = Path(__file__).resolve().parent.parent / "docs" / "recipes.md"
HEAD = """# Recipes: defects without a real example

Written by `scripts/write_recipe_docs.py`; a test compares. Each file in `configs/recipes/` is one recipe: its name is
the file's, `kind` says what draws it (the name unless given), every other key is a range `[low, high]` that each defect
draws from, a share `0..1`, or a list of words. A folder of your own (`synth.recipes.load_recipes(folder)`) adds recipes
or, under a shipped name, changes single keys. Unknown keys and values out of bounds are errors.

Sizes are shares of the image's short side where nothing else is said, so a recipe fits any camera; contrast is a share
of the surface's level and at least a multiple of its texture, so it shows on rough ground too. Every random number is
drawn once and kept in the record; drawing it again from the record gives the same bytes.

A new kind is one file in `synth/recipes/` (a frozen dataclass with `draw` and `render`) and one import line.
"""


def comments(path: Path) -> dict[str, str]:
    """Return the comment above each key of a recipe's file."""
    found: dict[str, str] = {}
    above: list[str] = []
    for line in path.read_text(encoding="utf8").splitlines():
        if line.startswith("#"):
            above.append(line.lstrip("# ").strip())
        elif ":" in line:
            found[line.split(":")[0]] = " ".join(above)
            above = []
        else:
            above = []
    return found


def bounds(metadata: Any) -> str:
    if "options" in metadata:
        return ", ".join(metadata["options"])
    return "{}..{}".format(*metadata["within"])


def section(path: Path) -> str:
    values, reasons = yaml.safe_load(path.read_text(encoding="utf8")), comments(path)
    cls = recipe_class(values.get("kind", path.stem), where=str(path))
    title = path.read_text(encoding="utf8").splitlines()[0].lstrip("# ").removesuffix(" Ranges are [low, high].")
    rows = [
        f"\n## {path.stem}\n",
        title,
        "",
        "| key | default | bounds | what | why this default |",
        "|---|---|---|---|---|",
    ]
    for one in fields(cls):
        if one.metadata:
            what, why = one.metadata["meaning"], reasons.get(one.name, "").replace("|", "\\|")
            rows.append(f"| `{one.name}` | {values[one.name]} | {bounds(one.metadata)} | {what} | {why} |")
    return "\n".join(rows) + "\n"


def render() -> str:
    """Return the page."""
    return HEAD + "".join(section(path) for path in sorted(shipped_folder().glob("*.yaml")))


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf8")
