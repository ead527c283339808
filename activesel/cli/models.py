"""activesel models: the models of a workspace."""

from __future__ import annotations

import typer

app = typer.Typer(help="The models of a workspace.", no_args_is_help=True)
