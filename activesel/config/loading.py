"""Settings: one YAML file over the shipped defaults, --set on top, unknown keys refused. Reads, decides nothing."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from activesel.config.flywheel import (
    EventsConfig,
    FeedbackConfig,
    GateConfig,
    MonitoringConfig,
    RoundsConfig,
    ServingConfig,
    TrainingConfig,
)
from activesel.config.sections import (
    CatalogConfig,
    DatasetConfig,
    DuplicatesConfig,
    EmbeddingConfig,
    IngestConfig,
    PrelabelConfig,
    QualityConfig,
    ReportConfig,
    ReviewConfig,
    RoutingConfig,
    ScoresConfig,
    Section,
    SelectionConfig,
    StoppingConfig,
    SynthConfig,
    WeakConfig,
)
from activesel.errors import ConfigError


class Config(Section):
    schema_version: Literal[1]
    seed: int = Field(ge=0, lt=2**63)
    catalog: CatalogConfig
    ingest: IngestConfig
    embedding: EmbeddingConfig
    duplicates: DuplicatesConfig
    selection: SelectionConfig
    scores: ScoresConfig
    stopping: StoppingConfig
    synth: SynthConfig
    routing: RoutingConfig
    quality: QualityConfig
    prelabel: PrelabelConfig
    weak: WeakConfig
    dataset: DatasetConfig
    report: ReportConfig
    review: ReviewConfig
    rounds: RoundsConfig
    training: TrainingConfig
    monitoring: MonitoringConfig
    gate: GateConfig
    events: EventsConfig
    feedback: FeedbackConfig
    serving: ServingConfig


def default_path() -> Path:
    """Return the shipped default.yaml: inside the package once installed, at the top level in a checkout."""
    here = Path(__file__).resolve().parent.parent
    installed = here / "configs" / "default.yaml"
    return installed if installed.exists() else here.parent / "configs" / "default.yaml"


def load_config(path: Path | None = None, overrides: Sequence[str] = ()) -> Config:
    """Read the defaults, lay ``path`` over them, then each ``a.b=value`` (value in YAML).

    Raises:
        ConfigError: a file that is not YAML, an unknown key (with the nearest known one), a value out of range.
    """
    layers = [(str(default_path()), _read_yaml(default_path()))]
    layers += [(str(path), _read_yaml(path))] if path is not None else []
    layers += [(f"--set {override}", _parse_override(override)) for override in overrides]
    settings = layers[0][1]
    config = _validate(settings, layers[0][0])
    for where, layer in layers[1:]:
        _merge(settings, layer, where=where)
        config = _validate(settings, where)  # after each layer, so that an error names the layer that brought it
    return config


def _validate(settings: dict[str, Any], where: str) -> Config:
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"bad value for {key}", where=where, found=repr(first["input"]), expected=first["msg"],
                          hint="see `activesel config schema`") from None  # fmt: skip


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf8"))
    except FileNotFoundError:
        raise ConfigError("no such settings file", where=str(path), hint="run `activesel init`") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError("not valid YAML", where=str(path), found=" ".join(str(error).split())) from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigError(
            "settings are not a mapping", where=str(path), found=type(loaded).__name__, expected="key: value"
        )
    return loaded


def _parse_override(override: str) -> dict[str, Any]:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError("cannot read a setting", where=f"--set {override}", expected="KEY.KEY=VALUE")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text  # such as the path pattern {station}/{part}.png
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


# Keys below these are the strategy's, the trainer's, or names of classes.
_FREE_FORM = {"feedback.names", "selection.options", "training.options"}


def _merge(base: dict[str, Any], over: dict[str, Any], *, where: str, prefix: str = "") -> None:
    """Lay ``over`` onto ``base`` in place, refusing keys that ``base`` does not have."""
    for key, value in over.items():
        name = f"{prefix}{key}"
        if key not in base and prefix.rstrip(".") not in _FREE_FORM:
            near = difflib.get_close_matches(str(key), list(base), n=1)
            expected = f"{prefix}{near[0]}" if near else "one of " + ", ".join(prefix + known for known in base)
            raise ConfigError(
                f"unknown setting {name}", where=where, expected=expected, hint="see `activesel config show`"
            )
        if isinstance(base.get(key), dict):
            if not isinstance(value, dict):
                raise ConfigError(f"{name} is a section", where=where, found=repr(value), expected="its keys below it")
            _merge(base[key], value, where=where, prefix=f"{name}.")
        else:
            base[key] = value
