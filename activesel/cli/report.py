"""activesel report: draw a batch's report again."""

from __future__ import annotations

from activesel.cli.options import AsJson, Batch, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_json


def report(
    batch: Batch = None, workspace_dir: WorkspaceDir = None, settings: Settings = None, as_json: AsJson = False
) -> None:
    """Draw a batch's report again and print its path.

    \b
    Example:
      activesel report 0003 --set report.thumbnail_px=320
    """
    from activesel.pipelines.export import find_batch
    from activesel.pipelines.report import write_batch_report

    workspace = open_workspace(workspace_dir, settings)
    batch_id = find_batch(workspace, batch)
    path = write_batch_report(workspace, batch_id)
    show_json({"batch_id": batch_id, "report": path}) if as_json else print(path)
