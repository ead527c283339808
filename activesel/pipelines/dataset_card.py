"""Fill in the card of a dataset version from its entries and from what gaps and quality control left behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from activesel.annotations import LabelState
from activesel.dataset import Dataset, Entry, Origin
from activesel.pipelines.gap_files import gaps_folder
from activesel.pipelines.qc_files import quality_folder
from activesel.report.dataset_card import CardGap, CardRow, DatasetCard, render_card_html, render_card_markdown
from activesel.workspace import Workspace, write_atomic

MOST_GAPS = 20
RULES = (
    "Images of one part or lot, and near-duplicates, lie on one side.",
    "Evaluation images only test; what shares a group with one, and nobody drew, is left out.",
    "Variants, and the images that they were made from, only train.",
    "Weak labels only train; rejected ones are left out.",
    "An image keeps its side from version to version: nothing that has trained ever tests.",
)


def write_card(workspace: Workspace, dataset: Dataset, notes: Sequence[str], folder: Path) -> None:
    """Write card.md and card.html into the version's folder."""
    card = fill_card(workspace, dataset, notes)
    write_atomic(folder / "card.md", render_card_markdown(card).encode("utf8", "backslashreplace"))
    write_atomic(folder / "card.html", render_card_html(card).encode("utf8", "backslashreplace"))


def fill_card(workspace: Workspace, dataset: Dataset, notes: Sequence[str]) -> DatasetCard:
    """Count a version's images by class, state and origin."""
    head, entries = dataset.head, dataset.entries
    return DatasetCard(
        str(head["name"]), dataset.version, datetime.now(UTC).isoformat(timespec="seconds"), str(head["licence"] or ""),
        read_kappa(workspace), len(entries), len({one.group for one in entries}),
        sum(one.example.evaluation for one in entries),
        _count(entries, lambda one: one.example.label, head["classes"]),
        _count(entries, lambda one: one.example.state.value, [one.value for one in LabelState]),
        _count(entries, lambda one: one.example.origin.value.replace("_", " "),
               [one.value.replace("_", " ") for one in Origin]),
        dict(head["left_out"]), tuple(_describe_set(one) for one in head["sets"]), _read_gaps(workspace), tuple(notes),
        RULES,
    )  # fmt: skip


def _count(entries: Sequence[Entry], name_of: Callable[[Entry], str], names: Sequence[str]) -> tuple[CardRow, ...]:
    rows = []
    for name in names:
        own = [one for one in entries if name_of(one) == name]
        sides = [sum(one.split == side for one in own) for side in ("train", "validation", "test")]
        rows += [CardRow(name, sides[0], sides[1], sides[2], len({one.group for one in own}))] if own else []
    return tuple(rows)


def _describe_set(one: dict[str, Any]) -> str:
    text = f"{one['folder']}: {one['images']} images, {one['key']}"
    return text + (f"; refused ({'; '.join(one['refused'])}), let in: {one['accepted']}" if one["refused"] else "")


def _read_gaps(workspace: Workspace) -> tuple[CardGap, ...] | None:
    document = _read(gaps_folder(workspace) / "gaps.json")
    try:
        return None if document is None else tuple(
            CardGap(str(one["name"]), str(one["action"]), int(one["missing"]), str(one["reason"]))
            for one in document["gaps"][:MOST_GAPS])  # fmt: skip
    except (KeyError, TypeError, ValueError):
        return None  # of another version; a card is no place to fail for it


def read_kappa(workspace: Workspace) -> str:
    """Return what the last quality control said of agreement; "" where there was none."""
    pages = sorted(quality_folder(workspace).glob("*.json"), key=lambda path: (path.stat().st_mtime_ns, path.name))
    document = (_read(pages[-1]) if pages else None) or {}
    agreement = document.get("agreement")
    if not isinstance(agreement, dict) or not isinstance(agreement.get("kappa"), float):
        return ""
    return (f"kappa {agreement['kappa']:.2f} ({agreement['low']:.2f} .. {agreement['high']:.2f}) on {agreement['n']} "
            f"images of batch {document['batch_id']}: {document['verdict']}")  # fmt: skip


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
