"""The steps of a round in their order; a new one is a function, and a line here."""

from __future__ import annotations

from activesel.rounds.choosing import assign_people, choose_batch, predict_batch
from activesel.rounds.data import freeze_data, make_variants
from activesel.rounds.engine import Step
from activesel.rounds.model import (
    evaluate_challenger,
    hold_against_champion,
    promote_challenger,
    train_challenger,
)
from activesel.rounds.people import check_labels, wait_for_experts, wait_for_labels
from activesel.rounds.report import report_round
from activesel.rounds.watching import watch_line

STEPS: tuple[Step, ...] = (
    Step("select", "choose the images most worth labelling", choose_batch),
    Step("assign", "draw who labels what", assign_people),
    Step("prelabel", "predict the batch", predict_batch),
    Step("label", "people label", wait_for_labels, locks=False),
    Step("quality", "check the labels", check_labels),
    Step("adjudicate", "experts decide", wait_for_experts, locks=False),
    Step("dataset", "freeze a version of the data", freeze_data),
    Step("synthesise", "fill gaps with variants, and prove them", make_variants, locks=False),
    Step("train", "train a challenger", train_challenger),
    Step("evaluate", "measure the challenger", evaluate_challenger),
    Step("gate", "hold it against the champion", hold_against_champion),
    Step("promote", "let it answer", promote_challenger),
    Step("monitor", "look for drift and bias", watch_line),
    Step("report", "write the page", report_round),
)
TITLES = {step.name: step.title for step in STEPS}
