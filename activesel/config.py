"""Settings: one YAML file over the shipped defaults, --set on top, unknown keys refused. Reads, decides nothing."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_serializer

from activesel.errors import ConfigError, hide_passwords


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CatalogConfig(_Section):
    url: str | None = Field(min_length=1, repr=False)
    namespace: str | None = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")

    @field_serializer("url")
    def _hide_password(self, url: str | None) -> str | None:
        return url and hide_passwords(url)


class IngestConfig(_Section):
    max_megapixels: float = Field(gt=0)
    max_file_mb: float = Field(gt=0)
    workers: int = Field(ge=0, le=1024)
    path_pattern: str | None
    labels_from_folders: bool


class EmbeddingConfig(_Section):
    backbone: str = Field(min_length=1)
    checkpoint: str | None
    batch_size: int = Field(ge=0, le=65536)
    precision: Literal["auto", "float32", "bfloat16"]
    device: str = Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    decode_threads: int = Field(ge=0, le=1024)
    decode_processes: Literal["auto"] | Annotated[int, Field(ge=0, le=1024)]
    shard_rows: int = Field(ge=1, le=1_000_000)
    pooling: Literal["plain", "defect-aware"]
    good: str | None
    tiles: int = Field(ge=0, le=256)


class DuplicatesConfig(_Section):
    similarity: float = Field(gt=0, le=1)
    group_cap: int = Field(ge=0)


class SelectionConfig(_Section):
    strategy: str
    options: dict[str, Any]
    neighbours: int = Field(ge=1, le=1024)
    components: int = Field(ge=0)
    explore: float = Field(ge=0, le=1)
    evaluation: float = Field(ge=0, le=1)
    device: str = Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    memory_limit: str | None
    partitions: int = Field(ge=1, le=4096)


class ScoresConfig(_Section):
    neighbours: int = Field(ge=1, le=1024)
    reduction: Literal["max", "mean_top_k", "sum"]
    reduction_top_k: int = Field(ge=1)


class StoppingConfig(_Section):
    least_gain: float = Field(gt=0, le=1)


class SynthConfig(_Section):
    give_up_error: float = Field(ge=0, lt=1)


class WeakConfig(_Section):
    least_confidence: float = Field(gt=0, le=1)
    rule_accuracy: float = Field(gt=0.5, lt=1)


class RoutingConfig(_Section):
    critical: list[str]
    critical_from: float = Field(gt=0, le=1)
    expert_from: float = Field(ge=0, le=1)
    crowd_opinions: int = Field(ge=1, le=100)
    crowd_cost: float = Field(ge=0)
    expert_cost: float = Field(ge=0)
    crowd_minutes: float = Field(ge=0)
    expert_minutes: float = Field(ge=0)
    most_money: float | None = Field(ge=0)
    most_minutes: float | None = Field(ge=0)
    most_expert_minutes: float | None = Field(ge=0)


class QualityConfig(_Section):
    overlap: float = Field(ge=0, le=1)
    half_width: float = Field(gt=0, le=1)
    gold: float = Field(ge=0, le=1)
    blind_arm: float = Field(ge=0, le=1)
    least_kappa: float = Field(ge=0, le=1)
    least_low: float = Field(ge=0, le=1)
    least_positive: float = Field(ge=0, le=1)
    least_defects: int = Field(ge=0)
    least_gold: float = Field(ge=0, le=1)
    pool_rounds: int = Field(ge=0, le=50)
    iou: float = Field(gt=0, le=1)
    posterior: float = Field(ge=0, le=1)
    model: float = Field(gt=0, le=1)
    audit: float = Field(ge=0, le=1)
    model_weight: float = Field(ge=0, le=1)
    label_error: float | None = Field(ge=0, lt=0.5)
    most_opinions: int = Field(ge=1, le=9)


class PrelabelConfig(_Section):
    accept_precision: float = Field(gt=0.5, lt=1)
    accept_escapes: float = Field(gt=0, lt=1)
    confidence: float = Field(gt=0.5, lt=1)


class DatasetConfig(_Section):
    validation: float = Field(ge=0, lt=0.5)
    test: float = Field(ge=0, lt=0.5)
    group_column: str | None
    licence: str | None
    third_party: list[str]


class ReportConfig(_Section):
    thumbnail_px: int = Field(ge=16, le=1024)
    map_points: int = Field(ge=10, le=100_000)


class ReviewConfig(_Section):
    classes: list[str]
    guideline: str = Field(max_length=64)
    image_px: int = Field(ge=256, le=16384)


class Config(_Section):
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


def default_path() -> Path:
    """Return the shipped default.yaml: inside the package once installed, at the top level in a checkout."""
    here = Path(__file__).resolve().parent
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


_FREE_FORM = {"selection.options"}  # keys below these are the strategy's own


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
