"""The story of `activesel doctor`: versions, processor, weights, disk, workspace, each with what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Literal

from activesel.catalog import Catalog
from activesel.config import Config, load_config
from activesel.errors import ActiveselError
from activesel.pipelines.settings import find_workspace_or_none
from activesel.tensors import cpu_multiplies_bfloat16
from activesel.workspace import Workspace

PACKAGES = ("torch", "torchvision", "timm", "faiss-cpu", "scikit-learn", "opencv-python-headless", "pillow")
WARN_FREE_GB = 5.0
FAIL_FREE_GB = 0.2
N_FILES_LOOKED_AT = 2000


@dataclass(frozen=True)
class Check:
    """One line. fail: the main job cannot run. remedy: what to do, empty where all is well."""

    name: str
    state: Literal["ok", "warn", "fail"]
    found: str
    remedy: str = ""


def check_machine(folder: Path | None, overrides: Sequence[str]) -> list[Check]:
    """Look at everything that a selection needs; every finding is a line, not an exception.

    Raises:
        DataError: ``folder`` was named and is no workspace. ConfigError: bad settings.
    """
    workspace = find_workspace_or_none(folder, overrides)
    config = load_config(None, overrides) if workspace is None else workspace.config
    where = Path.cwd() if workspace is None else workspace.root
    checks = [_check_python(), *map(_check_package, PACKAGES), *_check_processor(), _check_weights(config)]
    checks += [_check_disk(where), _check_writable(where if workspace is None else workspace.state)]
    if workspace is None:
        return [*checks, Check("workspace", "ok", f"none at {where} or above; `activesel init` makes one")]
    return [*checks, *_check_workspace(workspace)]


def _check_python() -> Check:
    found = f"{platform.python_version()} on {platform.platform(terse=True)}"
    good = sys.version_info >= (3, 11)
    return Check("python", "ok", found) if good else Check("python", "fail", found, "install Python 3.11 or newer")


def _check_package(name: str) -> Check:
    try:
        return Check(name, "ok", version(name))
    except PackageNotFoundError:
        return Check(name, "fail", "not installed", "run `pip install activesel` again")


def _check_processor() -> Iterator[Check]:
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Check("cores", "ok", f"{n_cores} usable of {os.cpu_count()}")
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Check("torch import", "fail", _one_line(error), "install the torch of constraints.txt")
        return
    native = cpu_multiplies_bfloat16()
    yield Check("bfloat16", "ok", "native" if native else "not native here: embedding runs in float32")
    if torch.cuda.is_available():
        yield Check(
            "CUDA", "ok", f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}, CUDA {torch.version.cuda}"
        )
    else:
        yield Check("CUDA", "ok", "no device: embedding runs on the processor")


def _check_weights(config: Config) -> Check:
    from activesel.embedding import backbone_key

    name = f"{config.embedding.backbone} weights"
    return _check_call(name, lambda: f"found ({backbone_key(config.embedding)})")


def _check_disk(where: Path) -> Check:
    free_gb = shutil.disk_usage(where).free / 1e9
    state: Literal["ok", "warn", "fail"] = "ok"
    if free_gb < WARN_FREE_GB:
        state = "warn" if free_gb >= FAIL_FREE_GB else "fail"
    remedy = "" if state == "ok" else "free some space: a million vectors take 2.6 GB"
    return Check("disk", state, f"{free_gb:.1f} GB free at {where}", remedy)


def _check_writable(folder: Path) -> Check:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"activesel")
        return Check("writable", "ok", str(folder))
    except OSError as error:
        return Check("writable", "fail", f"{folder}: {_one_line(error)}", "mend the permissions or free some space")


def _check_workspace(workspace: Workspace) -> Iterator[Check]:
    yield Check("workspace", "ok", str(workspace.root))
    yield _check_call("catalog", lambda: _count(workspace))
    yield _check_call("vectors", lambda: _count_vectors(workspace))
    yield _check_files(workspace)


def _check_call(name: str, look: Callable[[], str]) -> Check:
    """Turn an error that says what to do into a line that says it."""
    try:
        return Check(name, "ok", look())
    except ActiveselError as error:
        return Check(name, "fail", str(error))


def _count(workspace: Workspace) -> str:
    with Catalog.open(workspace.catalog_place) as catalog:
        counts = catalog.counts()
    return f"{counts.n_images} images, {counts.n_labelled} labelled, {counts.n_quarantined} quarantined files"


def _count_vectors(workspace: Workspace) -> str:
    from activesel.pipelines.embed import open_store

    return f"{len(open_store(workspace))} of {workspace.config.embedding.backbone}"


def _check_files(workspace: Workspace) -> Check:
    try:
        with Catalog.open(workspace.catalog_place) as catalog:
            paths = list(islice(catalog.known_files(), N_FILES_LOOKED_AT))
    except ActiveselError as error:
        return Check("image files", "fail", str(error))
    gone = [path for path in paths if not Path(path).exists()]
    if not gone:
        return Check("image files", "ok", f"all of the {len(paths)} looked at are in place")
    return Check("image files", "warn", f"{len(gone)} of the {len(paths)} looked at are gone, first {gone[0]}",
                 "mount their disk, or run `activesel ingest` where they are now")  # fmt: skip


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
