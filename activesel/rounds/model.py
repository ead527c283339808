"""The steps of the model: train a challenger, evaluate it, hold it against the champion, let it answer or not."""

from __future__ import annotations

from activesel.dataset import Origin
from activesel.errors import DataError, WaitingError
from activesel.pipelines.dataset_files import read_dataset
from activesel.pipelines.evaluate import evaluate_model
from activesel.pipelines.gate import run_gate
from activesel.pipelines.registry import promote
from activesel.pipelines.train import TrainRequest, train
from activesel.rounds.data import version_of
from activesel.rounds.engine import Outcome, Room


def train_challenger(room: Room) -> Outcome:
    """Train on the round's version; rerun after a kill, it is the same model."""
    version = version_of(room)
    trained = train(room.workspace, TrainRequest(dataset=version, trainer=str(room.settings["trainer"]),
                                                 options=dict(room.settings["options"]), pool=True))  # fmt: skip
    entries = [one for one in read_dataset(room.workspace, version).entries if one.split == "train"]
    n_made = sum(one.example.origin is Origin.synthetic for one in entries)
    found = {"model": trained.model_id, "dataset": version, "n_real": len(entries) - n_made, "n_variants": n_made}
    return Outcome(found, f"model {trained.model_id}: {len(entries) - n_made} real images, {n_made} variants")


def evaluate_challenger(room: Room) -> Outcome:
    """Measure the challenger on images that it has not seen."""
    model_id = str(room.round.result("train")["model"])
    try:
        found = evaluate_model(room.workspace, model_id, version_of(room))
    except DataError as error:  # too few labels to test on yet, which the next rounds bring
        return Outcome(message=str(error), skipped=True)
    recall = found.worth.recall
    triple = None if recall is None else [recall.value, recall.low, recall.high]
    return Outcome({"recall": triple, "page": str(found.page)}, f"{found.page}")


def hold_against_champion(room: Room) -> Outcome:
    """Let the gate judge; whatever it says, the round goes on."""
    try:
        gated = run_gate(room.workspace, str(room.round.result("train")["model"]), version_of(room))
    except DataError as error:  # nothing to test on yet
        return Outcome({"outcome": "hold", "reason": str(error)}, f"hold: {error}")
    decision = gated.decision
    recalls = decision.details.get("comparison", {}).get("recalls")
    found = {"outcome": decision.outcome, "reason": decision.reason, "champion": decision.champion,
             "look": decision.look, "before": recalls[0] if recalls else None}  # fmt: skip
    return Outcome(found, f"{decision.outcome}: {decision.reason}")


def promote_challenger(room: Room) -> Outcome:
    """Let the challenger answer where the gate and the settings allow it, and a person where they ask for one."""
    gate, model_id = room.round.result("gate"), str(room.round.result("train")["model"])
    policy, outcome = room.workspace.config.rounds.promotion, str(gate["outcome"])
    if outcome == "reject" or (outcome == "hold" and policy != "unless rejected"):
        return Outcome({"promoted": False}, f"the gate says {outcome}: the champion stays", skipped=True)
    if policy == "approved" and not room.settings["approved"]:
        raise WaitingError("the challenger passes the gate and waits for approval", where=f"model {model_id}",
                           found=str(gate["reason"]), hint="activesel round resume --approve")  # fmt: skip
    forced = None if outcome == "promote" else f"rounds.promotion is {policy}; {outcome}: {gate['reason']}"
    moved = promote(room.workspace, model_id, forced)
    return Outcome({"promoted": True, "forced": forced or ""}, f"model {model_id} answers: {moved.reason}")
