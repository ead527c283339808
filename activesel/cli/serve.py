"""activesel serve: predictions over HTTP."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from activesel.cli.options import AsJson, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_json, show_pairs, tell

if TYPE_CHECKING:
    from activesel.serving.serve import Serving


def serve(
    model: Annotated[
        str, typer.Option("--model", metavar="ALIAS_OR_ID", help="Who answers; an alias is followed when it moves.")
    ] = "champion",
    shadow: Annotated[
        str | None, typer.Option(metavar="ALIAS_OR_ID", help="A model whose answers are logged and never returned.")
    ] = None,
    ab: Annotated[
        str | None, typer.Option("--ab", metavar="ALIAS_OR_ID", help="A model that judges a share of the lots.")
    ] = None,
    share: Annotated[float, typer.Option(min=0, max=1, metavar="0..1", help="Its share of the lots.")] = 0.2,
    by: Annotated[str, typer.Option("--by", metavar="lot", help="What is shared out; only lots as yet.")] = "lot",
    engine: Annotated[str, typer.Option(metavar="torch|onnx", help="What computes.")] = "torch",
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; others than this machine need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="The port; 0 = any free one.")] = 0,
    token: Annotated[
        str,
        typer.Option(
            envvar="ACTIVESEL_SERVE_TOKEN",
            show_default=False,
            metavar="SECRET",
            help="What requests must show; better in ACTIVESEL_SERVE_TOKEN, which no list of processes has.",
        ),
    ] = "",
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Answer predictions over HTTP.

    POST an image to /v1/predict; /health, /ready, /metrics and /v1/model tell how it goes. Predictions are logged for
    `activesel ab` and for monitoring. Ctrl-C or SIGTERM ends it once what is under way has been answered.

    \b
    Examples:
      activesel serve --port 8100
      activesel serve --shadow challenger
      activesel serve --ab challenger --share 0.2 --by lot
    """
    from activesel.pipelines.predictors import predictor_opener
    from activesel.serving.request import check_request
    from activesel.serving.serve import serve_predictions

    workspace = open_workspace(workspace_dir, settings)
    request = check_request(model, shadow, ab, share=share, by=by, engine=engine, host=host, port=port, token=token)
    serve_predictions(workspace, request, predictor_opener(workspace, engine), _show_json if as_json else _show)


def _show(serving: Serving) -> None:
    show_pairs([("url", serving.url), *serving.models.items(), ("engine", f"{serving.engine} on {serving.device}"),
                ("log", serving.log)])  # fmt: skip
    if serving.warning:
        tell(f"warning: {serving.warning}")
    sys.stdout.flush()  # a pipe would keep it until the end


def _show_json(serving: Serving) -> None:
    show_json(serving)
    sys.stdout.flush()
