"""Settings: layers, unknown keys, values out of range, and who is to blame."""

from __future__ import annotations

from pathlib import Path

import pytest

from activesel.config import load_config
from activesel.errors import ConfigError


def test_later_layers_win(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("seed: 3\nselection: {explore: 0.2}\n")
    config = load_config(tmp_path / "a.yaml", ["selection.explore=0.1", "selection.options.trust=0.5"])
    assert config.seed == 3
    assert config.selection.explore == 0.1
    assert config.selection.options == {"trust": 0.5}
    assert config.selection.strategy == "default"


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("sead: 3", "unknown setting sead; expected seed"),
        ("selection: {stratgy: x}", "unknown setting selection.stratgy; expected selection.strategy"),
        ("seed: -1", r"a.yaml: bad value for seed; found -1"),
        ("selection: 3", "selection is a section"),
        ("- a", "not a mapping"),
        ("a: [", "not valid YAML"),
        ("schema_version: 2", "schema_version"),
        ("embedding: {device: tpu}", "embedding.device"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, yaml: str, message: str) -> None:
    (tmp_path / "a.yaml").write_text(yaml)
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(tmp_path / "a.yaml")
    assert "a.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed=x", "--set seed=x: bad value for seed"),
        ("seed", "expected KEY.KEY=VALUE"),
        ("=3", "expected KEY.KEY=VALUE"),
        ("seed.a=3", "--set seed.a=3: bad value for seed"),
        ("ingest.workers=5000", "--set ingest.workers=5000"),
    ],
)
def test_a_bad_override_is_named(tmp_path: Path, override: str, message: str) -> None:
    (tmp_path / "a.yaml").write_text("seed: 3\n")
    with pytest.raises(ConfigError, match=message):
        load_config(tmp_path / "a.yaml", [override])


def test_an_override_that_is_no_yaml_is_text() -> None:
    assert load_config(None, ["ingest.path_pattern={line}/{part}.png"]).ingest.path_pattern == "{line}/{part}.png"


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="activesel init"):
        load_config(tmp_path / "none.yaml")
