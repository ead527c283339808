"""Take blocks in their order, apply the rules that compare a variant with the set, and stop at the wanted count."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from synth.blocks import BLOCK, PASSED, REJECTED, UNPLACED, render_plans
from synth.files import read_image, read_mask
from synth.gates import SET_RULES, Batch, rules
from synth.planning import OpenHosts, Stock
from synth.record import SCHEMA_VERSION, plan_from_json, verdict_to_json, versions
from synth.records import Variant, Verdict

N_NULLS = 32
KEPT, SURPLUS, ASIDE = "kept", "surplus", "aside"  # good, but: the count was reached before it; no gap needs it


class Sift:
    """rows: every proposal so far with its status and reason. is_full: the count is reached.

    batch: the rules that compare variants with real defects and with those kept before; None = all are kept.
    """

    def __init__(self, stock: Stock, count: int, batch: Batch | None) -> None:
        self._stock = stock
        self._count = count
        self._batch = batch
        self._versions = versions()
        self.rows: list[dict[str, Any]] = []
        self.n_kept = 0
        self._ended = ""

    @property
    def is_full(self) -> bool:
        return self.n_kept >= self._count

    @property
    def stopped(self) -> str:
        """Why the run ended, in a sentence."""
        if self._ended:
            return self._ended
        if self.is_full:
            return f"the count of {self._count} was reached"
        return f"the maximum of {len(self.rows)} proposals was reached with {self.n_kept} of {self._count} images"

    @property
    def funnel(self) -> list[tuple[str, int]]:
        """Return (what, how many): all proposals, the losses by cause in the order of the rules, the kept."""
        unplaced = Counter(_cause(row) for row in self.rows if row["status"] == UNPLACED)
        broken = Counter(_cause(row) for row in self.rows if row["status"] == REJECTED)
        order = ["visibility", *(one.name for one in rules()), *SET_RULES]
        count = Counter(row["status"] for row in self.rows)
        return [
            ("proposals", len(self.rows)),
            *((f"unplaced: {reason}", n) for reason, n in sorted(unplaced.items())),
            *((f"rejected: {name}", broken[name]) for name in order if broken[name]),
            *([("surplus: good, but enough were kept", count[SURPLUS])] if count[SURPLUS] else []),
            *([("aside: good, but no gap needs it", count[ASIDE])] if count[ASIDE] else []),
            ("kept", self.n_kept),
        ]

    def take(self, folder: Path, rows: Sequence[Mapping[str, Any]], limit: int) -> int:
        """Take a block's rows, in order; return how many images it added. Proposals from ``limit`` on do not count."""
        before = self.n_kept
        own = [dict(row) for row in rows if row["number"] < limit]
        waiting = [row for row in own if row["status"] == PASSED]
        while waiting and not self.is_full:
            chunk, waiting = waiting[: self._count - self.n_kept], waiting[self._count - self.n_kept :]
            for row, verdicts in zip(chunk, self._compare(folder, chunk), strict=True):
                row["verdicts"] = [*row["verdicts"], *map(verdict_to_json, verdicts)]
                failed = next((verdict for verdict in verdicts if not verdict.ok), None)
                if failed is None:
                    self._keep(folder, row)
                else:
                    row.update(status=REJECTED, rule=failed.rule, reason=failed.reason)
        for row in waiting:
            row["status"] = SURPLUS
        self.rows += [row if row["status"] == KEPT else _without_files(row) for row in own]
        return self.n_kept - before

    def last_kept(self, number: int) -> list[dict[str, Any]]:
        """Return the rows of the last ``number`` variants that were kept, in their order."""
        return [row for row in self.rows if row["status"] == KEPT][self.n_kept - number :]

    def keep_only(self, gaps: Mapping[int, list[str]], ended: str) -> None:
        """Put aside what no gap needs. gaps: position among the kept -> names of the gaps that it is kept for."""
        kept = [row for row in self.rows if row["status"] == KEPT]
        for i, row in enumerate(kept):
            if i in gaps:
                row["gaps"] = gaps[i]
                continue
            for name in ("image", "mask", "files", "id", "sha256", "mask_sha256"):
                del row[name]
            row["status"] = ASIDE
        if self._batch is not None:
            self._batch.keep_only(sorted(gaps))
        self.n_kept, self._ended = len(gaps), ended

    def judge_set(self, hosts: OpenHosts) -> list[Verdict]:
        """Judge what was kept as a whole, with pastes of strength 0 of the first of them as a control."""
        if self._batch is None or not self.n_kept:
            return []
        kept = [row for row in self.rows if row["status"] == KEPT and row["plan"]["source"] == "donor"][:N_NULLS]
        plans = [replace(plan_from_json(row["plan"]), strength=0.0) for row in kept]
        cards = {card.path: card for card in self._stock.cards}
        opened = {row["host"]["id"]: hosts.open(cards[row["host"]["path"]]) for row in kept}
        nulls = render_plans(self._stock, plans, opened)
        return list(self._batch.judge_set([(null, opened[null.plan.host_id]) for null in nulls]))

    def record_of(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the line of records.jsonl of a kept proposal."""
        plan = row["plan"]
        donor = self._stock.donors.get(plan["source_id"]) if plan["source"] == "donor" else None
        source = {"kind": plan["source"], "id": plan["source_id"], "path": donor.path if donor else "",
                  "group": donor.group if donor else ""}  # fmt: skip
        return {
            "id": row["id"], "schema_version": SCHEMA_VERSION, "label": plan["label"], "synthetic": True,
            "image": row["image"], "mask": row["mask"], "sha256": row["sha256"], "mask_sha256": row["mask_sha256"],
            "group": self._group_of(row), "source": source, "host": row["host"],
            "seed": self._stock.seed, "number": row["number"], "block": row["number"] // BLOCK, "plan": plan,
            "size": row["size"], "box": row["box"], "area_px": row["area_px"], "contrast": row["contrast"],
            "verdicts": row["verdicts"], "versions": self._versions,
            **({"gaps": row["gaps"]} if "gaps" in row else {}),
        }  # fmt: skip

    def _compare(self, folder: Path, rows: Sequence[Mapping[str, Any]]) -> list[list[Verdict]]:
        """Return the verdicts of the set's rules on each row; the batch remembers those that pass."""
        if self._batch is None:
            return [[] for _ in rows]
        variants = [_read_variant(folder, row) for row in rows]
        return list(self._batch.judge(variants, [self._group_of(row) for row in rows]))

    def _group_of(self, row: Mapping[str, Any]) -> str:
        donor = self._stock.donors.get(row["plan"]["source_id"]) if row["plan"]["source"] == "donor" else None
        return donor.group if donor is not None else str(row["host"]["group"])

    def _keep(self, folder: Path, row: dict[str, Any]) -> None:
        self.n_kept += 1
        name = variant_id(self._stock.label, self._stock.seed, row["number"])
        image, mask = folder / row["image"], folder / row["mask"]
        strip = folder / f"{row['number']:06d}_strip.jpg"
        row.update(status=KEPT, id=name, image=f"images/{name}{image.suffix}", mask=f"masks/{name}.png",
                   sha256=_sha256(image), mask_sha256=_sha256(mask))  # fmt: skip
        row["files"] = [(image, row["image"]), (mask, row["mask"]), (strip, f".synth/strips/{name}.jpg")]


def variant_id(label: str, seed: int, number: int) -> str:
    """Return a variant's name, which says that it is synthetic wherever a file of this name turns up.

    >>> variant_id("color/cut", 7, 31)
    'synth-color_cut-7-000031'
    """
    return f"synth-{re.sub(r'[^A-Za-z0-9_.-]+', '_', label)[:60]}-{seed}-{number:06d}"


def _cause(row: Mapping[str, Any]) -> str:
    """Return what the funnel counts a loss under: the rule, or the reason without its particulars."""
    return str(row.get("rule") or row["reason"].partition(":")[0])


def _read_variant(folder: Path, row: Mapping[str, Any]) -> Variant:
    """Read a variant as it is shipped, after encoding. Where it was meant to be counts no more."""
    mask = read_mask(folder / row["mask"])
    return Variant(plan_from_json(row["plan"]), read_image(folder / row["image"]), mask, mask, row["contrast"])


def _without_files(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("image", "mask")}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
