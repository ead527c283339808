"""One forward pass after another, in batches of one shape, halved for good when memory runs out."""

from __future__ import annotations

import functools
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from activesel.embedding.backbone import Backbone
from activesel.errors import DataError, UnreachableError

_LOG = logging.getLogger(__name__)
# How torch words it when the system, not the GPU, has no more memory: Linux, Windows.
_CPU_MESSAGES = ("can't allocate memory", "not enough memory")


@functools.cache
def gpu_thread() -> ThreadPoolExecutor:
    """The one thread of this process that a GPU is given work by.

    cuDNN's plans for each convolution are kept by thread: every new one spent 4 s on them anew (docs/performance.md).
    """
    return ThreadPoolExecutor(1, thread_name_prefix="gpu")


class ForwardPass:
    """Runs a backbone, from several threads if wanted; remembers the batch size that fits.

    Every pass has the same shape, short batches filled up: libraries choose kernels, and with them rounding, by shape,
    so an image's vector does not depend on which images it was embedded with.
    """

    def __init__(self, backbone: Backbone, batch_size: int) -> None:
        self.backbone = backbone
        self.batch_size = batch_size
        self._halving = threading.Lock()

    def __call__(self, pixels: Tensor) -> npt.NDArray[np.float32]:
        """Return (b, d) for (b, 3, h, w) uint8 pixels, or grey (b, 1, h, w), in the computer's memory.

        Raises:
            UnreachableError: not even one image fits.
        """
        run = self._run if self.backbone.device.type == "cpu" else self._run_on_gpu_thread
        while True:
            size = self.batch_size
            try:
                parts = [run(part, size) for part in torch.split(pixels, size)]
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
            else:
                return np.concatenate(parts)
            self._halve(size)  # outside the handler: the error's traceback keeps the failed pass's tensors alive

    def _run(self, part: Tensor, size: int) -> npt.NDArray[np.float32]:
        n = len(part)
        if n < size:
            part = torch.cat([part, part.new_zeros(size - n, *part.shape[1:])])
        with torch.inference_mode():
            pooled = self.backbone.module(part.to(self.backbone.device, non_blocking=True).expand(-1, 3, -1, -1))
            vectors: npt.NDArray[np.float32] = pooled[:n].cpu().numpy()
        return vectors

    def _run_on_gpu_thread(self, part: Tensor, size: int) -> npt.NDArray[np.float32]:
        return gpu_thread().submit(self._run, part, size).result()

    def _halve(self, size: int) -> None:
        with self._halving:
            if self.batch_size < size:
                return  # another thread has just done it
            if size == 1:
                raise UnreachableError("out of memory", found=f"no room for one image on {self.backbone.device}",
                                       hint="close other programs, or choose a smaller backbone")  # fmt: skip
            if self.backbone.device.type == "cuda":
                torch.cuda.empty_cache()
            self.batch_size = size // 2
            _LOG.warning("out of memory on %s; images per forward pass now %d; set embedding.batch_size to start there",
                         self.backbone.device, self.batch_size)  # fmt: skip


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(message in str(error) for message in _CPU_MESSAGES)


def to_half(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """Return the vectors as they are stored.

    Raises:
        DataError: a value that float16 cannot hold (NaN, or beyond 65504).
    """
    with np.errstate(over="ignore"):
        half = vectors.astype(np.float16)
    if not np.isfinite(half).all():
        raise DataError("the backbone's features are not finite in float16", found=f"{np.abs(vectors).max()}",
                        expected="at most 65504", hint="try embedding.precision=float32")  # fmt: skip
    return half
