"""activesel models export: a model as a file for other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from activesel.cli.options import AsJson, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_json, show_pairs

if TYPE_CHECKING:
    from activesel.pipelines.export_onnx import Exported


def export_model(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="An alias, such as champion, or a model's id.")],
    onnx: Annotated[Path, typer.Option("--onnx", metavar="FILE", help="Where the ONNX file goes; replaced if there.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say which model it is; write nothing.")] = False,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Write a model as ONNX, held against torch.

    Both answer the same images; a file whose probabilities differ by more than 0.001 is refused and not written.

    \b
    Example:
      activesel models export champion --onnx champion.onnx
    """
    from activesel.pipelines.predictors import export_model as export

    exported = export(open_workspace(workspace_dir, settings), model, onnx, dry_run=dry_run)
    show_json(exported) if as_json else _show(exported)


def _show(exported: Exported | Path) -> None:
    if isinstance(exported, Path):
        show_pairs([("model", exported.name)])
        return
    parity = exported.parity
    show_pairs([("parity", f"probabilities at most {parity.difference:.2g} apart on {parity.n_images} images"),
                ("input", f"pixels, float32, images x {' x '.join(map(str, exported.input_shape))}, values 0..255"),
                ("classes", ", ".join(exported.classes)), ("bytes", exported.n_bytes),
                ("file", exported.path)])  # fmt: skip
