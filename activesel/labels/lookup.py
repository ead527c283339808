"""Find the image that a label file means, by id, by path, or by an ending of the path that only one image has."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from activesel.errors import DataError

SET_ASIDE = "set aside"  # stands for an image that ingest could not use; a label for it is no error, and no use


class ImageLookup:
    """Resolves what label files write to image ids; opens no file.

    ids_by_path: absolute path -> image id (Catalog.resolve). set_aside: absolute paths of quarantined files.
    sizes: image id -> width, height in pixels, for formats that give coordinates as shares of the image.
    """

    def __init__(
        self,
        ids_by_path: Mapping[str, str],
        set_aside: Iterable[str] = (),
        sizes: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:
        self._ids_by_path = {**dict.fromkeys(set_aside, SET_ASIDE), **ids_by_path}
        self._ids = frozenset(ids_by_path.values())
        self._sizes = sizes or {}
        self._paths_by_stem: dict[str, list[str]] | None = None

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

    def by_stem(self, text: str, *, where: str) -> str | None:
        """Return the id of the image whose path, without its suffix, ends in ``text``.

        Raises:
            DataError: the ending fits several images.
        """
        return self._by_ending(text, where, without_suffix=True)

    def by_url(self, text: str, folder: Path, *, where: str) -> str | None:
        """Return the id of the image at a path or URL, whose host or bucket does not matter.

        Of "/data/local-files/?d=line-4/a.png" counts what stands behind d=.

        Raises:
            DataError: the ending fits several images.
        """
        found = self.by_path(text, folder, where=where)
        if found is not None:
            return found
        try:
            parts = urlsplit(text)
            inner = parse_qs(parts.query).get("d", [unquote(parts.path)])[0].lstrip("/")
        except ValueError:
            return None
        return (self._ids_by_path.get("/" + inner) or self._by_ending(inner, where)) if inner else None

    def find(self, image_id: object, name: object, folder: Path, *, where: str) -> str:
        """Return the id of the image with this id, else at this path or URL; empty where nobody knows it.

        Raises:
            DataError: neither is a text, or the name fits several images.
        """
        if isinstance(image_id, str) and image_id in self._ids:
            return image_id
        if isinstance(name, str) and name:
            return self.by_url(name, folder, where=where) or ""
        if isinstance(image_id, str) and image_id:
            return ""
        raise DataError("names no image", where=where, expected="a path or an image id")

    def size_of(self, image_id: str, where: str) -> tuple[int, int]:
        """Return width and height in pixels; 1, 1 for an image that is of no use anyway.

        Raises:
            DataError: the catalog does not know them.
        """
        size = self._sizes.get(image_id, (0, 0))
        if image_id in self._ids and 0 in size:
            raise DataError("the size of this image is not known", where=where, hint="run `activesel ingest` again")
        return size if 0 not in size else (1, 1)

    def short_name(self, path: str) -> str:
        """Return the shortest ending of a known path that, also without its suffix, no other image has."""
        parts = path.lstrip("/").split("/")
        for n_parts in range(1, len(parts)):
            name = "/".join(parts[-n_parts:])
            if len(self._fitting(str(PurePosixPath(name).with_suffix("")), without_suffix=True)) == 1:
                return name
        return path

    def _by_ending(self, text: str, where: str, *, without_suffix: bool = False) -> str | None:
        fitting = self._fitting(text, without_suffix=without_suffix)
        if len(fitting) > 1:
            paths = sorted(path for some in fitting.values() for path in some)
            raise DataError(f"{text!r} fits several images", where=where, found=", ".join(paths[:2]),
                            hint="write more of the path")  # fmt: skip
        return next(iter(fitting), None)

    def _fitting(self, text: str, *, without_suffix: bool) -> dict[str, list[str]]:
        """Return the images whose path ends in ``text``, each with its paths."""
        if self._paths_by_stem is None:
            self._paths_by_stem = defaultdict(list)
            for path in self._ids_by_path:
                self._paths_by_stem[_stem(path)].append(path)
        ending = "/" + text.lstrip("/")
        name = ending.rpartition("/")[2]
        fitting: dict[str, list[str]] = defaultdict(list)
        for path in self._paths_by_stem.get(name if without_suffix else _stem(ending), ()):
            if (path.removesuffix(_suffix(path)) if without_suffix else path).endswith(ending):
                fitting[self._ids_by_path[path]].append(path)
        return fitting


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1]  # noqa: PTH122 - on a million paths a Path each is slow


def _stem(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(_suffix(path))
