"""Take blocks in their order, apply the rules that compare a variant with the set, and stop at the wanted count."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from synth.blocks import BLOCK, PASSED, REJECTED, UNPLACED
from synth.planning import Stock
from synth.record import SCHEMA_VERSION, versions

KEPT, SURPLUS = "kept", "surplus"  # surplus: good, but the count was reached before it


class Sift:
    """rows: every proposal so far with its status and reason. is_full: the count is reached."""

    def __init__(self, stock: Stock, count: int) -> None:
        self._stock = stock
        self._count = count
        self._versions = versions()
        self.rows: list[dict[str, Any]] = []
        self.n_kept = 0

    @property
    def is_full(self) -> bool:
        return self.n_kept >= self._count

    @property
    def stopped(self) -> str:
        """Why the run ended, in a sentence."""
        if self.is_full:
            return f"the count of {self._count} was reached"
        return f"the maximum of {len(self.rows)} proposals was reached with {self.n_kept} of {self._count} images"

    @property
    def funnel(self) -> list[tuple[str, int]]:
        """Return (what, how many), from all proposals down to the kept; the losses in between by reason."""
        lost = Counter(f"{row['status']}: {_cause(row)}" for row in self.rows if row["status"] in (UNPLACED, REJECTED))
        n_surplus = sum(row["status"] == SURPLUS for row in self.rows)
        surplus = [("surplus: good, but enough were kept", n_surplus)] if n_surplus else []
        return [("proposals", len(self.rows)), *sorted(lost.items()), *surplus, ("kept", self.n_kept)]

    def take(self, folder: Path, rows: Sequence[Mapping[str, Any]], limit: int) -> int:
        """Take a block's rows, in order; return how many images it added. Proposals from ``limit`` on do not count."""
        before = self.n_kept
        for row in rows:
            if row["number"] < limit:
                self.rows.append(self._settle(folder, dict(row)))
        return self.n_kept - before

    def record_of(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the line of records.jsonl of a kept proposal."""
        plan = row["plan"]
        donor = self._stock.donors.get(plan["source_id"]) if plan["source"] == "donor" else None
        source = {"kind": plan["source"], "id": plan["source_id"], "path": donor.path if donor else "",
                  "group": donor.group if donor else ""}  # fmt: skip
        return {
            "id": row["id"], "schema_version": SCHEMA_VERSION, "label": plan["label"], "synthetic": True,
            "image": row["image"], "mask": row["mask"], "sha256": row["sha256"], "mask_sha256": row["mask_sha256"],
            "group": source["group"] or row["host"]["group"], "source": source, "host": row["host"],
            "seed": self._stock.seed, "number": row["number"], "block": row["number"] // BLOCK, "plan": plan,
            "size": row["size"], "box": row["box"], "area_px": row["area_px"], "contrast": row["contrast"],
            "verdicts": row["verdicts"], "versions": self._versions,
        }  # fmt: skip

    def _settle(self, folder: Path, row: dict[str, Any]) -> dict[str, Any]:
        if row["status"] != PASSED:
            return row
        if self.is_full:
            row["status"] = SURPLUS
            return _without_files(row)
        return self._keep(folder, row)

    def _keep(self, folder: Path, row: dict[str, Any]) -> dict[str, Any]:
        self.n_kept += 1
        name = variant_id(self._stock.label, self._stock.seed, row["number"])
        image, mask = folder / row["image"], folder / row["mask"]
        strip = folder / f"{row['number']:06d}_strip.jpg"
        kept = {
            "status": KEPT, "id": name, "image": f"images/{name}{image.suffix}", "mask": f"masks/{name}.png",
            "sha256": _sha256(image), "mask_sha256": _sha256(mask),
        }  # fmt: skip
        files = [(image, kept["image"]), (mask, kept["mask"]), (strip, f".synth/strips/{name}.jpg")]
        return {**row, **kept, "files": files}


def variant_id(label: str, seed: int, number: int) -> str:
    """Return a variant's name, which says that it is synthetic wherever a file of this name turns up.

    >>> variant_id("color/cut", 7, 31)
    'synth-color_cut-7-000031'
    """
    return f"synth-{re.sub(r'[^A-Za-z0-9_.-]+', '_', label)[:60]}-{seed}-{number:06d}"


def _cause(row: Mapping[str, Any]) -> str:
    """Return what the funnel counts a loss under: the rule, or the reason without its particulars."""
    return str(row.get("rule") or row["reason"].partition(":")[0])


def _without_files(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("image", "mask")}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
