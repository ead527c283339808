"""activesel status: what the workspace holds and what to do next."""

from __future__ import annotations

from activesel.cli.options import AsJson, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_counts, show_json, show_pairs, show_table


def status(workspace_dir: WorkspaceDir = None, settings: Settings = None, as_json: AsJson = False) -> None:
    """Show images, labels, vectors, batches and the next step.

    \b
    Example:
      activesel status -w line-4
    """
    from activesel.pipelines.status import read_status

    found = read_status(open_workspace(workspace_dir, settings))
    if as_json:
        show_json(found)
        return
    show_pairs([
        ("workspace", found.workspace),
        ("images", f"{found.n_images} ({found.n_files} files)"),
        ("labelled", f"{found.n_labelled}" + (f": {show_counts(found.n_by_class)}" if found.n_by_class else "")),
        ("held out", found.n_evaluation or None),
        ("quarantined", show_counts(found.n_by_reason)),
        ("vectors", f"{found.n_vectors} of {found.n_images} ({found.backbone})"),
    ])  # fmt: skip
    if found.batches:
        print()
        rows = [(one.batch_id, one.created, one.strategy, one.n_picks, one.n_labelled) for one in found.batches]
        show_table(("batch", "created", "strategy", "picks", "labelled since"), rows)
        print()
    show_pairs([("next", found.next_step)])
