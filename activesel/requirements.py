"""What the business wants of the data: requirements.yaml, checked, every key with the line it stands on."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from activesel.errors import ConfigError

Loc = tuple[str | int, ...]  # of a key: ("classes", "crack", "recall")
Share = Annotated[float, Field(gt=0, lt=1)]
DERIVED = ("defect_size", "defect_contrast", "defect_x", "defect_y")  # measured where masks or boxes are known


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class Wanted(_Section):
    """Of one class or slice. recall: found at ``false_rejects``; images: labelled ones, real; gold: test positives."""

    recall: Share | None = None
    images: int = Field(default=0, ge=0)
    gold: int | None = Field(default=None, ge=0)
    importance: float = Field(default=1.0, gt=0)


class ClassWanted(Wanted):
    """unseen: no image of it is labelled yet, and that is no slip of the pen."""

    unseen: bool = False


class SliceWanted(Wanted):
    """A class within one value of one or more columns. name: of the class. where: column -> value."""

    name: str = Field(alias="class", min_length=1)
    where: dict[str, str] = Field(min_length=1)


class Requirements(_Section):
    schema_version: Literal[1]
    good: str | None = None
    false_rejects: Share = 0.01
    confidence: float = Field(default=0.95, ge=0.5, lt=1)
    gold_images: int = Field(default=0, ge=0)
    group_column: str | None = None
    masks: str | None = None
    region_labels: int = Field(default=2, ge=1)
    bands: dict[str, dict[str, tuple[float, float]]] = {}
    classes: dict[str, ClassWanted] = Field(min_length=1)
    slices: tuple[SliceWanted, ...] = ()

    @model_validator(mode="after")
    def _check_bands(self) -> Requirements:
        for column, bands in self.bands.items():
            for name, (low, high) in bands.items():
                if not low < high:
                    raise ValueError(f"band {column}.{name} is empty: [{low:g}, {high:g}]")
        return self


@dataclass(frozen=True)
class RequirementsFile:
    """The checked file. lines: number of the line of every key, from 1."""

    path: Path
    wanted: Requirements
    lines: Mapping[Loc, int]

    def where(self, *loc: str | int) -> str:
        """Say where a key stands, as FILE:LINE; of its nearest parent where it is not written out."""
        return f"{self.path}:{_line_of(self.lines, loc)}"

    def file_of(self, name: str) -> Path:
        """Return a file that the requirements name, relative to their own folder."""
        return self.path.absolute().parent / name


def example_path() -> Path:
    """Return the shipped requirements.example.yaml: inside the package once installed, in a checkout at the top."""
    here = Path(__file__).resolve().parent
    installed = here / "configs" / "requirements.example.yaml"
    return installed if installed.exists() else here.parent / "configs" / "requirements.example.yaml"


def load_requirements(path: Path) -> RequirementsFile:
    """Read and check a file of requirements.

    Raises:
        ConfigError: no such file, not YAML, an unknown key (with the nearest known one), a value out of range; with
        the line.
    """
    try:
        text = path.read_text(encoding="utf8")
        content, node = yaml.safe_load(text), yaml.compose(text, yaml.SafeLoader)
    except FileNotFoundError:
        raise ConfigError("no requirements", where=str(path),
                          hint="write some: `activesel gaps --example > requirements.yaml`") from None  # fmt: skip
    except OSError as error:
        raise ConfigError("cannot read the requirements", where=str(path), found=error.strerror) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError("not valid YAML", where=str(path), found=" ".join(str(error).split())) from None
    if not isinstance(content, dict):
        raise ConfigError("requirements are not a mapping", where=str(path), expected="key: value",
                          hint="see `activesel gaps --example`")  # fmt: skip
    lines = dict(_find_lines(node, ()))
    try:
        return RequirementsFile(path, Requirements.model_validate(content), lines)
    except ValidationError as error:
        raise _explain(error, path, lines) from None


def _explain(error: ValidationError, path: Path, lines: Mapping[Loc, int]) -> ConfigError:
    # A key misspelt is another missing: the former says more.
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    loc = first["loc"]
    where = f"{path}:{_line_of(lines, loc)}"
    key = ".".join(str(part) for part in loc)
    if first["type"] == "extra_forbidden":
        known = _known_keys(loc)
        near = difflib.get_close_matches(str(loc[-1]), known, n=1)
        return ConfigError(
            f"unknown key {key}", where=where, expected=near[0] if near else "one of " + ", ".join(known)
        )
    if first["type"] == "missing":
        return ConfigError(f"{key} is missing", where=where, hint="see `activesel gaps --example`")
    found = None if isinstance(first["input"], dict | list) else repr(first["input"])
    said = first["msg"].removeprefix("Value error, ")
    return ConfigError(f"bad value for {key}" if key else said, where=where, found=found if key else None,
                       expected=said if key else None)  # fmt: skip


def _known_keys(loc: Loc) -> list[str]:
    section: type[BaseModel] = Requirements
    if len(loc) > 1:
        section = ClassWanted if loc[0] == "classes" else SliceWanted
    return [field.alias or name for name, field in section.model_fields.items()]


def _find_lines(node: Any, loc: Loc) -> list[tuple[Loc, int]]:
    found = [(loc, node.start_mark.line + 1)]
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = _find_lines(value, (*loc, key.value))
            found += [((*loc, key.value), key.start_mark.line + 1), *below[1:]]
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            found += _find_lines(value, (*loc, i))
    return found


def _line_of(lines: Mapping[Loc, int], loc: Loc) -> int:
    while loc not in lines and loc:
        loc = loc[:-1]
    return lines.get(loc, 1)
