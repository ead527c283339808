"""A catalog on a PostgreSQL server: its order, its neighbours, its complaints, and a password that nobody sees."""

from __future__ import annotations

import socket
import sys
import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa

from activesel.annotations import Annotation
from activesel.catalog import Catalog, FileStamp
from activesel.catalog.connection import connect
from activesel.config import load_config
from activesel.errors import ActiveselError, ConfigError, DataError, UnreachableError, hide_passwords
from activesel.records import CatalogServer, ImageRow
from tests.postgres import PASSWORD, PostgresServer

STAMP = FileStamp(1, 1)


def rows(*paths: str) -> list[tuple[ImageRow, FileStamp]]:
    return [(ImageRow(f"{i:032x}", path, 1, 1, "PNG"), STAMP) for i, path in enumerate(paths)]


@pytest.mark.server
def test_names_are_sorted_by_code_point_whatever_the_servers_locale(postgres: PostgresServer) -> None:
    with Catalog.open(postgres.new_catalog()) as catalog:
        same = [(ImageRow("a" * 32, path, 1, 1, "PNG"), STAMP) for path in ("/a", "/B", "/ä", "/_")]
        catalog.add_images(same, "s")
        assert catalog.paths_of("a" * 32) == ["/B", "/_", "/a", "/ä"]
        assert [image.path for image in catalog.images()] == ["/B"]


@pytest.mark.server
def test_namespaces_are_catalogs_of_their_own(postgres: PostgresServer) -> None:
    first, second = postgres.new_catalog(), postgres.new_catalog()
    with Catalog.open(first) as one, Catalog.open(second) as other:
        one.add_images(rows("/1"), "s")
        assert (one.counts().n_images, other.counts().n_images) == (1, 0)
    with Catalog.open(first) as again:
        assert again.counts().n_images == 1


@pytest.mark.server
def test_the_database_itself_without_a_namespace(postgres: PostgresServer) -> None:
    with Catalog.open(CatalogServer(postgres.url())) as catalog:
        catalog.add_images(rows("/1"), "s")
    with Catalog.open(CatalogServer(postgres.url())) as catalog:
        assert catalog.counts().n_images == 1


@pytest.mark.server
def test_writers_at_once_add_each_image_once(postgres: PostgresServer) -> None:
    """Each reads what is known before it writes: without one writer at a time both would insert the same image."""
    place, failures = postgres.new_catalog(), []

    def add() -> None:
        try:
            with Catalog.open(place) as catalog:  # both make the tables, too
                for _ in range(5):
                    catalog.add_images(rows("/1", "/2", "/3"), "s")
        except Exception as error:  # noqa: BLE001 - the test's own thread has to say so
            failures.append(error)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with Catalog.open(place) as catalog:
        assert catalog.counts().n_images == 3


@pytest.mark.server
@pytest.mark.parametrize(
    ("password", "database", "kind", "message"),
    [
        (
            "not-" + PASSWORD,
            "postgres",
            UnreachableError,
            r"cannot use the catalog; found password authentication failed",
        ),
        (PASSWORD, "absent", UnreachableError, r'found database "absent" does not exist; mend the server'),
    ],
)
def test_what_the_server_refuses(
    postgres: PostgresServer, password: str, database: str, kind: type[ActiveselError], message: str
) -> None:
    with pytest.raises(kind, match=message) as caught:
        Catalog.open(CatalogServer(postgres.url(password, database)))
    assert password not in str(caught.value)
    assert "tests:***@127.0.0.1" in str(caught.value)


@pytest.mark.server
def test_tables_of_somebody_else(postgres: PostgresServer) -> None:
    place = postgres.new_catalog()
    engine = connect(place)
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE images DROP COLUMN width_px"))
    engine.dispose()
    with Catalog.open(place) as catalog, pytest.raises(DataError, match=r"is no catalog; found column .*namespace"):
        catalog.images()


@pytest.mark.server
def test_a_value_that_no_column_holds(postgres: PostgresServer) -> None:
    with Catalog.open(postgres.new_catalog()) as catalog:
        catalog.add_images(rows("/1"), "s")
        with pytest.raises(DataError, match="cannot hold a value"):
            catalog.annotations.add([Annotation("0" * 32, "a\0b", name="pit")])
        assert catalog.annotations.read() == []


@pytest.mark.server
def test_the_password_from_the_environment(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    place = replace(postgres.new_catalog(), url=postgres.url().replace(f":{PASSWORD}", ""))
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with Catalog.open(place) as catalog:
        assert catalog.counts().n_images == 0


def test_a_server_that_is_not_there() -> None:
    pytest.importorskip("pg8000")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and never listening: refused
        url = f"postgresql://ann:secret@127.0.0.1:{taken.getsockname()[1]}/line4"
        with pytest.raises(UnreachableError, match=r"ann:\*\*\*@127.*cannot use the catalog; found Connection refused"):
            Catalog.open(CatalogServer(url))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("line4", "not the URL of a database; expected postgresql://"),
        ("mysql://ann:secret@db/line4", "not a PostgreSQL database; found mysql; expected postgresql://"),
        ("postgresql+none://ann:secret@db/line4", "no such database driver"),
    ],
)
def test_urls_that_are_none(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Catalog.open(CatalogServer(url))
    assert "secret" not in str(caught.value)


def test_without_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pg8000", None)
    with pytest.raises(UnreachableError, match=r"driver is not installed; .*activesel\[postgres\]"):
        Catalog.open(CatalogServer("postgresql://ann@db/line4"))


def test_the_password_is_never_shown() -> None:
    url = "postgresql://ann:s3cret@db/line4"
    place = CatalogServer(url, "line_4")
    assert "s3cret" not in f"{place} {place!r}"
    config = load_config(None, [f"catalog.url={url}"])
    assert config.catalog.url == url
    assert "s3cret" not in f"{config!r} {config.model_dump()} {config.model_dump_json()}"
    for wrong in (f"catalog={url}", f"catalog.url=[{url}]", f"catalog.urll={url}", f"{url}"):
        with pytest.raises(ConfigError) as caught:
            load_config(None, [wrong])
        assert "s3cret" not in str(caught.value)


def test_passwords_in_texts() -> None:
    assert hide_passwords("--set 'catalog.url=postgresql://a:b@c/d?password=e&x=1'") == (
        "--set 'catalog.url=postgresql://a:***@c/d?password=***&x=1'"
    )
    for plain in ("https://db:5432/x", "a:b@c", "postgresql://ann@db/line4", "C://x"):
        assert hide_passwords(plain) == plain
