"""The story of `activesel config`: settings as they stand, and what each may be."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from activesel.config import Config, default_path, load_config
from activesel.errors import DataError
from activesel.workspace import Workspace, find_workspace


@dataclass(frozen=True)
class Setting:
    """One key. kind: its type and range in words. reason: the comment above it in default.yaml."""

    key: str
    kind: str
    default: str
    reason: str


def read_settings(folder: Path | None, overrides: Sequence[str]) -> Config:
    """Return the settings of the workspace at or above ``folder``; without a workspace here, the defaults.

    Raises:
        DataError: ``folder`` was named and is no workspace. ConfigError: a bad key or value.
    """
    workspace = find_workspace_or_none(folder, overrides)
    return load_config(None, overrides) if workspace is None else workspace.config


def find_workspace_or_none(folder: Path | None, overrides: Sequence[str]) -> Workspace | None:
    """Return the workspace at or above ``folder``, or None where none was named and none is here."""
    try:
        return find_workspace(folder or Path.cwd(), overrides)
    except DataError:
        if folder is not None:
            raise
        return None


def describe_settings() -> list[Setting]:
    """Return every setting in the order of default.yaml."""
    reasons = read_reasons(default_path())
    defaults = load_config().model_dump(mode="json")
    return [
        Setting(key, kind, json.dumps(_value_of(defaults, key)), reasons.get(key, ""))
        for key, kind in _walk(json_schema(), json_schema())
    ]


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of activesel.yaml."""
    return Config.model_json_schema()


def read_reasons(path: Path) -> dict[str, str]:
    """Return the comment above each key of a settings file, by dotted key; two levels, as default.yaml has."""
    reasons: dict[str, str] = {}
    section, comment = "", []
    for line in path.read_text(encoding="utf8").splitlines():
        text = line.strip()
        if text.startswith("#"):
            comment.append(text.lstrip("# "))
            continue
        name, colon, value = text.partition(":")
        if colon:
            section = section if line.startswith(" ") else ""
            reasons[section + name] = " ".join(comment)
            section = section if value.strip() else f"{name}."
        comment = []
    return {key: reason for key, reason in reasons.items() if reason}


def _walk(schema: dict[str, Any], root: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, one in schema["properties"].items():
        target = root["$defs"].get(one.get("$ref", "").rpartition("/")[2])
        if target is None:
            yield prefix + name, _describe(one)
        else:
            yield from _walk(target, root, f"{prefix}{name}.")


def _describe(schema: dict[str, Any]) -> str:
    """Say a JSON schema in a few words: "integer, 1..1024", "one of max, sum", "text or null"."""
    if "anyOf" in schema:
        return " or ".join(_describe(one) for one in schema["anyOf"])
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if "const" in schema:
        return f"always {schema['const']}"
    if "pattern" in schema:
        return f"text like {schema['pattern']}"
    kind = {"string": "text", "object": "mapping"}.get(schema["type"], schema["type"])
    signs = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    bounds = [f"{sign} {schema[key]:g}" for key, sign in signs.items() if key in schema]
    return ", ".join([kind, *bounds])


def _value_of(settings: dict[str, Any], key: str) -> Any:
    value: Any = settings
    for part in key.split("."):
        value = value[part]
    return value
