"""An Airflow DAG that turns the flywheel once a week: run the round, wait for people without holding a worker.

Copy it into the DAGs folder. Airflow variables: activesel_workspace (needed), activesel_program (default: activesel).
Exit code 8 (people have something to do) reschedules the task; 4 and 5 (a verdict) fail it at once; anything else is
tried again. Written for Airflow 2.7 and later, and for 3.
"""

from __future__ import annotations

import subprocess
from datetime import datetime, timedelta

from airflow.decorators import dag, task
from airflow.exceptions import AirflowFailException
from airflow.models import Variable
from airflow.sensors.base import PokeReturnValue

WAITS_FOR_PEOPLE, VERDICTS = 8, (4, 5)


def run_activesel(*words: str) -> subprocess.CompletedProcess[str]:
    program = Variable.get("activesel_program", "activesel")
    return subprocess.run([program, *words, "-w", Variable.get("activesel_workspace")], capture_output=True, text=True,
                          check=False)  # fmt: skip


@dag(schedule="@weekly", start_date=datetime(2026, 1, 1), catchup=False, max_active_runs=1,
     default_args={"retries": 3, "retry_delay": timedelta(minutes=10)})  # fmt: skip
def activesel_round() -> None:
    @task.sensor(poke_interval=900, timeout=7 * 24 * 3600, mode="reschedule")
    def turn() -> PokeReturnValue:
        """Run the round as far as it goes; done once it is finished."""
        ended = run_activesel("round", "run", "--json")
        if ended.returncode == WAITS_FOR_PEOPLE:
            print(ended.stderr.strip().splitlines()[-1])
            return PokeReturnValue(is_done=False)
        if ended.returncode in VERDICTS:
            raise AirflowFailException(ended.stderr.strip().splitlines()[-1])
        ended.check_returncode()
        return PokeReturnValue(is_done=True, xcom_value=ended.stdout)

    @task
    def report() -> str:
        """Write the page; its path is the task's result."""
        ended = run_activesel("round", "report")
        ended.check_returncode()
        return ended.stdout.strip()

    turn() >> report()


activesel_round()
