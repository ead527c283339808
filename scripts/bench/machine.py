"""What this machine can do at best: bytes copied and products multiplied a second, with the threads of the run."""

from __future__ import annotations

import functools
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from activesel.tensors import rough_type


def measure_machine(device: str = "cpu") -> dict[str, Any]:
    """Return copy_bytes_s (bytes read a second while copying) and the fp32 and bf16 matrix rates in FLOP/s.

    bf16 is what rough products get: float16's rate on a GPU, float32's on a processor without bfloat16 instructions.
    """
    import torch

    on_gpu = device != "cpu"
    source = torch.ones(2**29 if on_gpu else 2**26, device=device)
    target = torch.empty_like(source)
    size = 8192 if on_gpu else 2048
    rates = {"copy_bytes_s": source.nbytes / best_of(lambda: target.copy_(source), device)}
    for name, dtype in (("fp32_flop_s", torch.float32), ("bf16_flop_s", rough_type(source.device))):
        left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        out = torch.empty_like(left)
        rates[name] = 2 * size**3 / best_of(functools.partial(torch.mm, left, right, out=out), device)
    return {**rates, "torch": torch.__version__, "threads": torch.get_num_threads(), "processor": name_processor()}


def best_of(work: Callable[[], object], device: str = "cpu", times: int = 5) -> float:
    """Return the least seconds of some runs, after one that does not count."""
    import torch

    seconds = []
    for _ in range(times + 1):
        started = time.perf_counter()
        work()
        if device != "cpu":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:])


def count_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def name_processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
