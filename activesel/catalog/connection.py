"""Open the database, bring its schema up, and turn the driver's errors into lines a person can act on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from activesel.catalog import server, tables
from activesel.errors import ActiveselError, DataError, LockedError, UnreachableError
from activesel.records import CatalogPlace, CatalogServer

_WAIT_S = 30  # for another process's transaction, which lasts a fraction of a second

_SETTINGS = (
    "PRAGMA foreign_keys = ON",
    f"PRAGMA busy_timeout = {_WAIT_S * 1000}",
    "PRAGMA journal_mode = WAL",  # readers do not wait for the writer
    "PRAGMA cache_size = -65536",  # 64 MiB: image ids arrive in no order, so their whole index should fit
    "PRAGMA synchronous = NORMAL",  # in WAL: a killed process loses nothing, a power cut at most the last commits
)


def connect(place: CatalogPlace) -> sa.Engine:
    """Open or create the catalog: a file, or tables on a server.

    Raises:
        DataError: it is no catalog, is damaged, or was made by a newer activesel.
        UnreachableError: it cannot be reached or written. ConfigError: no URL of a database that we use.
    """
    engine = server.make_engine(place) if isinstance(place, CatalogServer) else _make_engine(place)
    try:
        with translate_errors(place), engine.begin() as connection:
            _bring_schema_up(connection, place)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _make_engine(path: Path) -> sa.Engine:
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)))
    sa.event.listen(engine, "connect", _apply_settings)
    return engine


def _apply_settings(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for statement in _SETTINGS:
        cursor.execute(statement)
    cursor.close()


def _bring_schema_up(connection: sa.Connection, place: CatalogPlace) -> None:
    version = _read_version(connection, place)
    if isinstance(place, CatalogServer) and version != tables.SCHEMA_VERSION:
        server.make_room(connection, place)
        version = _read_version(connection, place)  # another process may have been first
    if version is not None and version > tables.SCHEMA_VERSION:
        raise DataError("the catalog was written by a newer activesel", where=str(place),
                        found=f"schema version {version}", expected=f"at most {tables.SCHEMA_VERSION}",
                        hint="upgrade activesel")  # fmt: skip
    if version is None or version < tables.SCHEMA_VERSION:  # new, killed while it was being made, or older
        tables.metadata.create_all(connection)  # since version 1 only tables were added
        connection.execute(sa.insert(tables.schema_version), {"version": tables.SCHEMA_VERSION})


def _read_version(connection: sa.Connection, place: CatalogPlace) -> int | None:
    namespace = place.namespace if isinstance(place, CatalogServer) else None
    if not sa.inspect(connection).has_table(tables.schema_version.name, schema=namespace):
        return None
    version: int | None = connection.scalar(sa.select(sa.func.max(tables.schema_version.c.version)))
    return version


@contextlib.contextmanager
def translate_errors(place: CatalogPlace) -> Iterator[None]:
    """Let the database's errors leave as ours; a broken constraint stays what it is, a bug."""
    try:
        yield
    except exc.IntegrityError:
        raise
    except (exc.DBAPIError, OSError) as error:
        if isinstance(place, CatalogServer):
            raise server.explain(place, error) from None
        if not isinstance(error, exc.DatabaseError):
            raise
        raise _explain(place, str(error.orig)) from None


def _explain(path: Path, complaint: str) -> ActiveselError:
    if "locked" in complaint:
        return LockedError("the catalog is in use", where=str(path), found=f"no access within {_WAIT_S} s")
    if any(sign in complaint for sign in ("full", "unable to open", "readonly", "disk I/O")):
        return UnreachableError("cannot use the catalog", where=str(path), found=complaint,
                                hint="free some space or mend the permissions, then run this again")  # fmt: skip
    return DataError("the catalog is damaged or is no catalog", where=str(path), found=complaint,
                     hint="restore it from a copy, or delete it and run `activesel ingest` again")  # fmt: skip
