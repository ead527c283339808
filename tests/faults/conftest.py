"""One job, run undisturbed; the tests disturb others like it and expect the same batch."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from activesel.catalog import Catalog
from tests.cli.samples import tiny_backbone, write_labels, write_photos
from tests.faults.processes import run_process

N_IMAGES, BUDGET = 24, 6


@dataclass(frozen=True)
class Job:
    """photos: the pool. flags: labels, the tiny backbone, small shards. batch: what an undisturbed run writes."""

    photos: Path
    flags: list[str]
    batch: dict[str, bytes]

    def arguments(self, out: Path) -> list[str]:
        return ["select", str(self.photos), "--budget", str(BUDGET), "--out", str(out), *self.flags]

    def check(self, out: Path) -> None:
        """The folder is as an undisturbed run leaves it: the same picks, nothing twice, nothing left over."""
        assert read_batch(out) == self.batch
        hidden = [path for path in out.rglob(".*") if path.name != ".activesel"]
        assert hidden == [], "left over from a killed run"
        with Catalog.open(out / ".activesel" / "catalog.sqlite") as catalog:
            assert catalog.counts().n_images == N_IMAGES
            assert [len(batch.image_ids) for batch in catalog.batches.read()] == [BUDGET]
        assert [path.name for path in (out / ".activesel" / "batches").iterdir()] == ["0001"]


@pytest.fixture(scope="session", autouse=True)
def heed_ctrl_c() -> None:
    """What is started in the background ignores SIGINT, and so would every command that is tested here."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("job")
    photos = write_photos(folder / "photos", N_IMAGES)
    labels = write_labels(folder / "labels.csv", photos, 8)
    flags = ["--labels", str(labels), *tiny_backbone(folder)]
    flags += ["--set", "embedding.shard_rows=4", "--set", "embedding.batch_size=4"]
    undisturbed = Job(photos, flags, {})
    ended = run_process(undisturbed.arguments(folder / "out"), folder)
    assert ended.code == 0, ended.err
    done = Job(photos, flags, read_batch(folder / "out"))
    done.check(folder / "out")
    return done


def read_batch(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in ("batch.csv", "stands_for.csv")}


Moment = Callable[[Path], bool]
