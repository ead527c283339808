"""Files of a run by way of MLflow's own artifact proxy, streamed from the disk; what is there already is not sent."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx

from activesel.errors import DataError, UnreachableError
from activesel.tools.rest import Rest

_API = "/api/2.0/mlflow-artifacts/artifacts"
_CHUNK_BYTES = 1 << 20
_TIMEOUT = httpx.Timeout(600, connect=10)  # seconds; the server answers once the file is in its own store
_SAFE_NAME = re.compile(r"[A-Za-z0-9_][\w.\-]*")


class NoProxyError(Exception):
    """Why the server takes no files; in one line."""


@dataclass(frozen=True)
class ModelFile:
    """name: as it is called there. path: here. digest: SHA-256, hex, of its bytes."""

    name: str
    path: Path
    digest: str


class FileStore:
    """The artifacts of one run. uri: the run's artifact_uri, as the server told it."""

    def __init__(self, rest: Rest, headers: Mapping[str, str], uri: str) -> None:
        """
        Raises:
            NoProxyError: the run's files lie where only clients with rights of their own can write.
        """
        parts = urlsplit(uri)
        if parts.scheme != "mlflow-artifacts":
            raise NoProxyError(f"the server has no artifact proxy: files of its runs lie in {uri[:120]!r}")
        if parts.netloc and parts.netloc != urlsplit(rest.url).netloc:
            raise NoProxyError(f"files of its runs lie on another server, {parts.netloc[:120]!r}")
        self._rest, self._headers, self._folder = rest, dict(headers), unquote(parts.path).strip("/")

    def sizes(self) -> dict[str, int]:
        """Return name -> bytes of the files that are there.

        Raises:
            NoProxyError: the proxy was turned off.
        """
        try:
            status, body = self._rest.send("GET", _API, self._headers, params={"path": self._folder})
        except UnreachableError:  # the server answered a moment ago; where the proxy is off it says 503
            raise NoProxyError(
                "the server's artifact proxy does not answer; was it started with --no-serve-artifacts?"
            ) from None
        if status == 404:
            raise NoProxyError("the server has no artifact proxy: its address is unknown there")
        listed = body.get("files", []) if status < 300 and isinstance(body, dict) else None
        if not isinstance(listed, list):
            raise self._refused("GET", status, body)
        return {str(one.get("path")): _number(one.get("file_size")) for one in listed if isinstance(one, dict)}

    def put(self, file: ModelFile) -> None:
        """Send one file, in place of the one of this name.

        Raises:
            DataError: the server refuses it or its name, or its digest is another. UnreachableError: no answer.
        """
        if not _SAFE_NAME.fullmatch(file.name):
            raise DataError("a file whose name MLflow would not take", where=str(file.path), found=repr(file.name))
        with file.path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != file.digest:
                raise DataError("a file of this model was changed after the model was made", where=str(file.path),
                                hint="run `activesel train` again, or push with --no-files")  # fmt: skip
        size = file.path.stat().st_size
        headers = {**self._headers, "Content-Length": str(size), "Content-Type": "application/octet-stream"}
        path = quote(f"{_API}/{self._folder}/{file.name}")
        status, body = self._rest.send("PUT", path, headers, content=_Stream(file.path), timeout=_TIMEOUT)
        if status >= 300:
            raise self._refused(f"PUT {file.name}", status, body)

    def _refused(self, what: str, status: int, body: Any) -> DataError:
        told = body.get("message") if isinstance(body, dict) else body
        return DataError(f"MLflow's artifact proxy refuses {what}", where=self._rest.url,
                         found=f"{status}: {' '.join(str(told).split())[:300]}",
                         hint="--no-files pushes without files")  # fmt: skip


class _Stream:
    """A file's bytes, from its beginning each time they are asked for: a request that broke is sent again."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[bytes]:
        with self._path.open("rb") as stream:
            while part := stream.read(_CHUNK_BYTES):
                yield part


def _number(value: Any) -> int:
    """Return a size as JSON has it: a number, or its digits as text; -1 for anything else, which is no file's size."""
    return int(value) if isinstance(value, int) or (isinstance(value, str) and value.isdecimal()) else -1
