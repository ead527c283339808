"""What a proof found, and what it leaves: proof.json, proof.html for people, weights.csv of what is promoted."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from activesel.pipelines.siblings import Gains
from activesel.promotion import Bound, Worth
from activesel.report.proof_page import ChangeRow, PrecisionRow, ProofPage, render_proof
from activesel.workspace import write_atomic, write_json
from synth.publish import RECORDS, STATE
from synth.record import read_lines

REAL, COPIES, VARIANTS = "real images alone", "standard augmentation", "variants"
PROOF, WEIGHTS, PAGE = "proof.json", "weights.csv", "proof.html"
MOST_PICTURES = 12
_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Proof:
    """worth: the verdict. precision: arm -> average precision of the class, the mean over repeats. gains: rival ->
    bound. others: other class -> bound against real images alone. shares: of the class's weight, chosen fold by fold.
    by_class: class -> the same as precision, of each. refused: what the rules on the set as a whole say against it.
    siblings: where the class is too rare to be judged, what variants gain on other classes cut to as many groups.
    """

    folder: Path
    label: str
    worth: Worth
    n_images: int
    n_groups: int
    precision: Mapping[str, float]
    gains: Mapping[str, Bound]
    others: Mapping[str, Bound]
    shares: tuple[float, ...]
    notes: tuple[str, ...]
    by_class: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    siblings: Gains = field(default_factory=dict)

    @property
    def share(self) -> float:
        """Of the class's weight that made images have; real ones keep the rest."""
        return float(np.mean(self.shares)) if self.shares else 0.0


def ship(proof: Proof, asked: Mapping[str, Any]) -> None:
    """Write the verdict, its page, and the weights of what is promoted; those of an earlier proof do not stay.

    asked: what the verdict depends on beside the images, most_fall and accept_set_rules among it.
    """
    weights = proof.folder / WEIGHTS
    if proof.worth.is_promoted:
        write_atomic(weights, _weigh(proof))
    else:
        weights.unlink(missing_ok=True)
    page = page_of(proof, float(asked["most_fall"]), asked["accept_set_rules"])
    write_atomic(proof.folder / PAGE, render_proof(page))
    write_json(proof.folder / PROOF, {**as_json(proof), "asked": dict(asked)})


def as_json(proof: Proof) -> dict[str, Any]:
    """Return the proof as JSON values. real_share_floor: of the class's weight, or of its places in each batch."""
    bounds = {name: {key: asdict(one) for key, one in found.items()}
              for name, found in (("gains", proof.gains), ("others", proof.others))}  # fmt: skip
    return {"schema_version": _SCHEMA_VERSION, "class": proof.label, "promoted": proof.worth.is_promoted,
            "verdict": proof.worth.outcome, "reason": proof.worth.reason, "groups_needed": proof.worth.needed,
            "n_images": proof.n_images, "n_groups": proof.n_groups, "average_precision": dict(proof.precision),
            **bounds, "siblings": proof.siblings, "shares": list(proof.shares), "real_share_floor": 1 - proof.share,
            "by_class": {name: dict(one) for name, one in proof.by_class.items()}, "set_refused": list(proof.refused),
            "weights": WEIGHTS if proof.worth.is_promoted else None, "notes": list(proof.notes)}  # fmt: skip


def page_of(proof: Proof, most_fall: float, accepted: str | None) -> ProofPage:
    """Return what the page shows."""
    arms = (REAL, COPIES, VARIANTS)
    precision = tuple(
        PrecisionRow(name, tuple(one[arm] for arm in arms), name == proof.label)
        for name, one in sorted(proof.by_class.items(), key=lambda pair: (pair[0] != proof.label, pair[0]))
    )
    changes = [_change(proof.label, rival, bound, 0.0) for rival, bound in proof.gains.items()]
    changes += [_change(name, REAL, bound, -most_fall) for name, bound in proof.others.items()]
    return ProofPage(
        proof.label, str(proof.folder), proof.worth.is_promoted, proof.worth.outcome, proof.worth.reason,
        proof.n_images, proof.n_groups, proof.share, tuple(proof.shares), arms, precision, tuple(changes),
        proof.refused, accepted if proof.refused else None, _pictures(proof.folder), proof.notes,
        tuple(_sibling(name, rival, values) for rival, one in proof.siblings.items() for name, values in one.items()),
    )  # fmt: skip


def _change(name: str, rival: str, bound: Bound, least: float) -> ChangeRow:
    ok = bound.low > 0 if least == 0 else bound.low >= least
    return ChangeRow(name, rival, bound.mean, bound.low, bound.high, least, ok)


def _sibling(name: str, rival: str, values: Sequence[float]) -> ChangeRow:
    """Return what variants change on a class cut to as few groups: the mean of its draws, the least, the most."""
    mean = float(np.mean(values))
    return ChangeRow(name, rival, mean, min(values), max(values), 0.0, mean > 0)


def _pictures(folder: Path) -> tuple[bytes, ...]:
    """Return strips of the set's variants, evenly from first to last; of a fold's where there is no set yet."""
    folders = [folder, *sorted((folder / STATE / "proof").glob("set-*"))]
    found = next((sorted(files) for one in folders if (files := list((one / STATE / "strips").glob("*.jpg")))), [])
    places = np.linspace(0, max(0, len(found) - 1), MOST_PICTURES).round().astype(int)
    return tuple(found[i].read_bytes() for i in np.unique(places) if found)


def _weigh(proof: Proof) -> str:
    """Return weights.csv: a made image's weight where a real one of any class weighs 1, before classes are balanced,
    and the untouched image that its defect was put into, which whoever mixes needs."""
    with (proof.folder / "labels.csv").open(encoding="utf8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    hosts = {record["image"]: record["host"]["path"] for record in read_lines(proof.folder / RECORDS)}
    each = proof.share / (1 - proof.share) * proof.n_images / max(1, len(rows))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "label", "weight", "host"])
    writer.writerows([row["path"], row["label"], f"{each:.6g}", hosts.get(row["path"], "")] for row in rows)
    return text.getvalue()
