"""coco.json: boxes and run-length masks; images carry synthetic, source_group and host_group beside COCO's fields."""

from __future__ import annotations

import json
from typing import Any

from synth.files import write_atomic
from synth.output.rle import encode_rle
from synth.output.shipped import ShippedSet


def write_coco(shipped: ShippedSet) -> None:
    """Write coco.json: one annotation per image, ids from 1, categories in the order of ``classes``."""
    category_of = {name: i for i, name in enumerate(shipped.classes, start=1)}
    images: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    for number, one in enumerate(shipped.images, start=1):
        mask = shipped.mask_of(one)
        x0, y0, x1, y1 = one.box
        images.append({
            "id": number, "file_name": one.image, "width": one.width_px, "height": one.height_px, "synthetic": True,
            "source_group": one.group, "host_group": one.host_group,
        })  # fmt: skip
        notes.append({
            "id": number, "image_id": number, "category_id": category_of[one.label], "iscrowd": 0,
            "bbox": [x0, y0, x1 - x0, y1 - y0], "area": int(mask.sum()), "segmentation": encode_rle(mask),
        })  # fmt: skip
    document = {
        "info": {"description": "synthetic variants; every image is synthetic"},
        "images": images,
        "annotations": notes,
        "categories": [{"id": number, "name": name} for name, number in category_of.items()],
    }
    write_atomic(shipped.folder / "coco.json", json.dumps(document, ensure_ascii=False) + "\n")
