"""Files of a run against a proxy made of a dictionary: what is sent, what is not, and what it says to refusals."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from activesel.errors import DataError
from activesel.tools.mlflow import Mlflow, Pushed
from activesel.tools.mlflow_files import FileStore, ModelFile, NoProxyError
from activesel.tools.rest import Rest

URI = "mlflow-artifacts:/1/run/artifacts"
PROXY = "/api/2.0/mlflow-artifacts/artifacts"


def connect(handler: Callable[[httpx.Request], httpx.Response]) -> Rest:
    return Rest("http://mlflow", transport=httpx.MockTransport(handler), sleep=lambda _: None)


def make_file(folder: Path, content: bytes, name: str = "checkpoint.safetensors") -> ModelFile:
    (folder / name).write_bytes(content)
    return ModelFile(name, folder / name, hashlib.sha256(content).hexdigest())


class Server:
    """files: path -> bytes. tags: those that were set. fails: statuses of the next uploads."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.tags: dict[str, str] = {}
        self.fails: list[int] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith("runs/set-tag"):
            asked = json.loads(request.content)
            self.tags[asked["key"].removeprefix("activesel.sha256.")] = asked["value"]
            return httpx.Response(200, json={})
        if request.method == "GET":
            folder = request.url.params["path"]
            listed = [{"path": name.rpartition("/")[2], "is_dir": False, "file_size": str(len(content))}
                      for name, content in self.files.items() if name.rpartition("/")[0] == folder]  # fmt: skip
            return httpx.Response(200, json={"files": listed} if listed else {})
        content = request.read()
        assert request.headers["content-length"] == str(len(content))
        if self.fails:
            return httpx.Response(self.fails.pop(0))
        self.files[path.removeprefix(PROXY + "/")] = content
        return httpx.Response(200, json={})

    def pushed(self) -> Pushed:
        return Pushed("run", "1", False, URI, dict(self.tags))


def test_what_is_there_with_its_size_and_digest_is_not_sent_again(tmp_path: Path) -> None:
    server = Server()
    tool = Mlflow(connect(server))
    file = make_file(tmp_path, b"x" * 3_000_000)
    assert tool.push_files(server.pushed(), [file]) == [file]
    assert server.files == {"1/run/artifacts/checkpoint.safetensors": b"x" * 3_000_000}
    assert tool.push_files(server.pushed(), [file]) == []
    other = make_file(tmp_path, b"y" * 3_000_000)
    assert tool.push_files(server.pushed(), [other]) == [other], "another content of the same size"
    server.files["1/run/artifacts/checkpoint.safetensors"] = b"y"
    assert tool.push_files(server.pushed(), [other]) == [other], "half of it is there"
    server.tags.clear()
    assert tool.push_files(server.pushed(), [other]) == [other], "killed before it was known to be whole"


def test_a_busy_proxy_gets_the_whole_file_again(tmp_path: Path) -> None:
    server = Server()
    server.fails = [502, 503]
    FileStore(connect(server), {}, URI).put(make_file(tmp_path, b"abc"))
    assert server.files == {"1/run/artifacts/checkpoint.safetensors": b"abc"}


@pytest.mark.parametrize(
    ("uri", "said"),
    [("/mlruns/1/run/artifacts", "no artifact proxy: files of its runs lie in '/mlruns"),
     ("s3://plant/1/run", "no artifact proxy"), ("", "no artifact proxy"),
     ("mlflow-artifacts://elsewhere:5000/1/run", "on another server, 'elsewhere:5000'")],
)  # fmt: skip
def test_where_no_files_are_taken_it_says_so(uri: str, said: str) -> None:
    with pytest.raises(NoProxyError, match=said):
        FileStore(connect(Server()), {}, uri)


@pytest.mark.parametrize(("status", "said"), [(503, "--no-serve-artifacts"), (404, "no artifact proxy")])
def test_a_proxy_that_was_turned_off(status: int, said: str) -> None:
    with pytest.raises(NoProxyError, match=said):
        FileStore(connect(lambda _: httpx.Response(status)), {}, URI).sizes()


def test_a_file_that_is_another_one_is_not_sent(tmp_path: Path) -> None:
    server, file = Server(), make_file(tmp_path, b"abc")
    file.path.write_bytes(b"abd")
    with pytest.raises(DataError, match="was changed after the model was made"):
        FileStore(connect(server), {}, URI).put(file)
    assert server.files == {}


def test_refusals_and_strange_answers(tmp_path: Path) -> None:
    refusing = FileStore(connect(lambda _: httpx.Response(413, json={"message": "too\nlarge"})), {}, URI)
    with pytest.raises(DataError, match="413: too large; --no-files"):
        refusing.put(make_file(tmp_path, b"abc"))
    with pytest.raises(DataError, match="refuses GET"):
        refusing.sizes()
    with pytest.raises(DataError, match="refuses GET"):
        FileStore(connect(lambda _: httpx.Response(200, json={"files": "all"})), {}, URI).sizes()
    odd = FileStore(
        connect(lambda _: httpx.Response(200, json={"files": [3, {"path": "a", "file_size": "x"}]})), {}, URI
    )
    assert odd.sizes() == {"a": -1}
    for name in ("../a", ".a", "a/b", "a?b", ""):
        with pytest.raises(DataError, match="a file whose name"):
            odd.put(ModelFile(name, tmp_path, ""))
