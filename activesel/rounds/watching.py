"""The step that looks back: drift, blind spots, and whether the flywheel feeds on itself."""

from __future__ import annotations

from activesel.monitoring import State
from activesel.pipelines.monitor import MonitorRequest, watch_workspace
from activesel.pipelines.monitor_files import monitor_folder, say, write_monitor
from activesel.rounds.engine import Outcome, Room


def watch_line(room: Room) -> Outcome:
    """Look at every monitor; an alarm is told, and stops nothing: the next batch is what answers it."""
    folder = monitor_folder(room.workspace)
    watched = watch_workspace(room.workspace, MonitorRequest(), folder)
    write_monitor(room.workspace, watched, folder)
    alarms = [say(one) for one in watched.readings if one.state is State.act]
    unknown = sum(one.state is State.unknown for one in watched.readings)
    told = f"{len(alarms)} alarms" if alarms else "no alarm"
    return Outcome({"state": watched.state.value, "alarms": alarms}, f"{told}, {unknown} monitors cannot tell yet")
