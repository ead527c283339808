"""activesel qc: whether a batch's labels can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from activesel.cli.options import AsJson, Batch, Settings, WorkspaceDir, open_workspace
from activesel.cli.show import show_json, show_pairs, show_table, tell

if TYPE_CHECKING:
    from activesel.agreement import Agreement
    from activesel.looks import Look
    from activesel.pipelines.qc import Quality


def qc(
    batch: Batch = None,
    by: Annotated[str, typer.Option(metavar="COLUMN", help="Metadata whose values are looked at apart.")] = "station",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Measure and print; write nothing.")] = False,
    workspace_dir: WorkspaceDir = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Check whether a batch's labels can be trusted.

    Measures how far people agree on the images that two of them labelled without knowing of each other, and how often
    they gave known answers; records what counts for each image. Ends with 0 if the labels pass, with 4 if they fail and
    with 5 if more labels are needed to tell, and then says how many. Each look at more labels is counted and must be
    surer than the one before, so that looking again and again passes nothing by chance; a dry run counts nothing.

    \b
    Examples:
      activesel qc
      activesel qc 0003 --by line --json
    """
    from activesel.errors import InconclusiveError, RefusedError
    from activesel.pipelines.export import find_batch
    from activesel.pipelines.qc import check_quality, record_consensus
    from activesel.pipelines.qc_files import as_json as to_json
    from activesel.pipelines.qc_files import write_quality

    workspace = open_workspace(workspace_dir, settings)
    batch_id = find_batch(workspace, batch)
    if dry_run:
        quality = check_quality(workspace, batch_id, by=by)
        document = to_json(quality)
    else:
        with workspace.lock("qc"):
            quality = check_quality(workspace, batch_id, by=by)
            document = to_json(quality) | {"changed": record_consensus(workspace, quality)}
            document["report"] = write_quality(workspace, quality, document)
    show_json(document) if as_json else _show(quality, document)
    if dry_run and quality.look is not None:
        tell("dry run: nothing was written, and the look was not counted: only a counted one's verdict keeps its word")
    verdict, reasons = quality.decision.verdict.value, "; ".join(quality.decision.reasons)
    if verdict == "fail":
        raise RefusedError("the labels do not pass", where=f"batch {batch_id}", found=reasons,
                           hint="see `activesel adjudicate list`")  # fmt: skip
    if verdict == "inconclusive":
        raise InconclusiveError("it is not known yet whether the labels pass", where=f"batch {batch_id}", found=reasons)


def _show(quality: Quality, document: dict[str, object]) -> None:
    decision, opinions = quality.decision, quality.opinions
    show_pairs([
        ("verdict", f"{decision.verdict.value.upper()}: {'; '.join(decision.reasons)}"),
        ("batch", f"{opinions.batch_id}: {len(opinions.people)} of {len(opinions.picks)} images labelled by "
                  f"{len(opinions.annotators)} people, {len(opinions.blind)} by two or more to be compared"),
        ("look", _say_look(quality.look)),
        ("skipped", f"{quality.n_skipped} opinions" if quality.n_skipped else None),
        ("several", _say_several(quality)),
        ("experts", _say_experts(quality.experts)),
        ("shapes", _say_shapes(quality)),
        *(("note", note) for note in quality.notes),
    ])  # fmt: skip
    if quality.overall is not None:
        print()
        head = ("agreement", "", "images", "kappa", "95 % interval", "on defects", "on the good", "defects",
                "prevalence", "bias", "PABAK", "AC1")  # fmt: skip
        rows = [("overall", "", *_cells(quality.overall))]
        show_table(head, rows + [(row.kind, row.name, *_cells(row.agreement)) for row in quality.rows])
    if quality.gold:
        print()
        show_table(("known answers", "right", "of", "share", "95 % interval"),
                   [(one.annotator, one.n_right, one.n, f"{one.share:.2f}", f"{one.low:.2f} to {one.high:.2f}")
                    for one in quality.gold])  # fmt: skip
    print()
    show_pairs([("changed", document.get("changed")), ("report", document.get("report"))])


def _say_look(look: Look | None) -> str | None:
    if look is None:
        return None
    return f"number {look.number} at these labels; its bounds are sure to {1 - look.bound:.1%}"


def _say_several(quality: Quality) -> str | None:
    if len(quality.opinions.annotators) < 3 or quality.alpha is None:
        return None
    fleiss = "" if quality.fleiss is None else f", Fleiss' kappa {quality.fleiss:.3f}"
    return f"Krippendorff's alpha {quality.alpha:.3f}{fleiss}"


def _say_experts(found: Agreement | None) -> str:
    if found is None:
        return "no image has two experts' verdicts from before they saw the answers"
    kappa = "undefined" if found.kappa is None else f"{found.kappa:.3f}"
    return f"kappa {kappa} ({found.low:.3f} to {found.high:.3f}) of two who had seen no answer, {found.n} images"


def _say_shapes(quality: Quality) -> str | None:
    found = quality.shapes
    if found is None or found.f1 is None:
        return None
    iou = "" if found.mean_iou is None else f", mean IoU of the matched {found.mean_iou:.2f}"
    return f"{found.n_matched} matched of {found.n_first} and {found.n_second}, F1 between people {found.f1:.2f}{iou}"


def _cells(one: Agreement) -> tuple[str, ...]:
    def say(value: float | None) -> str:
        return "undefined" if value is None else f"{value:.3f}"

    signed = (f"{one.prevalence:+.2f}", f"{one.bias:+.2f}")
    return (str(one.n), say(one.kappa), f"{one.low:.3f} to {one.high:.3f}", say(one.positive), say(one.negative),
            str(one.n_positive), *signed, say(one.pabak), say(one.ac1))  # fmt: skip
