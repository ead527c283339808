"""How people come to see the images in Label Studio: uploaded, or read from a disk that it shares with us."""

from __future__ import annotations

import os.path
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from activesel.errors import DataError, UsageError
from activesel.images import content_id
from activesel.records import ImageRow
from activesel.tools.label_studio import LabelStudio, Project

_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "BMP": ".bmp", "WEBP": ".webp"}  # what browsers show, and it takes
_UPLOADED = re.compile(r"[0-9a-f]{8}-([0-9a-f]{32})\.\w+$")  # it puts something random before the name


class ServeUpload:
    """Every image is sent once: what a killed push has sent is found again by the id in its name."""

    part = 50  # tasks in one import: what is uploaded becomes tasks soon

    def __init__(self, tool: LabelStudio, project: Project) -> None:
        self._tool, self._project = tool, project
        self._sent = {found[1]: path for path in tool.uploads(project.project_id) if (found := _UPLOADED.search(path))}

    def prepare(self, images: Sequence[ImageRow]) -> dict[str, str]:
        """Return the address of each image, by id.

        Raises:
            DataError: a file that is gone or has changed, or that no browser shows.
        """
        for image in images:
            if image.image_id not in self._sent:
                self._sent[image.image_id] = self._upload(image)
        return {image.image_id: self._sent[image.image_id] for image in images}

    def _upload(self, image: ImageRow) -> str:
        if image.format not in _SUFFIXES:
            raise DataError("browsers do not show this kind of image", where=image.path, found=image.format,
                            expected=", ".join(_SUFFIXES), hint="ingest a copy of another kind")  # fmt: skip
        path = Path(image.path)
        if content_id(path) != image.image_id:
            raise DataError("the file has changed since it was ingested", where=image.path,
                            hint="run `activesel ingest` again")  # fmt: skip
        name = image.image_id + _SUFFIXES[image.format]
        return self._tool.upload(self._project.project_id, name, path.read_bytes())


class ServeLocal:
    """Nothing is sent: the server reads the files below LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT, ``root`` to us."""

    part = 500  # tasks in one import

    def __init__(self, tool: LabelStudio, project: Project, root: Path) -> None:
        self._tool, self._project, self._root = tool, project, root.resolve()
        self._served: set[str] = set()

    def prepare(self, images: Sequence[ImageRow]) -> dict[str, str]:
        """Return the address of each image, by id.

        Raises:
            UsageError: an image outside the root, or straight in it, which the server refuses to serve.
        """
        paths = {image.image_id: os.path.relpath(image.path, self._root) for image in images}
        for path in paths.values():
            if path.startswith("..") or len(Path(path).parts) < 2:
                raise UsageError("an image does not lie in a folder below the server's", where="--root",
                                 found=str(self._root / path), expected=f"a folder in {self._root}")  # fmt: skip
            self._serve(str(self._root / Path(path).parts[0]))
        return {image_id: "/data/local-files/?d=" + quote(path) for image_id, path in paths.items()}

    def _serve(self, folder: str) -> None:
        if folder not in self._served:
            self._tool.serve_folder(self._project.project_id, folder)
            self._served.add(folder)
