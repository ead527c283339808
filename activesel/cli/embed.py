"""activesel embed: give every image its vector."""

from __future__ import annotations

from activesel.cli.options import AsJson, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_json, show_pairs


def embed(workspace_dir: WorkspaceDir = None, settings: Settings = None, as_json: AsJson = False) -> None:
    """Compute the vectors of images that have none.

    `select` does the same when it has to.

    \b
    Example:
      activesel embed --set embedding.device=cuda
    """
    from activesel.catalog import Catalog
    from activesel.pipelines import embed as story

    workspace = open_workspace(workspace_dir, settings)
    with workspace.lock("embed"):
        with Catalog.open(workspace.catalog_place) as catalog:
            rows = catalog.images()
        summary = story.embed(workspace, rows)
    if as_json:
        show_json(summary)
        return
    show_pairs([
        ("backbone", summary.key),
        ("new vectors", f"{summary.n_new} ({summary.images_per_s:.1f} images a second)"),
        ("known", summary.n_known or None),
        ("failed", f"{len(summary.failed)}; the first: {summary.failed[0].path} ({summary.failed[0].detail})"
         if summary.failed else None),
    ])  # fmt: skip
