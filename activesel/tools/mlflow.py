"""The part of MLflow's REST that we use: runs, registered models, versions, aliases. Its answers are checked here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from activesel.errors import DataError, UnreachableError
from activesel.tools.mlflow_files import FileStore, ModelFile
from activesel.tools.rest import MaybeDoneError, Rest

MODEL_TAG = "activesel.model_id"  # by which a run and a version are known again
_FILE_TAG = "activesel.sha256."  # and a file's name: what was sent last, whole
_API = "/api/2.0/mlflow"
_MOST_LENGTH = 5000  # of a parameter or a tag; longer ones are refused
_MOST_AT_ONCE = 100  # parameters or metrics in one request
_FORBIDDEN = re.compile(r"[^\w\-. :/]")  # in the name of a parameter or metric


@dataclass(frozen=True)
class Entry:
    """A model as it stands there. created_ms: since 1970, also the moment of its metrics, so that again is the same."""

    model_id: str
    created_ms: int
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Pushed:
    """version: of the registered model. is_new: it was not there before. uri: where the run's files lie. digests: name
    -> SHA-256 of the files that were sent there."""

    run_id: str
    version: str
    is_new: bool
    uri: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)


class Mlflow:
    """One tracking server. token: sent as a bearer, "" for none."""

    def __init__(self, rest: Rest, token: str = "") -> None:
        self._rest = rest
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def open_model(self, name: str) -> str:
        """Make the experiment and the registered model of this name where they are not; return the experiment's id."""
        answer = self._call("GET", "experiments/get-by-name", missing_ok=True, params={"experiment_name": name})
        if answer is None:
            answer = {"experiment": self._call("POST", "experiments/create", repeatable=False, json={"name": name})}
        experiment = self._object(answer.get("experiment"), "experiment_id")
        if experiment.get("lifecycle_stage") == "deleted":
            raise DataError("this experiment was deleted there", where=self._rest.url, found=repr(name),
                            hint="restore it, or push under another --name")  # fmt: skip
        if self._call("GET", "registered-models/get", missing_ok=True, params={"name": name}) is None:
            self._call("POST", "registered-models/create", repeatable=False, json={"name": name})
        return str(experiment["experiment_id"])

    def push(self, name: str, experiment_id: str, entry: Entry) -> Pushed:
        """Make a run and a version of the registered model ``name``, or bring those that are there up to date."""
        run = self._find_run(experiment_id, entry.model_id) or self._create_run(experiment_id, entry)
        run_id = str(self._object(run.get("info"), "run_id")["run_id"])
        self._log(run_id, entry)
        version, uri = self._find_version(name, entry.model_id), str(run["info"].get("artifact_uri") or "")
        is_new = version is None
        if version is None:
            asked = {"name": name, "source": uri or f"runs:/{run_id}", "run_id": run_id, "tags": _pairs(_tags(entry))}
            made = self._object(self._call("POST", "model-versions/create", repeatable=False, json=asked),
                                "model_version")  # fmt: skip
            version = str(self._object(made["model_version"], "version")["version"])
        return Pushed(run_id, version, is_new, uri, _digests(run))

    def push_files(self, pushed: Pushed, files: Sequence[ModelFile]) -> list[ModelFile]:
        """Send the files that are not there with the same size and digest; return those that were sent.

        Raises:
            NoProxyError: the server takes no files.
        """
        store = FileStore(self._rest, self._headers, pushed.uri)
        there, sent = store.sizes() if files else {}, []
        for file in files:
            same_size = there.get(file.name) == file.path.stat().st_size
            if same_size and pushed.digests.get(file.name) == file.digest:
                continue
            store.put(file)
            tag = {"run_id": pushed.run_id, "key": _FILE_TAG + file.name, "value": file.digest}
            self._call("POST", "runs/set-tag", json=tag)  # after it: a push that was killed sends the file again
            sent.append(file)
        return sent

    def aliases(self, name: str) -> dict[str, str]:
        """Return alias -> version of a registered model."""
        answer = self._object(self._call("GET", "registered-models/get", params={"name": name}), "registered_model")
        listed = answer["registered_model"].get("aliases") or []
        return {str(one["alias"]): str(one["version"]) for one in listed if isinstance(one, dict)}

    def set_alias(self, name: str, alias: str, version: str) -> None:
        self._call("POST", "registered-models/alias", json={"name": name, "alias": alias, "version": version})

    def drop_alias(self, name: str, alias: str) -> None:
        self._call("DELETE", "registered-models/alias", missing_ok=True, json={"name": name, "alias": alias})

    def _find_run(self, experiment_id: str, model_id: str) -> dict[str, Any] | None:
        asked = {"experiment_ids": [experiment_id], "filter": f"tags.`{MODEL_TAG}` = '{model_id}'", "max_results": 1}
        runs = self._call("POST", "runs/search", json=asked).get("runs") or []
        return self._object(runs[0], "info") if runs else None

    def _create_run(self, experiment_id: str, entry: Entry) -> dict[str, Any]:
        asked = {"experiment_id": experiment_id, "run_name": entry.model_id, "start_time": entry.created_ms,
                 "tags": _pairs(_tags(entry))}  # fmt: skip
        made = self._object(self._call("POST", "runs/create", repeatable=False, json=asked), "run")
        return self._object(made["run"], "info")

    def _log(self, run_id: str, entry: Entry) -> None:
        params = _pairs({_name(name): value[:_MOST_LENGTH] for name, value in entry.params.items()})
        metrics = [{"key": _name(name), "value": value, "timestamp": entry.created_ms, "step": 0}
                   for name, value in entry.metrics.items()]  # fmt: skip
        for start in range(0, max(len(params), len(metrics), 1), _MOST_AT_ONCE):
            part = slice(start, start + _MOST_AT_ONCE)
            asked = {"run_id": run_id, "params": params[part], "metrics": metrics[part], "tags": _pairs(_tags(entry))}
            self._call("POST", "runs/log-batch", json=asked)
        self._call("POST", "runs/update", json={"run_id": run_id, "status": "FINISHED", "end_time": entry.created_ms})

    def _find_version(self, name: str, model_id: str) -> str | None:
        asked = {
            "filter": f"tags.`{MODEL_TAG}` = '{model_id}'",
            "max_results": "1000",
        }  # a name with quotes is no filter
        listed = self._call("GET", "model-versions/search", params=asked).get("model_versions") or []
        listed = [self._object(one, "version", "name") for one in listed]
        versions = [int(one["version"]) for one in listed if one["name"] == name]
        return str(min(versions)) if versions else None

    def _call(
        self, method: str, path: str, *, repeatable: bool = True, missing_ok: bool = False, **content: Any
    ) -> Any:
        try:
            status, body = self._rest.send(method, f"{_API}/{path}", self._headers, repeatable=repeatable, **content)
        except MaybeDoneError as error:
            raise UnreachableError("the connection broke, and it is not known whether the server did it",
                                   where=self._rest.url, found=str(error),
                                   hint="run the same command again: nothing is made twice") from None  # fmt: skip
        code = body.get("error_code") if isinstance(body, dict) else None
        if missing_ok and (status == 404 or code == "RESOURCE_DOES_NOT_EXIST"):
            return None
        if code == "RESOURCE_ALREADY_EXISTS" and path.endswith("registered-models/create"):
            return {}
        if status in (401, 403):
            raise UnreachableError("MLflow refuses us", where=self._rest.url, found=f"{status}",
                                   hint="set MLFLOW_TRACKING_TOKEN")  # fmt: skip
        if status >= 300 or not isinstance(body, dict):
            raise DataError(f"MLflow refuses {method} {path}", where=self._rest.url,
                            found=f"{status}: {_complaint(body)}")  # fmt: skip
        return body

    def _object(self, value: Any, *keys: str) -> dict[str, Any]:
        if not isinstance(value, dict) or any(key not in value for key in keys):
            raise DataError("not an answer of MLflow", where=self._rest.url, found=_complaint(value),
                            expected="an object with " + ", ".join(keys))  # fmt: skip
        return value


def _tags(entry: Entry) -> dict[str, str]:
    return {name: value[:_MOST_LENGTH] for name, value in entry.tags.items()} | {MODEL_TAG: entry.model_id}


def _digests(run: Mapping[str, Any]) -> dict[str, str]:
    """Return name -> digest as the tags of a run have them."""
    data = run.get("data")
    tags = data.get("tags") if isinstance(data, dict) else None
    pairs = {str(one.get("key")): str(one.get("value")) for one in tags or () if isinstance(one, dict)}
    return {key.removeprefix(_FILE_TAG): value for key, value in pairs.items() if key.startswith(_FILE_TAG)}


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": name, "value": value} for name, value in sorted(values.items())]


def _name(text: str) -> str:
    return _FORBIDDEN.sub("_", text)[:250]


def _complaint(body: Any) -> str:
    told = body.get("message") if isinstance(body, dict) else body
    return " ".join(str(told).split())[:300]
