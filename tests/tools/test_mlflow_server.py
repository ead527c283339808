"""The real thing: the registry goes there, again makes nothing twice, aliases follow."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from activesel.catalog import Catalog
from activesel.errors import DataError
from activesel.models import CARD, EVALUATION, PREDICTIONS, Alias, Decision, ModelCard
from activesel.pipelines.registry_push import push_models
from activesel.tools.mlflow import Mlflow
from activesel.tools.rest import Rest
from activesel.trainers.folder import CHECKPOINT, card_to_json, hash_files
from activesel.workspace import Workspace, create_workspace, write_json
from tests.tools.mlflow_server import NoMlflowError, find_program, run_mlflow

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(600)]
FIRST = ModelCard("0" * 12, "head", "abc", ("free", "crack"), "free", 7, "2026-01-01T00:00:00+00:00", {"rate": 0.5})
SECOND = ModelCard("1" * 12, "head", "abd", ("free", "crack"), "free", 7, "2026-01-02T00:00:00+00:00")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    try:
        with run_mlflow() as url:
            yield url
    except NoMlflowError as error:
        pytest.skip(str(error))


@pytest.fixture
def tool(server: str) -> Iterator[Mlflow]:
    rest = Rest(server)
    yield Mlflow(rest)
    rest.close()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = create_workspace(tmp_path / "line 4's")
    with Catalog.open(made.catalog_place) as catalog:
        for card in (FIRST, SECOND):
            catalog.models.register(card)
    share = {"value": 0.9, "low": 0.8, "high": None}
    write_json(made.state / "models" / FIRST.model_id / EVALUATION,
               {"recall": share, "per_class": [{"name": "crack/öx", "f1": share}], "test_set": "t"})  # fmt: skip
    return made


def promote(workspace: Workspace, card: ModelCard, champion: ModelCard | None) -> None:
    with Catalog.open(workspace.catalog_place) as catalog:
        catalog.models.promote(Decision("force", card.model_id, champion and champion.model_id, "done", "test", "2026"))


def ask(url: str, path: str, **query: Any) -> dict[str, Any]:
    found = httpx.get(f"{url}/api/2.0/mlflow/{path}", params=query, timeout=60, trust_env=False).raise_for_status()
    return dict(json.loads(found.content))


def test_push_twice_is_once_and_aliases_follow(server: str, tool: Mlflow, workspace: Workspace) -> None:
    promote(workspace, FIRST, None)
    with Catalog.open(workspace.catalog_place) as catalog:
        catalog.models.name(Alias.challenger, SECOND.model_id)
    first = push_models(workspace, tool)
    again = push_models(workspace, tool)
    assert (first.n_new, again.n_new) == (2, 0)
    assert first.versions == again.versions == {FIRST.model_id: "1", SECOND.model_id: "2"}
    promote(workspace, SECOND, FIRST)
    moved = push_models(workspace, tool)
    assert moved.aliases == {"champion": "2", "previous": "1"}
    model = ask(server, "registered-models/get", name=first.name)["registered_model"]
    assert {one["alias"]: str(one["version"]) for one in model["aliases"]} == {"champion": "2", "previous": "1"}
    listed = ask(server, "model-versions/search", max_results=10)["model_versions"]
    assert len([one for one in listed if one["name"] == first.name]) == 2
    (version,) = [one for one in listed if one["version"] == "1" and one["name"] == first.name]
    assert {one["key"]: one["value"] for one in version["tags"]}["activesel.model_id"] == FIRST.model_id
    data = ask(server, "runs/get", run_id=version["run_id"])["run"]["data"]
    assert {one["key"]: one["value"] for one in data["metrics"]} == {
        "recall": 0.9,
        "recall.low": 0.8,
        "crack/öx.f1": 0.9,
    }
    assert {one["key"]: one["value"] for one in data["params"]}["option.rate"] == "0.5"
    history = ask(server, "metrics/get-history", run_id=version["run_id"], metric_key="recall")["metrics"]
    assert len(history) == 1


def add_weights(workspace: Workspace, n_bytes: int) -> dict[str, bytes]:
    """Give the first model weights and a card, and the catalog the card; return what should go there."""
    folder = workspace.state / "models" / FIRST.model_id
    weights = np.random.default_rng(0).bytes(n_bytes)
    (folder / CHECKPOINT).write_bytes(weights)
    (folder / PREDICTIONS).write_bytes(b"which images there are is nobody's business")
    card = replace(FIRST, files=hash_files(folder))
    write_json(folder / CARD, card_to_json(card))
    with Catalog.open(workspace.catalog_place) as catalog:
        catalog.models.register(card, replaces=True)
    return {name: (folder / name).read_bytes() for name in (CHECKPOINT, CARD, EVALUATION)}


def test_its_files_go_there_once_and_come_back_by_mlflow(
    server: str, tool: Mlflow, workspace: Workspace, tmp_path: Path
) -> None:
    wanted = add_weights(workspace, 5_000_000)
    first, again = push_models(workspace, tool, "filed"), push_models(workspace, tool, "filed")
    assert (first.n_files, again.n_files) == (3, 0)
    assert first.n_bytes == sum(map(len, wanted.values()))
    assert first.notes == again.notes == ()
    write_json(workspace.state / "models" / FIRST.model_id / EVALUATION, {"recall": {"value": 0.8}})
    assert push_models(workspace, tool, "filed").n_files == 1, "evaluated anew"
    wanted[EVALUATION] = (workspace.state / "models" / FIRST.model_id / EVALUATION).read_bytes()
    command = [str(find_program()), "artifacts", "download", "-u", "models:/filed/1", "-d", str(tmp_path / "back")]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"MLFLOW_TRACKING_URI": server, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "back").iterdir()} == wanted


def test_weights_that_were_changed_are_not_pushed_and_those_that_are_gone_are_named(
    tool: Mlflow, workspace: Workspace
) -> None:
    add_weights(workspace, 100)
    (workspace.state / "models" / FIRST.model_id / CHECKPOINT).write_bytes(b"else")
    with pytest.raises(DataError, match="was changed after the model was made"):
        push_models(workspace, tool, "changed")
    (workspace.state / "models" / FIRST.model_id / CHECKPOINT).unlink()
    found = push_models(workspace, tool, "changed")
    assert (found.n_files, found.notes) == (2, (f"{FIRST.model_id}: {CHECKPOINT} was not pushed, it is gone",))


def test_without_files_none_is_sent(tool: Mlflow, workspace: Workspace) -> None:
    add_weights(workspace, 100)
    bare = push_models(workspace, tool, "bare", files=False)
    assert (bare.n_new, bare.n_files, bare.notes) == (2, 0, ())


def test_a_server_without_a_proxy_gets_the_rest(workspace: Workspace) -> None:
    add_weights(workspace, 100)
    try:
        with run_mlflow("--no-serve-artifacts") as url:
            rest = Rest(url)
            found = push_models(workspace, Mlflow(rest), "line")
            rest.close()
    except NoMlflowError as error:
        pytest.skip(str(error))
    assert (found.n_new, found.n_files) == (2, 0)
    (note,) = found.notes
    assert note.startswith("no files were pushed: the server has no artifact proxy")


def test_a_dry_run_changes_nothing(server: str, tool: Mlflow, workspace: Workspace) -> None:
    before = ask(server, "registered-models/search")
    assert push_models(workspace, tool, "other", dry_run=True).n_new == 0
    assert ask(server, "registered-models/search") == before
