"""An Airflow DAG that turns the flywheel once a week: run the round, wait for people without holding a worker.

Copy it into the DAGs folder. Airflow variables: activesel_workspace (needed), activesel_program (default: activesel).
Exit code 8 (people have something to do) and 7 (another command is at work on the workspace) reschedule the task; 2
and 3 (somebody must mend something) and 4 and 5 (a verdict) fail it at once; anything else is tried again. Run with
Airflow 3.3.2; written for 2.7 and later, too.
"""

from __future__ import annotations

import subprocess
from datetime import datetime, timedelta

try:
    from airflow.sdk import Variable, dag, task
    from airflow.sdk.bases.sensor import PokeReturnValue
    from airflow.sdk.exceptions import AirflowException, AirflowFailException
except ImportError:  # Airflow 2, and 3.0
    from airflow.decorators import dag, task
    from airflow.exceptions import AirflowException, AirflowFailException
    from airflow.models import Variable
    from airflow.sensors.base import PokeReturnValue

WAITS, FOR_PEOPLE = (7, 8), (2, 3, 4, 5)


def run_activesel(*words: str) -> subprocess.CompletedProcess[str]:
    program = Variable.get("activesel_program", "activesel")
    return subprocess.run([program, *words, "-w", Variable.get("activesel_workspace")], capture_output=True, text=True,
                          check=False)  # fmt: skip


def reason_of(ended: subprocess.CompletedProcess[str]) -> str:
    """Return the one line in which activesel says why, for the task's log and its state."""
    lines = ended.stderr.strip().splitlines() or ["activesel said nothing"]
    return f"exit code {ended.returncode}: {lines[-1]}"


@dag(schedule="@weekly", start_date=datetime(2026, 1, 1), catchup=False, max_active_runs=1,
     default_args={"retries": 3, "retry_delay": timedelta(minutes=10)})  # fmt: skip
def activesel_round() -> None:
    @task.sensor(poke_interval=900, timeout=7 * 24 * 3600, mode="reschedule")
    def turn() -> PokeReturnValue:
        """Run the round as far as it goes; done once it is finished."""
        ended = run_activesel("round", "run", "--json")
        if ended.returncode in WAITS:
            print(reason_of(ended))
            return PokeReturnValue(is_done=False)
        if ended.returncode in FOR_PEOPLE:
            raise AirflowFailException(reason_of(ended))
        if ended.returncode != 0:
            raise AirflowException(reason_of(ended))
        return PokeReturnValue(is_done=True, xcom_value=ended.stdout)

    @task
    def report() -> str:
        """Write the page; its path is the task's result."""
        ended = run_activesel("round", "report")
        if ended.returncode != 0:
            raise AirflowException(reason_of(ended))
        return ended.stdout.strip()

    turn() >> report()


activesel_round()
