"""Imports point down: each module may import only from layers below its own, never sideways or up."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Lowest first. A folder's files may import each other. README.md draws the same picture.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "seeds", "progress", "tensors", "heap", "journal", "ids"),
    ("atomic", "config", "records", "requirements", "annotations", "models"),
    (
        "uncertainty",
        "novelty",
        "density",
        "duplicates",
        "vectors",
        "nearest",
        "projection",
        "coverage",
        "proof",
        "power",
        "promotion",
        "settling",
        "augment",
        "agreement",
        "consensus",
        "matching",
        "splits",
        "sequential",
        "lots",
    ),
    (
        "calibration",
        "diagrams",
        "anchoring",
        "labelerrors",
        "labelmodel",
        "routing",
        "exploration",
        "drift",
        "resampling",
        "abtest",
    ),
    (
        "strategies",
        "reasons",
        "gaps",
        "qualitygate",
        "looks",
        "pooling",
        "staging",
        "overlap",
        "adjudication",
        "dataset",
        "feedback",
        "monitoring",
        "evaluation",
        "rivals",
    ),
    ("gate",),
    ("workspace", "images"),
    ("catalog", "sources", "labels", "embedding", "index", "training", "predictions", "tools", "weak"),
    ("trainers", "events"),
    ("report",),
    ("pipelines",),
    ("benchmark", "web", "rounds"),
    ("simulation", "serving"),
    ("cli",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def module_files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported_names(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write it out so that the layer shows"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", module_files("activesel"), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    room = path.relative_to(ROOT / "activesel").parts[0].removesuffix(".py")
    if room in ("__init__", "__main__"):
        return
    assert room in RANK, f"{room} has no layer; add it to LAYERS and to the README"
    for name in imported_names(path):
        if name.startswith("synth"):
            assert room == "pipelines", f"{path}: only pipelines import synth"
        if not name.startswith("activesel."):
            continue
        target = name.split(".")[1]
        if target in RANK and target != room:
            assert RANK[target] < RANK[room], f"{path}: {room} imports {target}, which is not below it"


def test_the_readme_draws_these_layers() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf8")
    drawn = readme.partition("Imports point down only")[2].split("```")[1].strip("\n").replace("\n    ", " ")
    assert [tuple(line.split()) for line in drawn.splitlines()] == list(reversed(LAYERS))


@pytest.mark.parametrize("path", module_files("synth"), ids=lambda p: str(p.relative_to(ROOT)))
def test_synth_never_imports_activesel(path: Path) -> None:
    assert not [name for name in imported_names(path) if name.split(".")[0] == "activesel"]


@pytest.mark.parametrize(
    ("library", "home"),
    [("faiss", "activesel/index/codes.py"), ("sqlalchemy", "activesel/catalog"), ("ray", "activesel/engine")],
)
def test_heavy_libraries_have_one_home(library: str, home: str) -> None:
    for path in module_files("activesel"):
        if any(name.split(".")[0] == library for name in imported_names(path)):
            assert str(path.relative_to(ROOT)).startswith(home), f"{path} imports {library}; only {home} may"


@pytest.mark.parametrize("path", module_files("activesel"), ids=lambda p: str(p.relative_to(ROOT)))
def test_nobody_opens_the_file_where_a_server_may_be_meant(path: Path) -> None:
    assert "Catalog.open(workspace.catalog_path)" not in path.read_text(encoding="utf8"), "open catalog_place"
