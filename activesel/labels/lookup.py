"""Find the image that a label file means, by id, by path, or by an ending of the path that only one image has."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from activesel.errors import DataError

SET_ASIDE = "set aside"  # stands for an image that ingest could not use; a label for it is no error, and no use


class ImageLookup:
    """Resolves what label files write to image ids.

    ids_by_path: absolute path -> image id (Catalog.resolve). set_aside: absolute paths of quarantined files.
    """

    def __init__(self, ids_by_path: Mapping[str, str], set_aside: Iterable[str] = ()) -> None:
        self._ids_by_path = {**dict.fromkeys(set_aside, SET_ASIDE), **ids_by_path}
        self._ids = frozenset(ids_by_path.values())
        self._paths_by_name: dict[str, list[str]] | None = None

    def by_id(self, text: str) -> str | None:
        return text if text in self._ids else None

    def by_path(self, text: str, folder: Path, *, where: str) -> str | None:
        """Return the id of the image at an absolute path, at one below ``folder``, or whose path ends in ``text``.

        Raises:
            DataError: the ending fits several images.
        """
        text = text.replace("\\", "/")
        absolute = os.path.normpath(folder / text)  # not resolve(): the catalog's paths keep their links
        return self._ids_by_path.get(absolute) or self._by_ending(os.path.normpath(text), where)

    def _by_ending(self, text: str, where: str) -> str | None:
        if self._paths_by_name is None:
            self._paths_by_name = defaultdict(list)
            for path in self._ids_by_path:
                self._paths_by_name[path.rpartition("/")[2]].append(path)
        ending = "/" + text.lstrip("/")
        fitting = [path for path in self._paths_by_name.get(ending.rpartition("/")[2], ()) if path.endswith(ending)]
        ids = {self._ids_by_path[path] for path in fitting}
        if len(ids) > 1:
            raise DataError(f"{text!r} fits several images", where=where, found=", ".join(sorted(fitting)[:2]),
                            hint="write more of the path")  # fmt: skip
        return ids.pop() if ids else None
