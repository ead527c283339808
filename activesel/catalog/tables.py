"""The tables. Change one and SCHEMA_VERSION goes up, with a step in connection.py that brings older files along.

One image (its content) has many files (its names); a file is in ``files`` or in ``quarantine``, never in both.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

SCHEMA_VERSION = 4

metadata = MetaData()

# PostgreSQL sorts by its locale unless told otherwise; SQLite and Python by code point, and the first path must be one.
_TEXT = Text().with_variant(Text(collation="C"), "postgresql")
_NUMBER = BigInteger().with_variant(Integer, "sqlite")  # grows; only SQLite's INTEGER is as long as it needs to be


def _string(length: int) -> TypeEngine[str]:
    return String(length).with_variant(String(length, collation="C"), "postgresql")


schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True, autoincrement=False))

images = Table(
    "images",
    metadata,
    Column("image_id", _string(32), primary_key=True),
    Column("width_px", Integer, nullable=False),
    Column("height_px", Integer, nullable=False),
    Column("format", _string(8), nullable=False),
    Column("meta", _TEXT, nullable=False),  # a JSON object, keys sorted, so that equal metadata is equal text
)

files = Table(
    "files",
    metadata,
    Column("file_id", _NUMBER, primary_key=True),
    Column("path", _TEXT, nullable=False, unique=True),
    Column("image_id", ForeignKey(images.c.image_id), nullable=False),
    Column("n_bytes", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Index("files_by_image", "image_id", "path"),  # holds all that the first path of every image needs
)

sources = Table(
    "sources",
    metadata,
    Column("source_id", _NUMBER, primary_key=True),
    Column("name", _TEXT, nullable=False, unique=True),
)

# Which paths a source (folder, glob, manifest) had; one path may be in several.
sightings = Table(
    "sightings",
    metadata,
    Column("source_id", ForeignKey(sources.c.source_id), primary_key=True),
    Column("path", _TEXT, primary_key=True),
    sqlite_with_rowid=False,  # the key is the row: half the size
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("path", _TEXT, primary_key=True),
    Column("reason", _string(32), nullable=False),
    Column("detail", _TEXT, nullable=False),
)

labels = Table(
    "labels",
    metadata,
    Column("label_id", _NUMBER, primary_key=True),  # grows, so the newest of an image's labels is the one that counts
    Column("image_id", ForeignKey(images.c.image_id), nullable=False),
    Column("name", _TEXT, nullable=False),
    Column("source", _TEXT, nullable=False),
    UniqueConstraint("image_id", "source"),
)


def _said() -> list[Column[Any]]:
    """Return the columns that hold an opinion."""
    return [
        Column("key", _string(32), nullable=False, unique=True),
        Column("image_id", ForeignKey(images.c.image_id), nullable=False, index=True),
        Column("annotator", _TEXT, nullable=False),
        Column("role", _string(16), nullable=False),
        Column("name", _TEXT),
        Column("shapes", _TEXT, nullable=False),  # a JSON list
        Column("skipped", _TEXT, nullable=False),
        Column("created", _string(64), nullable=False),
        Column("lead_time_s", Float),
        Column("score", Float),
        Column("guideline", _TEXT, nullable=False),
        Column("prelabel", _string(16), nullable=False),
        Column("source", _TEXT, nullable=False),
        Column("external_id", _TEXT, nullable=False),
        Column("note", _TEXT, nullable=False),
    ]


# Opinions as they came (activesel.annotations); the labels above are what counts of them.
opinions = Table("annotations", metadata, Column("annotation_id", _NUMBER, primary_key=True), *_said())

# Opinions that were taken back where they were given: kept, and counted no more.
withdrawn = Table(
    "withdrawn",
    metadata,
    Column("withdrawn_id", _NUMBER, primary_key=True),
    *_said(),
    Column("withdrawn_at", _string(64), nullable=False),
    Column("why", _TEXT, nullable=False),
)

# Which opinions stood in a place that we read again and again, a tool's project: one that is missing later was deleted.
answers = Table(
    "tool_answers",
    metadata,
    Column("place", _TEXT, primary_key=True),
    Column("key", _string(32), primary_key=True),
    sqlite_with_rowid=False,
)

resolutions = Table(
    "resolutions",
    metadata,
    Column("image_id", ForeignKey(images.c.image_id), primary_key=True),
    Column("name", _TEXT),
    Column("state", _string(16), nullable=False),
    Column("confidence", Float),
    Column("decided_by", _TEXT, nullable=False),
)

tasks = Table(
    "tasks",
    metadata,
    Column("task_id", _NUMBER, primary_key=True),
    Column("batch_id", _string(128), nullable=False),
    Column("image_id", ForeignKey(images.c.image_id), nullable=False),
    Column("route", _string(16), nullable=False),
    Column("n_wanted", Integer, nullable=False),
    Column("overlap", Boolean, nullable=False),
    Column("gold", Boolean, nullable=False),
    Column("prelabel", _string(16), nullable=False),
    UniqueConstraint("batch_id", "image_id"),
)

batches = Table(
    "batches",
    metadata,
    Column("batch_id", _string(128), primary_key=True),
    Column("created", _string(64), nullable=False),
)

picks = Table(
    "picks",
    metadata,
    Column("batch_id", ForeignKey(batches.c.batch_id), primary_key=True),
    Column("rank", Integer, primary_key=True, autoincrement=False),
    Column("image_id", ForeignKey(images.c.image_id), nullable=False, index=True),
    Column("kind", _string(16), nullable=False),
    Index("picks_by_kind", "kind"),
)

models = Table(
    "models",
    metadata,
    Column("model_id", _string(32), primary_key=True),
    Column("created", _string(64), nullable=False),
    Column("card", _TEXT, nullable=False),  # a JSON object: activesel.models.ModelCard
)

aliases = Table(
    "aliases",
    metadata,
    Column("alias", _string(16), primary_key=True),
    Column("model_id", ForeignKey(models.c.model_id), nullable=False),
    Column("since", _string(64), nullable=False),
)

# What was decided about models, and how often each test set was looked at; rows are only added.
decisions = Table(
    "decisions",
    metadata,
    Column("decision_id", _NUMBER, primary_key=True),
    Column("kind", _string(16), nullable=False),
    Column("challenger", ForeignKey(models.c.model_id), nullable=False),
    Column("champion", _string(32)),
    Column("outcome", _string(16), nullable=False),
    Column("reason", _TEXT, nullable=False),
    Column("created", _string(64), nullable=False),
    Column("test_set", _string(64), nullable=False),
    Column("look", Integer, nullable=False),
    Column("details", _TEXT, nullable=False),  # a JSON object
)

# What the line reports; an event is known by its source and its id there (CloudEvents 1.0).
events = Table(
    "events",
    metadata,
    Column("event_id", _NUMBER, primary_key=True),
    Column("source", _string(256), nullable=False),
    Column("id", _string(256), nullable=False),
    Column("type", _string(64), nullable=False),
    Column("image_id", _string(256), nullable=False),  # as the line names it: an image may be ingested later
    Column("prediction_id", _string(256), nullable=False),
    Column("time", _string(64), nullable=False),  # when it happened, UTC, ISO 8601
    Column("received", _string(64), nullable=False),
    Column("data", _TEXT, nullable=False),  # a JSON object
    UniqueConstraint("source", "id"),
    Index("events_by_image", "image_id"),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("letter_id", _NUMBER, primary_key=True),
    Column("digest", _string(64), nullable=False, unique=True),  # of the payload: the same one twice is one
    Column("format", _string(32), nullable=False),
    Column("reason", _TEXT, nullable=False),
    Column("received", _string(64), nullable=False),
    Column("payload", _TEXT, nullable=False),
)
