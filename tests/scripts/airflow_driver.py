"""Run by Airflow's own Python: import the DAG, turn it once for each row of exit codes, and print what became of it.

    python airflow_driver.py FOLDER_OF_DAGS CODES_FILE CASE...

CASE: exit codes of the program, one a call, with commas between; CODES_FILE is where the stub reads them.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any


def main() -> None:
    from airflow.dag_processing.dagbag import DagBag

    folder, codes, *cases = sys.argv[1:]
    bag = DagBag(folder)
    dag = bag.dags.get("activesel_round")
    warned = [text for name, texts in bag.captured_warnings.items() if "airflow_round" in name for text in texts
              if "airflow_round.py" in text]  # fmt: skip
    found = {"errors": bag.import_errors, "warnings": warned, "cases": {}}
    if dag is not None:
        for task in dag.tasks:
            task.retry_delay, task.poke_interval = timedelta(seconds=0), 0.2  # minutes, elsewhere
        for i, case in enumerate(cases):
            Path(codes).write_text("\n".join(case.split(",")) + "\n")
            found["cases"][case] = turn(dag, datetime(2026, 2, 1 + i, tzinfo=UTC))
    print("FOUND " + json.dumps(found))


def turn(dag: Any, when: datetime) -> dict[str, Any]:
    """Return the state of the run and, task by task, state and tries."""
    run = dag.test(logical_date=when)
    tasks = {one.task_id: [str(one.state), one.try_number] for one in run.get_task_instances()}
    return {"state": str(run.state), "tasks": tasks}


if __name__ == "__main__":
    main()
