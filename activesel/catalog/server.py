"""A catalog on a PostgreSQL server: how to reach it, one writer at a time, and what its complaints mean."""

from __future__ import annotations

import os
import socket
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from activesel.errors import ActiveselError, ConfigError, DataError, LockedError, UnreachableError
from activesel.records import CatalogServer

_CONNECT_S = 10
_WAIT_S = 30  # for another process's transaction, which lasts a fraction of a second
_PORT = 5432
# Classes of SQLSTATE, https://www.postgresql.org/docs/current/errcodes-appendix.html
_LOCKED = ("55P03", "40P01", "40001")  # no lock in time, a deadlock, a serialization failure
_UNREACHABLE = (
    "08",
    "28",
    "3D",
    "42501",
    "53",
    "57",
    "58",
)  # network, login, no database, rights, full, shut down, disk
_BROKEN_CONSTRAINT = "23"
_UNFIT_VALUE = ("22", "54")  # among them texts with a zero, and paths longer than an index holds


def make_engine(server: CatalogServer) -> sa.Engine:
    """Return an engine for the server; nothing is connected yet.

    Raises:
        ConfigError: no URL, or one of another kind of database. UnreachableError: its driver is not installed.
    """
    url = _read_url(server)
    if url.password is None and (password := os.environ.get("PGPASSWORD")):
        url = url.set(password=password)
    try:
        engine = sa.create_engine(url)
    except ModuleNotFoundError as error:
        raise UnreachableError("the database's driver is not installed", where=str(server), found=f"no {error.name}",
                               hint="run `pip install 'activesel[postgres]'`") from None  # fmt: skip
    except exc.NoSuchModuleError:
        raise ConfigError("no such database driver", where="catalog.url", found=url.drivername,
                          expected="postgresql (that is postgresql+pg8000)") from None  # fmt: skip
    # pg8000 sends one row at a time else: 100,000 rows take 0.15 of the time in one statement for each 1,000
    engine.dialect.use_insertmanyvalues_wo_returning = True
    if url.drivername == "postgresql+pg8000":
        sa.event.listen(engine, "do_connect", _knock, once=True)
    sa.event.listen(engine, "connect", lambda connection, _record: _apply_settings(connection, server.namespace))
    return engine


def make_room(connection: sa.Connection, server: CatalogServer) -> None:
    """Keep every other process from making the tables meanwhile, and make the schema they go to."""
    wait_for_writers(connection)
    name = server.namespace
    if name is not None and not sa.inspect(connection).has_schema(name):
        connection.execute(sa.schema.CreateSchema(name))


def wait_for_writers(connection: sa.Connection) -> None:
    """Let one process write at a time, until its transaction ends: what a method reads stays true until it writes."""
    if connection.dialect.name == "postgresql":
        key = sa.func.hashtext(sa.func.coalesce(sa.func.current_schema(), ""))
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("activesel"), key)))


def explain(server: CatalogServer, error: exc.DBAPIError | OSError) -> Exception:
    """Return a complaint as an error that a person can act on; a broken constraint stays what it is, a bug."""
    if isinstance(error, OSError):
        return _explain(str(server), "", error.strerror or str(error) or type(error).__name__)
    code, found = _read_complaint(error.orig)
    if code.startswith(_BROKEN_CONSTRAINT):
        return exc.IntegrityError(error.statement, error.params, error.orig or error)
    return _explain(str(server), code, found)


def _explain(where: str, code: str, found: str) -> ActiveselError:
    if code in _LOCKED:
        return LockedError("the catalog is in use", where=where, found=f"no access within {_WAIT_S} s")
    if code == "" or code.startswith(_UNREACHABLE):
        return UnreachableError("cannot use the catalog", where=where, found=found,
                                hint="mend the server or catalog.url, then run this again")  # fmt: skip
    if code.startswith(_UNFIT_VALUE):
        return DataError("the catalog cannot hold a value", where=where, found=found)
    return DataError("the catalog is damaged or is no catalog", where=where, found=found,
                     hint="give activesel a database or a catalog.namespace of its own")  # fmt: skip


def _read_url(server: CatalogServer) -> sa.URL:
    try:
        url = sa.make_url(server.url)
    except exc.ArgumentError:
        raise ConfigError("not the URL of a database", where="catalog.url",
                          expected="postgresql://USER@HOST/DATABASE") from None  # fmt: skip
    if url.get_backend_name() != "postgresql":
        raise ConfigError("not a PostgreSQL database", where="catalog.url", found=url.drivername,
                          expected="postgresql://USER@HOST/DATABASE, or null for a file")  # fmt: skip
    return url.set(drivername="postgresql+pg8000") if url.drivername == "postgresql" else url


def _knock(_dialect: object, _record: object, _args: object, options: dict[str, Any]) -> None:
    """Give up on a host that does not answer; pg8000 has one limit for this and for the answer to a query."""
    host = options.get("host")
    if host and "unix_sock" not in options:
        socket.create_connection((host, int(options.get("port") or _PORT)), timeout=_CONNECT_S).close()


def _apply_settings(connection: Any, namespace: str | None) -> None:
    cursor = connection.cursor()
    cursor.execute(f"SET lock_timeout = {_WAIT_S * 1000}")
    if namespace is not None:
        cursor.execute(f'SET search_path TO "{namespace}"')  # CatalogConfig lets only letters, digits and _ pass
    cursor.close()
    connection.commit()


def _read_complaint(error: Any) -> tuple[str, str]:
    """Return the SQLSTATE, "" where the server said nothing, and the first line of the text."""
    told = error.args[0] if getattr(error, "args", ()) else ""
    if isinstance(told, dict):  # pg8000 hands on the server's fields
        return str(told.get("C", "")), str(told.get("M", "")).split("\n")[0]
    return str(getattr(error, "sqlstate", None) or ""), (str(error).strip() or type(error).__name__).split("\n")[0]
