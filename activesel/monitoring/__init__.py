"""Whether a flywheel goes wrong: signals in, readings with reasons and next commands out; no files, no models."""

from activesel.monitoring.signals import Labelled, Limits, Overrides, Reading, Regions, Signals, State
from activesel.monitoring.verdict import MONITORS, judge, watch

__all__ = ["MONITORS", "Labelled", "Limits", "Overrides", "Reading", "Regions", "Signals", "State", "judge", "watch"]
