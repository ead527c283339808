"""activesel gate: may the challenger become the champion?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from activesel.cli.options import AsJson, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_json, show_pairs

if TYPE_CHECKING:
    from activesel.pipelines.gate import Gated


def gate(
    challenger: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Id or alias; else the challenger, or the newest model.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(metavar="VERSION", help="Whose test images judge; else the newest version's.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge and print; log nothing, which is no look.")] = False,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Say whether the challenger may become the champion.

    Compares both on the same images that neither was trained on, and logs the verdict. Ends with 0 for promote, with 4
    for reject and with 5 for hold, and then says how many more labels, of which kind, would settle each rule that
    holds. Nothing is promoted: `activesel models promote` does that.

    \b
    Example:
      activesel gate --challenger 3f2a --json
    """
    from activesel.errors import InconclusiveError, RefusedError
    from activesel.pipelines.gate import run_gate, say_more

    workspace = open_workspace(workspace_dir, settings)
    with workspace.lock("gate"):
        found = run_gate(workspace, challenger, dataset, dry_run=dry_run)
    show_json(_document(found)) if as_json else _show(found)
    verdict, where = found.verdict, f"model {found.decision.challenger}"
    if verdict.outcome == "reject":
        raise RefusedError("the challenger is rejected", where=where, found="; ".join(verdict.reasons))
    if verdict.outcome == "hold":
        raise InconclusiveError("it is not known yet whether the challenger may be champion", where=where,
                                found="; ".join(verdict.reasons), hint=say_more(found))  # fmt: skip


def _document(found: Gated) -> dict[str, Any]:
    from dataclasses import asdict

    from activesel.pipelines.gate import say_more

    more, wanted = found.more, None
    if more is not None and (more.defects or more.good):
        rules = [asdict(one) for one in more.wishes]
        wanted = {"defects": more.defects, "good": more.good, "classes": more.classes, "rules": rules}
    return {
        "schema_version": 1, "verdict": found.verdict.outcome.value, "reasons": list(found.verdict.reasons),
        "label_more": wanted, "advice": say_more(found),
        "is_new": found.is_new, "frozen": found.n_frozen, "stream": found.n_stream, "notes": list(found.notes),
        "decision": asdict(found.decision),
    }  # fmt: skip


def _show(found: Gated) -> None:
    from activesel.pipelines.gate import say_more

    decision, verdict = found.decision, found.verdict
    show_pairs([
        ("verdict", verdict.outcome.value.upper()),
        *(("because" if i == 0 else "and", reason) for i, reason in enumerate(verdict.reasons)),
        ("labels", say_more(found)),
        ("challenger", decision.challenger), ("champion", decision.champion or "none yet"),
        ("tested on", f"{found.n_frozen + found.n_stream} images, {found.n_stream} of them drawn at random "
                      f"(test set {decision.test_set})"),
        ("look", f"{decision.look}" + ("" if found.is_new else ", the same one as before")),
        *(("note", note) for note in found.notes),
    ])  # fmt: skip
