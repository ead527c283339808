"""activesel ab: whether the challenger does better on its lots than the champion on the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from activesel.cli.options import AsJson, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_counts, show_json, show_pairs, show_table

if TYPE_CHECKING:
    from activesel.abtest import Estimate
    from activesel.pipelines.ab import Analysis


def ab(
    challenger: Annotated[
        str | None, typer.Option(metavar="ID", help="The challenger; else that of the newest prediction.")
    ] = None,
    champion: Annotated[
        str | None, typer.Option(metavar="ID", help="The champion; else that of the newest prediction.")
    ] = None,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Compare two models on the lots that each judged.

    Logged predictions of `activesel serve --ab` meet what is known of the parts by now: labels, rework, returns. Ends
    with 0 if the challenger is surely better, with 4 if it is surely worse or its lots are used up, and with 5 if more
    lots are needed to tell. Run it as often as you like: its bounds hold at every look.

    \b
    Examples:
      activesel ab
      activesel ab --json
    """
    from activesel.pipelines.ab import analyse, as_document, check_ruling

    analysis = analyse(open_workspace(workspace_dir, settings), challenger=challenger, champion=champion)
    show_json(as_document(analysis)) if as_json else _show(analysis)
    check_ruling(analysis)


def _show(analysis: Analysis) -> None:
    show_pairs([
        ("ruling", f"{analysis.ruling.stop.value.upper()}: {analysis.ruling.reason}"),
        ("champion", analysis.champion), ("challenger", analysis.challenger),
        *((arm, f"{one.n_lots} lots, {one.n_parts} parts; the truth is known of {one.n_rejected_known} of "
                f"{one.n_rejected} rejected and {one.n_accepted_known} of {one.n_accepted} accepted ones")
          for arm, one in analysis.coverage.items()),
        ("left out", show_counts({name: n for name, n in analysis.left_out.items() if n})),
        *(("note", note) for note in analysis.notes),
    ])  # fmt: skip
    print()
    rows = [(one.metric, _say(one.champion), _say(one.challenger), _say(one.difference), one.n_pairs,
             f"{one.now[0]:+.3f} to {one.now[1]:+.3f}") for one in analysis.compared]  # fmt: skip
    head = ("share", "champion", "challenger", "difference (95 %, by lots)", "pairs", "at any look")
    show_table(head, rows)


def _say(one: Estimate) -> str:
    return "unknown" if one.value != one.value else f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})"
