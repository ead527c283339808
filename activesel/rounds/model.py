"""The steps of the model: train a challenger, evaluate it, hold it against the champion, let it answer or not."""

from __future__ import annotations

from activesel.dataset import Origin
from activesel.pipelines.dataset_files import read_dataset
from activesel.pipelines.train import TrainRequest, train
from activesel.rounds.data import version_of
from activesel.rounds.engine import Outcome, Room


def train_challenger(room: Room) -> Outcome:
    """Train on the round's version; rerun after a kill, it is the same model."""
    version = version_of(room)
    trained = train(room.workspace, TrainRequest(dataset=version, trainer=str(room.settings["trainer"]),
                                                 options=dict(room.settings["options"]), pool=True))  # fmt: skip
    entries = [one for one in read_dataset(room.workspace, version).entries if one.split == "train"]
    n_made = sum(one.example.origin is Origin.synthetic for one in entries)
    found = {"model": trained.model_id, "dataset": version, "n_real": len(entries) - n_made, "n_variants": n_made}
    return Outcome(found, f"model {trained.model_id}: {len(entries) - n_made} real images, {n_made} variants")
