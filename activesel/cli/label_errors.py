"""activesel label-errors: labels that the other images speak against."""

from __future__ import annotations

from typing import Annotated

import typer

from activesel.cli.options import AsJson, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_json, show_pairs, show_table


def label_errors(
    most: Annotated[int, typer.Option(metavar="N", min=1, help="How many to list.")] = 100,
    like: Annotated[
        str | None,
        typer.Option(metavar="CLASS", show_default=False,
                     help="List labels of other classes that may be of this one, which nobody knew before."),
    ] = None,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """List labels that are probably wrong, worst first.

    Every labelled image is predicted by a model that saw none of its group; where that says another class the label is
    in doubt, and surely so by the rule of confident learning. Somebody should look: a rare look is doubted, too. The
    sure ones join the experts' queue of their batch (activesel adjudicate list).

    \b
    Examples:
      activesel label-errors --most 50
      activesel label-errors --like pit
    """
    from activesel.pipelines.doubts import keep_doubts
    from activesel.pipelines.label_errors import find_doubts

    workspace = open_workspace(workspace_dir, settings)
    with workspace.lock("label-errors"):
        found = find_doubts(workspace, most, like)
        keep_doubts(workspace, found)
    if as_json:
        show_json(found)
        return
    share = f"about {found.share:.1%} of all labels are wrong"
    show_pairs([
        ("labels", f"{found.n_labels}, {found.n_held_out} of them held out"),
        ("in doubt", f"{found.n_found}, {found.n_confident} of them surely; {share}"),
    ])  # fmt: skip
    if found.suspects:
        print()
        show_table(("rank", "label", "looks like", "p(label)", "sure", "state", "path"), [
            (one.rank, one.label, one.suggested, f"{one.self_confidence:.2f}", "yes" if one.confident else "",
             one.state, one.path) for one in found.suspects
        ])  # fmt: skip
