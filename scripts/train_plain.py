"""A training script of your own, in plain PyTorch: copy it, put your network in, name it to `activesel train`.

    activesel train --trainer command --option "command=python train_plain.py --epochs 20"

It reads the manifest (the last argument) and leaves checkpoint.safetensors and predictions.parquet in its out folder,
and where the package onnx is installed model.onnx with prepare.json, so that it can be served. It needs nothing of
activesel. Contract: docs/trainers.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

SIDE_PX = 64


class Network(nn.Module):
    """(b, 3, s, s), 0..1 -> (b, c) logits. Yours goes here."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        widths = (3, 16, 32, 64)
        layers: list[nn.Module] = []
        for narrow, wide in pairwise(widths):
            layers += [nn.Conv2d(narrow, wide, 3, stride=2, padding=1), nn.ReLU()]
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(widths[-1], n_classes)

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(pixels))
        return logits


def read(row: dict[str, Any]) -> Tensor:
    """Return an image as (3, s, s), 0..1, RGB, stretched; prepare.json says the same."""
    pixels = cv2.cvtColor(cv2.imread(row["path"], cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    whole = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    return functional.interpolate(whole.float(), (SIDE_PX, SIDE_PX), mode="bilinear", antialias=True)[0] / 255


def draw(rows: list[dict[str, Any]], classes: list[str], n: int, generator: torch.Generator) -> Tensor:
    """Return n row numbers: classes alike, within a class by the weights that the proof gave made images."""
    labels = torch.tensor([classes.index(row["label"]) for row in rows])
    weights = torch.tensor([row["weight"] for row in rows])
    sums = torch.bincount(labels, weights, minlength=len(classes))
    return torch.multinomial(weights / sums[labels], n, replacement=True, generator=generator)


def train(manifest: dict[str, Any], rows: list[dict[str, Any]], epochs: int, batch: int) -> Network:
    """Train on the side "train" and keep the epoch that is the best on "validation"."""
    classes, out = manifest["classes"], Path(manifest["out"])
    torch.manual_seed(manifest["seed"])
    network = Network(len(classes))
    sides = {side: [row for row in rows if row["split"] == side] for side in ("train", "validation")}
    pixels = {side: torch.stack([read(row) for row in some]) for side, some in sides.items() if some}
    labels = {side: torch.tensor([classes.index(row["label"]) for row in some]) for side, some in sides.items()}
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    best, start = float("inf"), 0
    state = out / "state.pt"
    if state.exists():  # an earlier run was killed: go on after its last epoch
        kept = torch.load(state, weights_only=True)
        network.load_state_dict(kept["network"])
        optimiser.load_state_dict(kept["optimiser"])
        best, start = kept["best"], kept["epoch"]
    for epoch in range(start, epochs):
        generator = torch.Generator().manual_seed(manifest["seed"] * 1000 + epoch)
        for chosen in draw(sides["train"], classes, len(sides["train"]), generator).split(batch):
            loss = functional.cross_entropy(network(pixels["train"][chosen]), labels["train"][chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        loss_now = 0.0
        if "validation" in pixels:
            with torch.no_grad():
                loss_now = float(functional.cross_entropy(network(pixels["validation"]), labels["validation"]))
        if loss_now <= best:
            best = loss_now
            save_file(network.state_dict(), out / "checkpoint.safetensors")
        kept = {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "best": best, "epoch": epoch + 1}
        torch.save(kept, out / "state.part")
        (out / "state.part").replace(state)
    network.load_state_dict(load_file(out / "checkpoint.safetensors"))
    return network.eval()


def predict(network: nn.Module, rows: list[dict[str, Any]], batch: int) -> np.ndarray:
    """Return (n, c) probabilities."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(rows), batch):
            found.append(network(torch.stack([read(row) for row in rows[start : start + batch]])).softmax(dim=1))
    return torch.cat(found).double().numpy()


def write(manifest: dict[str, Any], network: nn.Module, rows: list[dict[str, Any]], probs: np.ndarray) -> None:
    """Write the predictions, and the network for serving where onnx is installed."""
    out = Path(manifest["out"])
    table = pa.table({"image_id": [row["image_id"] for row in rows], "probs": probs.tolist()})
    pq.write_table(table.replace_schema_metadata({"classes": json.dumps(manifest["classes"])}),
                   out / "predictions.parquet")  # fmt: skip
    if importlib.util.find_spec("onnx") is None:
        return
    answering = nn.Sequential(network, nn.Softmax(dim=1)).eval()
    torch.onnx.export(answering, (torch.zeros(1, 3, SIDE_PX, SIDE_PX),), str(out / "model.onnx"), dynamo=False,
                      input_names=["pixels"], dynamic_axes={"pixels": {0: "b"}})  # fmt: skip
    prepare = {"schema_version": 1, "height_px": SIDE_PX, "width_px": SIDE_PX, "interpolation": "bilinear"}
    (out / "prepare.json").write_text(json.dumps(prepare), encoding="utf8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("manifest", type=Path)
    asked = parser.parse_args()
    manifest = json.loads(asked.manifest.read_text(encoding="utf8"))
    rows = [json.loads(line) for line in Path(manifest["images"]).read_text(encoding="utf8").splitlines()]
    network = train(manifest, rows, asked.epochs, asked.batch)
    wanted = [row for row in rows if row["predict"]]
    write(manifest, network, wanted, predict(network, wanted, asked.batch))


if __name__ == "__main__":
    main()
