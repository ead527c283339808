"""Install MLflow into an environment of its own, for the tests that run the real server: a minute, 1 GB.

It drags in 100 packages, some of which pin versions that activesel does not want; nothing of it is imported.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSION = "3.17.2"  # what docs/evaluation.md names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "mlflow-venv", help="where it goes")
    folder: Path = parser.parse_args().out
    ready = folder / ".ready"
    if ready.exists() and ready.read_text() == VERSION:
        print(f"MLflow {VERSION} is in {folder}")
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, f"mlflow=={VERSION}"], check=True)
    ready.write_text(VERSION)
    print(f"installed MLflow {VERSION} into {folder}")


if __name__ == "__main__":
    main()
