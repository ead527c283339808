"""Docs that cannot fall behind: commands, settings, strategies, dependencies, links, the README's tree, doctests."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import re
import subprocess
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType

import pytest

from activesel import __version__
from activesel.config import default_path, load_config
from activesel.errors import ActiveselError
from activesel.pipelines.settings import describe_settings, read_reasons
from activesel.strategies import strategy_names

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"])
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
# Spelled in two parts so that this file does not trip over itself.
FORBIDDEN = [
    re.compile(part)
    for part in (
        r"(?<![\w.])/" + r"work/",
        r"(?<![\w.])/" + r"(home|Users)/\w",
        r"(?<![\w.])/" + r"root/",
        "pypi" + r"\.org",
        "pytorch" + r"\.org/whl",
        "python" + "hosted",
        "index" + r"-url",
    )
]


def load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def names_of(requirements: list[str]) -> list[str]:
    return [re.split(r"[<>=!\[ ;]", requirement)[0] for requirement in requirements]


def test_commands_page_is_current() -> None:
    written = (ROOT / "docs" / "commands.md").read_text(encoding="utf8")
    assert written == load_script("write_command_docs").render(), "run python scripts/write_command_docs.py"


def test_commands_page_has_every_command_and_option() -> None:
    from tests.cli.test_light import LEAVES

    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf8")
    for name, command in LEAVES.items():
        section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert section, name
        for option in (word for parameter in command.params for word in parameter.opts if word.startswith("-")):
            assert f"`{option}" in section, f"{name} {option}"


def test_every_exit_code_is_documented() -> None:
    page = (ROOT / "docs" / "exit_codes.md").read_text(encoding="utf8")
    codes = {one.exit_code for one in ActiveselError.__subclasses__()} | {0, 1, 130, 141, 143}
    assert set(map(int, re.findall(r"^\| (\d+) \|", page, flags=re.M))) == codes


def test_every_setting_has_its_reason() -> None:
    reasons = read_reasons(default_path())
    described = {one.key: one for one in describe_settings()}
    settings = load_config().model_dump()
    keys = {f"{name}.{key}" for name, section in settings.items() if isinstance(section, dict) for key in section}
    keys |= {name for name, section in settings.items() if not isinstance(section, dict)}
    assert keys == set(described), "config schema and the settings differ"
    for key in keys:
        assert len(reasons.get(key, "")) >= 20, f"default.yaml: {key} has no comment above it"
        assert described[key].reason == reasons[key]


def test_read_reasons(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "# The file.\n\n# Why one.\none: 1\npart:\n  # Why two,\n  # at length.\n  two: 2\n  three: 3\nfour: 4\n"
    )
    assert read_reasons(path) == {"one": "Why one.", "part.two": "Why two, at length."}


def test_every_strategy_is_documented() -> None:
    page = (ROOT / "docs" / "strategies.md").read_text(encoding="utf8")
    assert [name for name in strategy_names() if f"`{name}`" not in page] == []


def test_every_dependency_is_documented() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf8")
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    names = [name for group in groups for name in names_of(group)]
    assert [name for name in names if f"| {name} |" not in page] == []
    listed = re.findall(
        r"^\| (?:(?:demo|dev|events|review|serve|postgres|label-studio|mlflow|mlflow|oracles) \| )?([a-z0-9-]+) \| ",
        page,
        flags=re.M,
    )
    assert [name for name in listed if name not in {*names, "package", "extra"}] == [], "no longer a dependency"


@pytest.mark.parametrize("name", names_of(PROJECT["dependencies"]))
def test_no_dependency_is_under_the_gpl(name: str) -> None:
    meta = distribution(name).metadata
    first_line = (meta.get("License") or "").splitlines()[:1]
    said = [meta.get("License-Expression") or "", *first_line, *(meta.get_all("Classifier") or [])]
    assert not [text for text in said if re.search(r"\bA?GPL|Affero|(?<!Lesser )General Public", text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(encoding="utf8"), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = page if not path else (page.parent / path)
        assert linked.exists(), f"{page.name}: {target}"
        if anchor and linked.suffix == ".md":
            assert anchor in anchors_of(linked), f"{page.name}: {target}"


def anchors_of(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf8"), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_leads_to_every_page() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf8")
    missing = [page.name for page in sorted((ROOT / "docs").glob("*.md")) if f"(docs/{page.name}" not in readme]
    assert missing == []


def test_readme_tree_is_true() -> None:
    """Lines of the README's ```tree block are `  path   explanation`, folders end in a slash."""
    block = re.search(r"```tree\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf8"), flags=re.S)
    assert block, "the README has no ```tree block"
    entries = [line.split(maxsplit=1) for line in block.group(1).splitlines() if line.strip()]
    assert entries
    for entry in entries:
        assert len(entry) == 2, f"{entry[0]} has no explanation"
        for name in entry[0].split(","):
            assert list(ROOT.glob(name.rstrip("/"))), f"README: {name} does not exist"
    shown = " ".join(entry[0] for entry in entries)
    for room in sorted((ROOT / "activesel").iterdir()):
        if room.is_dir() and (room / "__init__.py").exists():
            assert f"activesel/{room.name}/" in shown, f"README's tree lacks activesel/{room.name}/"


def test_changelog_has_this_version() -> None:
    assert PROJECT["version"] == __version__
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf8")
    entry = re.search(rf"^## \[?{re.escape(__version__)}\b.*?$(.*?)(?=^## |\Z)", text, flags=re.M | re.S)
    assert entry, f"CHANGELOG.md has no entry for {__version__}"
    assert entry.group(1).strip(), "the entry is empty"


def tracked_texts() -> list[Path]:
    """Files of the project: as git knows them, new ones included; everything where there is no git."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if listing.returncode:
        folders = ("activesel", "synth", "configs", "scripts", "tests", "docs")
        found = [path for folder in folders for path in (ROOT / folder).rglob("*")]
        return [path for path in found if path.is_file() and "__pycache__" not in path.parts]
    return [ROOT / name for name in listing.stdout.splitlines() if (ROOT / name).is_file()]


def test_no_machine_path_or_registry_host() -> None:
    found = []
    for path in tracked_texts():
        try:
            text = path.read_text(encoding="utf8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match.group()}" for one in FORBIDDEN for match in one.finditer(text)]
    assert found == []


@pytest.mark.parametrize("path", sorted((ROOT / "activesel").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_doctests(path: Path) -> None:
    if ">>>" not in path.read_text(encoding="utf8"):
        return
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    assert doctest.testmod(importlib.import_module(name)).failed == 0
