"""Fixtures that several test files need: the real images where they are, and toy vectors with a known structure."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from activesel.records import CatalogPlace
from tests.postgres import NoServerError, PostgresServer, run_server

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real defect images; skips the test where there is none."""
    folder = Path(os.environ.get("ACTIVESEL_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "magnetic_tile" / "labels.csv").is_file():
        pytest.skip(f"real defect images are not at {folder}; set ACTIVESEL_DATA")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this session; skips the test where there can be none."""
    pytest.importorskip("pg8000")
    try:
        with run_server() as server:
            yield server
    except NoServerError as error:
        pytest.skip(str(error))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.server)])
def catalog_place(request: pytest.FixtureRequest, tmp_path: Path) -> CatalogPlace:
    """Where an empty catalog goes: a file, and a schema of a server's database."""
    if request.param == "sqlite":
        return tmp_path / "catalog.sqlite"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_catalog()


@pytest.fixture
def new_place(catalog_place: CatalogPlace, request: pytest.FixtureRequest) -> Callable[[], CatalogPlace]:
    """Return places for further catalogs of the same kind."""
    if isinstance(catalog_place, Path):
        return lambda: catalog_place.with_name(f"{uuid.uuid4()}.sqlite")
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_catalog
