"""Dataset versions to models, and models to answers. A new trainer is a file like head.py and its line below."""

from __future__ import annotations

from activesel.trainers import command, fine_tune, head  # registers each trainer
from activesel.trainers.folder import load_predictor, read_card
from activesel.trainers.registry import Asked, Fit, Trainer, Work, find_trainer, parse_options, trainer_names

TRAINERS = (head, fine_tune, command)

__all__ = [
    "TRAINERS",
    "Asked",
    "Fit",
    "Trainer",
    "Work",
    "find_trainer",
    "load_predictor",
    "parse_options",
    "read_card",
    "trainer_names",
]
