"""Weights from a file that nobody has vouched for: read without running its code, matched to a network by name."""

from __future__ import annotations

import functools
import hashlib
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from activesel.errors import ConfigError, DataError

if TYPE_CHECKING:
    from torch import Tensor, nn

_NESTED_UNDER = ("state_dict", "model_state_dict", "model")
_WRAPPER_PREFIXES = ("module.", "_orig_mod.")  # DataParallel's and torch.compile's


def weights_digest(path: Path) -> str:
    """Return the SHA-256 of the file, 64 hex digits.

    Raises:
        ConfigError: there is no such file.
    """
    try:
        status = path.stat()
        return _digest(path, status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise ConfigError("cannot read the checkpoint", where=str(path), found=error.strerror or str(error),
                          hint="set embedding.checkpoint to a .pt, .pth or .safetensors file") from None  # fmt: skip


@functools.lru_cache(maxsize=8)
def _digest(path: Path, _mtime_ns: int, _size: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a .pt, .pth or .safetensors file by name, in the file's order, on the CPU.

    A dict found under "state_dict", "model_state_dict" or "model" is used; "module." and "_orig_mod." are stripped.

    Raises:
        ConfigError: another suffix. DataError: the file is damaged, holds more than tensors, or holds none.
    """
    if path.suffix == ".safetensors":
        loaded: Any = _read_safetensors(path)
    elif path.suffix in (".pt", ".pth"):
        loaded = _read_torch(path)
    else:
        raise ConfigError("unknown kind of checkpoint", where=str(path), expected=".pt, .pth or .safetensors")
    for key in _NESTED_UNDER:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    tensors = _tensors_of(loaded)
    if not tensors:
        raise DataError("no tensors in the checkpoint", where=str(path), expected="a state dict")
    return tensors


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (OSError, SafetensorError, ValueError) as error:
        raise _damaged(path, error) from None


def _read_torch(path: Path) -> Any:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of an unusual pickle protocol: it loads, or it raises
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise DataError("the checkpoint holds more than tensors", where=str(path), expected="only a state dict",
                        hint="save it with torch.save(model.state_dict(), PATH)") from None  # fmt: skip
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> DataError:
    text = " ".join(str(error).split())[:200] or type(error).__name__
    return DataError("cannot read the checkpoint", where=str(path), found=text)


def _tensors_of(loaded: Any) -> dict[str, Tensor]:
    import torch

    if not isinstance(loaded, Mapping):
        return {}
    tensors = {str(name): value for name, value in loaded.items() if isinstance(value, torch.Tensor)}
    for prefix in _WRAPPER_PREFIXES:
        if tensors and all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def load_by_name(module: nn.Module, path: Path, *, head: tuple[str, ...]) -> None:
    """Put the file's tensors into ``module``, leaving out those whose names start with one of ``head``.

    Raises:
        DataError: names missing or unexpected, or shapes that differ.
    """
    tensors = {name: value for name, value in read_state_dict(path).items() if not name.startswith(head)}
    own = module.state_dict()
    # BatchNorm's step counter is absent from old checkpoints and plays no part in inference.
    missing = [name for name in own if name not in tensors and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in tensors if name not in own]
    if missing or unexpected:
        raise DataError("the checkpoint does not fit the backbone", where=str(path),
                        found=f"{len(missing)} tensors missing{_some(missing)}, "
                              f"{len(unexpected)} unexpected{_some(unexpected)}",
                        hint="set embedding.backbone to the architecture it was trained with")  # fmt: skip
    for name, value in tensors.items():
        if own[name].shape != value.shape:
            raise DataError(f"the checkpoint's {name} has another shape", where=str(path),
                            found=str(tuple(value.shape)), expected=str(tuple(own[name].shape)))  # fmt: skip
    module.load_state_dict(tensors, strict=False)


def _some(names: list[str]) -> str:
    return f" ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})" if names else ""
