"""Label Studio in memory, as far as the adapter sees it. A fake, because the real server starts in half a minute and
cannot be made to break a connection at a chosen moment; tests/tools/test_label_studio_server.py runs the real one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

LEGACY, PERSONAL = "0123456789abcdef", "head.body.tail"


@dataclass
class FakeLabelStudio:
    """requests: "POST /api/projects/" and so on, in order. before: called with each request; it may answer or raise."""

    projects: list[dict[str, Any]] = field(default_factory=list)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)
    storages: list[dict[str, Any]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    before: Callable[[httpx.Request], httpx.Response | None] = lambda _request: None
    after: Callable[[httpx.Request], None] = lambda _request: None
    n_access: int = 0
    _now: datetime = datetime(2026, 11, 26, tzinfo=UTC)

    @property
    def writes(self) -> list[str]:
        return [one for one in self.requests if not one.startswith("GET")]

    def annotate(self, number: int, by: int, *, name: str | None = None, **more: Any) -> dict[str, Any]:
        """Let a person answer the task, as the page does."""
        task = self.tasks[number]
        result = [] if name is None else [{"type": "choices", "from_name": "class", "to_name": "image",
                                           "value": {"choices": [name]}}]  # fmt: skip
        shown = task["predictions"][0] if task["predictions"] else {}
        made = {"id": len(self.requests) * 100 + len(task["annotations"]), "completed_by": by, "result": result,
                "was_cancelled": False, "lead_time": 2.5, "prediction": shown, "created_at": self._tick(),
                "unique_id": f"u-{number}-{by}", "ground_truth": False, **more}  # fmt: skip
        task["annotations"].append(made)
        task["updated_at"] = self._tick()
        return made

    def later(self, hours: float) -> None:
        self._now += timedelta(hours=hours)

    def _tick(self) -> str:
        self._now += timedelta(milliseconds=7)
        return self._now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(f"{request.method} {request.url.path}")
        answer = self.before(request)
        if answer is None:
            answer = self._answer(request)
            self.after(request)
        return answer

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path, method = request.url.path, request.method
        if path == "/api/token/refresh":
            if json.loads(request.content)["refresh"] != PERSONAL:
                return httpx.Response(401, json={"detail": "Token is invalid"})
            self.n_access += 1
            return httpx.Response(200, json={"access": f"access-{self.n_access}"})
        allowed = {f"Token {LEGACY}", f"Bearer access-{self.n_access}"}
        if request.headers.get("authorization") not in allowed:
            return httpx.Response(401, json={"detail": "Invalid token."})
        for pattern, methods in self._routes().items():
            if (found := re.fullmatch(pattern, path)) and method in methods:
                return methods[method](request, *map(int, found.groups()))
        raise AssertionError(f"the real server has no {method} {path}, or we never looked")

    def _routes(self) -> dict[str, dict[str, Callable[..., httpx.Response]]]:
        return {
            "/api/current-user/whoami": {"GET": lambda _: _ok({"email": "bot@example.com"})},
            "/api/users/": {"GET": lambda _: _ok([{"id": i, "email": f"{who}@x.example"} for i, who in
                                                  ((1, "ann"), (2, "bob"))])},
            "/api/projects/": {"GET": self._list_projects, "POST": self._create},
            r"/api/projects/(\d+)/": {"GET": self._get_project, "PATCH": self._patch_project},
            r"/api/projects/(\d+)/import": {"POST": self._import},
            r"/api/projects/(\d+)/file-uploads": {"GET": lambda _, __: _ok(self.files)},
            r"/api/import/file-upload/(\d+)": {"GET": lambda _, i: _ok(self.files[i - 1])},
            r"/api/projects/(\d+)/export": {"GET": self._export},
            "/api/tasks": {"GET": self._list_tasks},
            r"/api/tasks/(\d+)/": {"PATCH": self._patch_task, "DELETE": self._delete_task},
            "/api/storages/localfiles/": {"GET": lambda _: _ok(self.storages), "POST": self._add_storage},
        }  # fmt: skip

    def _list_projects(self, request: httpx.Request) -> httpx.Response:
        title = request.url.params["title"]  # the real one finds parts of titles, too
        return _ok({"results": [one for one in self.projects if title in one["title"]], "next": None})

    def _create(self, request: httpx.Request) -> httpx.Response:
        self.projects.append({"id": len(self.projects) + 1, **json.loads(request.content)})
        return httpx.Response(201, json=self.projects[-1])

    def _get_project(self, _request: httpx.Request, number: int) -> httpx.Response:
        found = [one for one in self.projects if one["id"] == number]
        return _ok(found[0]) if found else httpx.Response(404, json={"detail": "Not found."})

    def _patch_project(self, request: httpx.Request, number: int) -> httpx.Response:
        self.projects[number - 1].update(json.loads(request.content))
        return _ok(self.projects[number - 1])

    def _import(self, request: httpx.Request, project: int) -> httpx.Response:
        if request.headers["content-type"].startswith("multipart/"):
            name = re.search(rb'filename="([^"]+)"', request.content)
            assert name is not None
            number = len(self.files) + 1
            self.files.append({"id": number, "file": f"upload/{project}/{number:08x}-{name[1].decode()}"})
            return httpx.Response(201, json={"file_upload_ids": [number]})
        for one in json.loads(request.content):
            task = {"id": len(self.tasks) + 1, "project": project, "overlap": 1, "annotations": [], "drafts": [],
                    "updated_at": self._tick(), **one}  # fmt: skip
            self.tasks.append(task)
        return httpx.Response(201, json={"task_count": len(self.tasks)})

    def _list_tasks(self, request: httpx.Request) -> httpx.Response:
        asked = request.url.params
        items = json.loads(asked["query"]).get("filters", {"items": []})["items"]
        found = [one for one in self.tasks if str(one["project"]) == asked["project"]
                 and all(one["updated_at"] > item["value"] for item in items)]  # fmt: skip
        size, page = 4, int(asked["page"])  # fewer than asked for, as a server may decide
        part = found[(page - 1) * size : page * size]
        if not part and page > 1:
            return httpx.Response(404, json={"detail": "Invalid page."})
        listed = [{**one, **_count(one["annotations"]), "annotations": None} for one in part]
        return _ok({"tasks": listed, "total": len(found)})

    def _export(self, request: httpx.Request, _project: int) -> httpx.Response:
        wanted = {int(one) for one in request.url.params.get_list("ids[]")}
        return _ok([one for one in self.tasks if one["id"] in wanted])

    def _patch_task(self, request: httpx.Request, number: int) -> httpx.Response:
        (task,) = [one for one in self.tasks if one["id"] == number]
        task.update(json.loads(request.content))
        return _ok(task)

    def _delete_task(self, _request: httpx.Request, number: int) -> httpx.Response:
        self.tasks = [one for one in self.tasks if one["id"] != number]
        return httpx.Response(204)

    def _add_storage(self, request: httpx.Request) -> httpx.Response:
        self.storages.append(json.loads(request.content))
        return httpx.Response(201, json=self.storages[-1])


def _ok(value: Any) -> httpx.Response:
    return httpx.Response(200, json=value)


def _count(annotations: list[dict[str, Any]]) -> dict[str, int]:
    n_skipped = sum(one["was_cancelled"] for one in annotations)
    return {"total_annotations": len(annotations) - n_skipped, "cancelled_annotations": n_skipped}
