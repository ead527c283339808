"""The part of Label Studio's REST that we use: projects, tasks, uploads, users. What it answers is checked here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from activesel.errors import DataError, UnreachableError
from activesel.tools.rest import Rest

_PAGE = 500  # tasks in one answer
_MOST_PAGES = 100_000
_EXPORT_PART = 100  # tasks whose numbers fit into one address


@dataclass(frozen=True)
class Project:
    project_id: int
    title: str
    config: str  # the labelling interface, XML


class LabelStudio:
    """One server and one token of it. token_from: what to call the token in messages, e.g. "--token".

    Both kinds of token work: a legacy one is sent as it is, a personal access token (a JWT) buys access for minutes.
    """

    def __init__(self, rest: Rest, token: str, token_from: str) -> None:
        self._rest = rest
        self._token = token
        self._token_from = token_from
        self._personal = token.count(".") == 2
        self._access = ""

    @property
    def url(self) -> str:
        return self._rest.url

    def whoami(self) -> str:
        """Return the e-mail address of the token's owner; what fails here fails before anything is changed."""
        return str(self._object(self._call("GET", "/api/current-user/whoami"), "email")["email"])

    def find_project(self, title: str) -> Project | None:
        """Return the project of exactly this title, the oldest if there are several."""
        found: list[Project] = []
        for page in range(1, _MOST_PAGES):
            query = {"title": title, "page": page, "page_size": _PAGE}
            listed = self._object(self._call("GET", "/api/projects/", params=query), "results")
            found += [project for one in listed["results"] if (project := _project(one)).title == title]
            if not listed.get("next"):
                break
        return min(found, key=lambda one: one.project_id, default=None)

    def get_project(self, project_id: int) -> Project | None:
        """Return a project, None where it is gone."""
        answer = self._call("GET", f"/api/projects/{project_id}/", missing_ok=True)
        return None if answer is None else _project(answer)

    def create_project(self, title: str, config: str, description: str) -> Project:
        asked = {"title": title, "label_config": config, "description": description}
        return _project(self._call("POST", "/api/projects/", json=asked, repeatable=False))

    def set_config(self, project: Project, config: str) -> None:
        self._call("PATCH", f"/api/projects/{project.project_id}/", json={"label_config": config})

    def tasks(self, project_id: int) -> Iterator[dict[str, Any]]:
        """Yield a project's tasks, without their annotations but with their numbers, in the order of their ids."""
        asked = {"project": project_id, "page_size": _PAGE, "query": json.dumps({"ordering": ["tasks:id"]})}
        n_seen = 0
        for page in range(1, _MOST_PAGES):
            listed = self._call("GET", "/api/tasks", params={**asked, "page": page}, missing_ok=True)
            if listed is None:  # past the last page
                return
            tasks = self._object(listed, "tasks", "total")["tasks"]
            yield from (self._object(one, "id", "data", "updated_at") for one in tasks)
            n_seen += len(tasks)
            if not tasks or n_seen >= listed["total"]:
                return

    def export(self, project_id: int, task_ids: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Yield tasks with their annotations as the export writes them: each with its unique_id, and the prediction
        that stood beside it when it was made, which the list of tasks does not say."""
        asked = {"exportType": "JSON", "download_all_tasks": "true"}
        for start in range(0, len(task_ids), _EXPORT_PART):
            query = {**asked, "ids[]": list(task_ids[start : start + _EXPORT_PART])}
            listed = self._call("GET", f"/api/projects/{project_id}/export", params=query)
            yield from (self._object(one, "id", "data", "annotations") for one in listed or ())

    def import_tasks(self, project_id: int, tasks: Sequence[Mapping[str, Any]]) -> None:
        """Add tasks, all of them or none.

        Raises:
            MaybeDoneError: the connection broke; list the tasks to learn whether they are there.
        """
        self._call("POST", f"/api/projects/{project_id}/import", json=list(tasks), repeatable=False)

    def delete_task(self, task_id: int) -> None:
        self._call("DELETE", f"/api/tasks/{task_id}/", missing_ok=True)

    def set_overlap(self, task_id: int, n_wanted: int) -> None:
        """Let so many people answer a task, each without seeing the others."""
        self._call("PATCH", f"/api/tasks/{task_id}/", json={"overlap": n_wanted})

    def uploads(self, project_id: int) -> list[str]:
        """Return the paths of the files that were uploaded to a project, as tasks show them."""
        listed = self._call("GET", f"/api/projects/{project_id}/file-uploads", params={"all": "true"})
        return [_shown(one) for one in listed or () if isinstance(one, dict)]

    def upload(self, project_id: int, name: str, content: bytes) -> str:
        """Upload an image without making a task of it; return the path that a task shows it by."""
        files = {"file": (name, content, "application/octet-stream")}
        asked = {"commit_to_project": "false"}
        path = f"/api/projects/{project_id}/import"
        answer = self._object(self._call("POST", path, params=asked, files=files), "file_upload_ids")
        (upload_id,) = answer["file_upload_ids"]
        return _shown(self._object(self._call("GET", f"/api/import/file-upload/{int(upload_id)}"), "file"))

    def serve_folder(self, project_id: int, folder: str) -> None:
        """Let the project's people see images that lie below a folder of the server's own disk."""
        listed = self._call("GET", "/api/storages/localfiles/", params={"project": project_id})
        if not any(isinstance(one, dict) and one.get("path") == folder for one in listed or ()):
            asked = {"project": project_id, "path": folder, "title": "activesel", "use_blob_urls": True}
            self._call("POST", "/api/storages/localfiles/", json=asked)

    def users(self) -> dict[int, str]:
        """Return what to call each person, by their number: the e-mail address, else the user name."""
        listed = self._call("GET", "/api/users/")
        people = [self._object(one, "id") for one in listed] if isinstance(listed, list) else []
        return {int(one["id"]): str(one.get("email") or one.get("username") or one["id"]) for one in people}

    def _call(
        self, method: str, path: str, *, repeatable: bool = True, missing_ok: bool = False, **content: Any
    ) -> Any:
        status, body = self._rest.send(method, path, self._headers(), repeatable=repeatable, **content)
        if status == 401 and self._personal:  # access lasts for minutes
            self._access = ""
            status, body = self._rest.send(method, path, self._headers(), repeatable=repeatable, **content)
        if status == 401:
            raise self._refused(body)
        if status == 404 and missing_ok:
            return None
        if status >= 300:
            raise DataError(
                f"Label Studio refuses {method} {path}", where=self.url, found=f"{status}: {_complaint(body)}"
            )
        return body

    def _headers(self) -> dict[str, str]:
        if not self._personal:
            return {"Authorization": f"Token {self._token}"}
        if not self._access:
            status, body = self._rest.send("POST", "/api/token/refresh", {}, json={"refresh": self._token})
            if status != 200:
                raise self._refused(body)
            self._access = str(self._object(body, "access")["access"])
        return {"Authorization": f"Bearer {self._access}"}

    def _refused(self, body: Any) -> UnreachableError:
        kind = "personal access token" if self._personal else "legacy token"
        return UnreachableError(f"Label Studio refuses the {kind} from {self._token_from}", where=self.url,
                                found=_complaint(body), hint="copy it again from Account & Settings there")  # fmt: skip

    def _object(self, value: Any, *keys: str) -> dict[str, Any]:
        if not isinstance(value, dict) or any(key not in value for key in keys):
            raise DataError("not an answer of Label Studio", where=self.url, found=_complaint(value),
                            expected="an object with " + ", ".join(keys))  # fmt: skip
        return value


def _project(value: Any) -> Project:
    if not isinstance(value, dict) or not isinstance(value.get("id"), int):
        raise DataError("not a project of Label Studio", found=_complaint(value))
    return Project(value["id"], str(value.get("title", "")), str(value.get("label_config", "")))


def _shown(upload: Mapping[str, Any]) -> str:
    path = str(upload.get("file", ""))
    return path if path.startswith("/data/") else "/data/" + path.lstrip("/")


def _complaint(body: Any) -> str:
    """Return what the server said, on one line and short."""
    told = body.get("detail") if isinstance(body, dict) and body.get("validation_errors") is None else None
    return " ".join(str(told if told is not None else body).split())[:300]
