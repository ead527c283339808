"""The steps before people: choose the batch, draw who sees what of it, predict it."""

from __future__ import annotations

from activesel.catalog import Catalog
from activesel.pipelines.assign import AssignRequest, assign_batch, expect_spend, route_by_settings
from activesel.pipelines.prelabel import PrelabelRequest, prelabel
from activesel.pipelines.select import SelectRequest, select_batch
from activesel.rounds.engine import Outcome, Room
from activesel.workspace import Workspace


def choose_batch(room: Room) -> Outcome:
    """Select the round's batch; rerun after a kill, it is the same one."""
    budget, source = int(room.settings["budget"]), room.settings.get("source")
    batch = select_batch(room.workspace, SelectRequest(budget, source=source, command="activesel round run"))
    found = {"batch": batch.batch_id, "n_picks": batch.n_picks, "by_kind": batch.n_by_kind, "strategy": batch.strategy,
             "worth": batch.worth_text}  # fmt: skip
    return Outcome(found, f"batch {batch.batch_id}: {batch.n_picks} images; {batch.folder / 'report.html'}")


def assign_people(room: Room) -> Outcome:
    """Draw overlap, known answers and hidden pre-labels before anybody labels."""
    workspace, batch_id = room.workspace, str(room.round.result("select")["batch"])
    routed = workspace.config.routing.critical
    request = AssignRequest(blind_arm=None if has_model(workspace) else 0.0,
                            route=route_by_settings(workspace) if routed else None)  # fmt: skip
    drawn = assign_batch(workspace, batch_id, request)
    money, minutes = expect_spend(workspace, drawn.tasks)
    n_overlap, n_gold = (sum(getattr(one, name) for one in drawn.tasks) for name in ("overlap", "gold"))
    found = {"n_tasks": len(drawn.tasks), "n_opinions": drawn.n_opinions, "money": money, "minutes": minutes,
             "n_overlap": n_overlap, "n_gold": n_gold}  # fmt: skip
    return Outcome(
        found, f"{drawn.n_opinions} opinions wanted on {len(drawn.tasks)} images, about {minutes:.0f} minutes"
    )


def predict_batch(room: Room) -> Outcome:
    """Let the model say what it takes the batch for, for those who may see it."""
    if not has_model(room.workspace):
        return Outcome(message="no labels of two classes yet, so no model", skipped=True)
    done = prelabel(room.workspace, PrelabelRequest(batch=str(room.round.result("select")["batch"])))
    return Outcome({"model": done.model, "n_images": done.n_images}, f"{done.n_images} images predicted")


def has_model(workspace: Workspace) -> bool:
    """Tell whether there are labels of two classes, which is what a head takes."""
    with Catalog.open(workspace.catalog_place) as catalog:
        labels = catalog.label_columns()
    return len(set(labels.codes.tolist())) > 1
