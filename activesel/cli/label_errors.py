"""activesel label-errors: labels that the other images speak against."""

from __future__ import annotations

from typing import Annotated

import typer

from activesel.cli.options import AsJson, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_json, show_pairs, show_table


def label_errors(
    most: Annotated[int, typer.Option(metavar="N", min=1, help="How many to list.")] = 100,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """List labels that are probably wrong, worst first.

    Every labelled image is predicted by a model that saw none of its group; where that confidently says another class
    the label is in doubt (confident learning). Somebody should look: a rare look of a class is doubted, too.

    \b
    Example:
      activesel label-errors --most 50
    """
    from activesel.pipelines.label_errors import find_doubts

    workspace = open_workspace(workspace_dir, settings)
    with workspace.lock("label-errors"):
        found = find_doubts(workspace, most)
    if as_json:
        show_json(found)
        return
    show_pairs([
        ("labels", f"{found.n_labels}, {found.n_held_out} of them held out"),
        ("in doubt", f"{found.n_found}; about {found.share:.1%} of all labels are wrong"),
    ])  # fmt: skip
    if found.suspects:
        print()
        show_table(("rank", "label", "looks like", "margin", "state", "path"), [
            (one.rank, one.label, one.suggested, f"{one.margin:+.2f}", one.state, one.path) for one in found.suspects
        ])  # fmt: skip
