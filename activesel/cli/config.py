"""activesel config: the settings in force, and what each may be."""

from __future__ import annotations

import typer

from activesel.cli.options import AsJson, Settings, WorkspaceDir
from activesel.cli.show import show_json

app = typer.Typer(rich_markup_mode=None, help="Show the settings in force, or what each may be.")


@app.command("show")
def show(workspace_dir: WorkspaceDir = None, settings: Settings = None, as_json: AsJson = False) -> None:
    """Print every setting as it stands.

    The defaults, the workspace's activesel.yaml over them, --set on top.

    \b
    Example:
      activesel config show --set seed=7
    """
    from activesel.pipelines.settings import read_settings

    config = read_settings(workspace_dir, settings or ())
    if as_json:
        show_json(config.model_dump(mode="json"))
        return
    import yaml

    print(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False), end="")


@app.command("schema")
def schema(as_json: AsJson = False) -> None:
    """Print each setting with its type, range, default and reason.

    \b
    Example:
      activesel config schema
    """
    from activesel.pipelines.settings import describe_settings, json_schema

    if as_json:
        show_json(json_schema())
        return
    for one in describe_settings():
        print(f"{one.key} = {one.default}\n    {one.kind}. {one.reason}")
