"""A training script of your own with Lightning: the loop of train_plain.py, written as a LightningModule.

    pip install lightning
    activesel train --trainer command --option "command=python train_lightning.py --epochs 20"

Lightning is no dependency of activesel; this file shows the contract of docs/trainers.md to those who use it. Beside
train_plain.py, whose network, reading and writing it takes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler
from train_plain import Network, predict, read, write

Row = dict[str, Any]


class Pictures(Dataset[tuple[Tensor, int]]):
    """The labelled images of one side."""

    def __init__(self, rows: list[Row], classes: list[str]) -> None:
        self.rows = rows
        self.labels = [classes.index(row["label"]) for row in rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: int) -> tuple[Tensor, int]:
        return read(self.rows[at]), self.labels[at]

    def weights(self, n_classes: int) -> Tensor:
        """Return (n,): classes alike, within a class by the weights that the proof gave made images."""
        labels, own = torch.tensor(self.labels), torch.tensor([row["weight"] for row in self.rows])
        return own / torch.bincount(labels, own, minlength=n_classes)[labels]


class Classifier(lightning.LightningModule):
    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.network = Network(n_classes)

    def training_step(self, batch: tuple[Tensor, Tensor], _number: int) -> Tensor:
        return functional.cross_entropy(self.network(batch[0]), batch[1])

    def validation_step(self, batch: tuple[Tensor, Tensor], _number: int) -> None:
        self.log(
            "validation_loss", functional.cross_entropy(self.network(batch[0]), batch[1]), batch_size=len(batch[0])
        )

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=3e-3)


def train(manifest: dict[str, Any], rows: list[Row], epochs: int, batch: int) -> Network:
    """Train, and return the network of the best epoch; a run that was killed goes on after its last one."""
    lightning.seed_everything(manifest["seed"])
    classes, out = manifest["classes"], Path(manifest["out"])
    train_side, held = (Pictures([row for row in rows if row["split"] == side], classes)
                        for side in ("train", "validation"))  # fmt: skip
    sampler = WeightedRandomSampler(train_side.weights(len(classes)).tolist(), len(train_side))
    best = ModelCheckpoint(out / "lightning", filename="best", monitor="validation_loss" if len(held) else None,
                           save_last=True)  # fmt: skip
    stop = [EarlyStopping("validation_loss", patience=5)] if len(held) else []
    trainer = lightning.Trainer(
        max_epochs=epochs, accelerator="auto", devices=1, logger=False, callbacks=[best, *stop],
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    model, last = Classifier(len(classes)), out / "lightning" / "last.ckpt"
    trainer.fit(model, DataLoader(train_side, batch, sampler=sampler),
                DataLoader(held, batch) if len(held) else None, ckpt_path=last if last.exists() else None)  # fmt: skip
    kept = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
    model.load_state_dict(kept["state_dict"])
    return model.network.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("manifest", type=Path)
    asked = parser.parse_args()
    manifest = json.loads(asked.manifest.read_text(encoding="utf8"))
    rows = [json.loads(line) for line in Path(manifest["images"]).read_text(encoding="utf8").splitlines()]
    network = train(manifest, rows, asked.epochs, asked.batch)
    save_file(network.state_dict(), Path(manifest["out"]) / "checkpoint.safetensors")
    wanted = [row for row in rows if row["predict"]]
    write(manifest, network, wanted, predict(network, wanted, asked.batch))


if __name__ == "__main__":
    main()
