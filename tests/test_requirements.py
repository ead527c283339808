"""requirements.yaml: the example is whole and explained, and whatever is wrong is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from activesel.errors import ConfigError
from activesel.requirements import ClassWanted, Requirements, SliceWanted, example_path, load_requirements


def write(folder: Path, text: str) -> Path:
    path = folder / "requirements.yaml"
    path.write_text(text, encoding="utf8")
    return path


def test_the_least_that_is_needed(tmp_path: Path) -> None:
    file = load_requirements(write(tmp_path, "schema_version: 1\nclasses:\n  crack: {images: 5}\n"))
    assert file.wanted.classes["crack"].images == 5
    assert (file.wanted.false_rejects, file.wanted.confidence, file.wanted.gold_images) == (0.01, 0.95, 0)
    assert file.where("classes", "crack") == f"{tmp_path / 'requirements.yaml'}:3"
    assert file.where("good") == f"{tmp_path / 'requirements.yaml'}:1", "not written out"
    assert file.file_of("masks.csv") == tmp_path / "masks.csv"


def test_the_example_has_every_key_and_its_reason() -> None:
    text = example_path().read_text(encoding="utf8")
    content = yaml.safe_load(text)
    assert set(content) == set(Requirements.model_fields)
    assert set(content["classes"]["crack"]) == set(ClassWanted.model_fields)
    slices = {key for one in content["slices"] for key in one}
    assert slices <= {field.alias or name for name, field in SliceWanted.model_fields.items()}
    assert len(load_requirements(example_path()).wanted.slices) == 2
    lines = text.splitlines()
    for key in [*content, *content["classes"]["crack"]]:
        at = next(i for i, line in enumerate(lines) if line.strip().startswith(f"{key}:"))
        assert lines[at - 1].strip().startswith("# "), f"{key} has no reason above it"


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("schema_version: 1\nclases: {}\n", 2, "unknown key clases; expected classes"),
        ("schema_version: 1\nclasses:\n  crack:\n    recal: 0.9\n", 4, "key classes.crack.recal; expected recall"),
        ("schema_version: 1\nclasses:\n  crack:\n    recall: 95\n", 4, "classes.crack.recall; found 95"),
        ("schema_version: 2\nclasses: {a: {}}\n", 1, "schema_version"),
        ("schema_version: 1\nclasses: {}\n", 2, "classes"),
        ("schema_version: 1\n", 1, "classes is missing"),
        ("schema_version: 1\nclasses: {a: {}}\nslices:\n  - class: a\n", 4, "slices.0.where is missing"),
        ("schema_version: 1\nclasses: {a: {}}\nslices:\n  - class: a\n    wher: {b: c}\n", 5, "expected where"),
        ("schema_version: 1\nclasses: {a: {}}\nbands:\n  x: {low: [2, 1]}\n", 1, "band x.low is empty"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, line: int, told: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as failure:
        load_requirements(path)
    message = str(failure.value)
    assert told in message
    assert message.startswith(f"{path}:"), message
    if "is missing" not in told:
        assert message.startswith(f"{path}:{line}:"), message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "told"), [("a: [", "not valid YAML"), ("- 1\n", "not a mapping"), ("", "not a mapping")]
)
def test_not_requirements_at_all(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load_requirements(write(tmp_path, text))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="activesel gaps --example"):
        load_requirements(tmp_path / "requirements.yaml")


def test_numbers_may_be_names(tmp_path: Path) -> None:
    text = "schema_version: 1\nclasses: {a: {}}\nslices:\n  - class: a\n    where: {exposure: 3}\n"
    assert load_requirements(write(tmp_path, text)).wanted.slices[0].where == {"exposure": "3"}
