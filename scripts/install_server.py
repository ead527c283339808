"""Install programs that tests run for real, each into an environment of its own below build/.

    python scripts/install_server.py label-studio mlflow

Each drags in 100 packages or more, some of which pin versions that activesel does not want; nothing of it is imported.
A minute and about 1 GB each; what is there in the right version is left alone.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Package -> the version that docs/label_studio.md, evaluation.md and flywheel.md were tested with.
VERSIONS = {"label-studio": "1.23.2", "mlflow": "3.17.2", "apache-airflow": "3.3.2"}


def install(package: str, folder: Path) -> str:
    """Install one of VERSIONS, unless it is there; return what was done."""
    version, ready = VERSIONS[package], folder / ".ready"
    if ready.exists() and ready.read_text() == version:
        return f"{package} {version} is in {folder}"
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, f"{package}=={version}"], check=True)
    ready.write_text(version)
    return f"installed {package} {version} into {folder}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="+", choices=VERSIONS)
    parser.add_argument("--out", type=Path, default=ROOT / "build", help="where PACKAGE-venv goes")
    options = parser.parse_args()
    failed = []
    for package in options.packages:
        try:
            print(install(package, options.out / f"{package}-venv"))
        except subprocess.CalledProcessError:
            failed.append(package)
    if failed:
        sys.exit(f"not to be had: {', '.join(failed)}")


if __name__ == "__main__":
    main()
