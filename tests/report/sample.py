"""A small report with everything on it, made in code, and one that attacks its reader."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from activesel.records import Quarantined
from activesel.report.data import (
    COVERED,
    LABELLED,
    PICKED,
    UNCOVERED,
    Coverage,
    MapPoints,
    PickEntry,
    QuarantineList,
    ReportData,
    Run,
    ScoreSample,
)
from activesel.report.figures import count_breakdown
from activesel.training.worth import Point, Worth, describe_worth

N_PICKS = 30
# Each would run, were it ever taken for markup or for script.
RUN_ME = "document.body.dataset.hacked='yes'"
EVIL = (
    f"<script>{RUN_ME}</script>.png",
    f"</script><script>{RUN_ME}</script>",
    f'"><img src=x onerror={RUN_ME}>',
    f"' onfocus={RUN_ME} autofocus x='",
    f"</textarea></title></style><svg onload={RUN_ME}>",
    "<!--<script>",
    "{{ 7 * 191 }}{% raw %}",
    "\u2028]]>&lt;b&gt;\u202egnp.exe",
)


def draw_jpeg(pick: PickEntry) -> bytes:
    """A striped picture that differs from pick to pick."""
    row = (127 + 120 * np.sin(np.arange(120) * (0.05 + 0.01 * (pick.rank % 40)))).astype(np.uint8)
    ok, encoded = cv2.imencode(".jpg", np.tile(row, (80, 1)))
    assert ok
    return bytes(encoded.tobytes())


def make_pick(rank: int, **changes: object) -> PickEntry:
    values: dict[str, object] = {
        "rank": rank,
        "image_id": f"{rank:032x}",
        "path": f"/data/line-4/part_{rank:04d}.png",
        "reason": f"between crack and scratch, margin 0.03; stands for {rank} unlabelled images",
        "kind": "explore" if rank % 10 == 0 else "strategy",
        "scores": {"margin": 1 / rank, "novelty": 0.5},
        "predicted": "crack" if rank % 2 else "scratch",
        "probability": 0.51,
        "meta": {"station": f"cam-{rank % 3}"},
        "stands_for": rank,
    }
    return PickEntry(**(values | changes))  # type: ignore[arg-type]


def make_map(picks: tuple[PickEntry, ...], rng: np.random.Generator) -> MapPoints:
    n = 200
    roles = np.full(n, COVERED)
    roles[100:140] = UNCOVERED
    roles[140:160] = LABELLED
    ranks = np.zeros(n, dtype=np.int64)
    first = picks[: n - 160]
    roles[160 : 160 + len(first)] = PICKED
    ranks[160 : 160 + len(first)] = [pick.rank for pick in first]
    classes = np.where(roles == LABELLED, np.arange(n) % 2, -1)
    names = tuple(f"tile_{i}.png" for i in range(n))
    return MapPoints(rng.random((n, 2)).astype(np.float32), roles, ranks, classes, ("crack", "scratch"), names)


def make_worth() -> Worth:
    """100 labels at 0.6; 0.2 are left to gain, half of it by the next 100."""
    measured = tuple(Point(n, 0.8 - 20 / n, 0.75 - 20 / n, 0.85 - 20 / n) for n in (30, 50, 100))
    ahead = tuple(Point(n, 0.8 - 20 / n, 0.8 - 20 / n - n / 1e4, 0.8 - 20 / n + n / 1e4) for n in range(100, 600, 100))
    return Worth(100, 3, 100, 0.6, 0.55, 0.65, "pool", 0.1, 0.07, 0.13, 0.8, 0.02, 300, 0.4, measured, ahead)


def make_report(**changes: object) -> ReportData:
    """Return the report; keyword arguments replace fields of ReportData."""
    rng = np.random.default_rng(0)
    picks = changes.get("picks") or tuple(make_pick(rank) for rank in range(1, N_PICKS + 1))
    assert isinstance(picks, tuple)
    before = rng.random(200)
    values: dict[str, object] = {
        "run": Run(
            title="Tiles, week 12", created="2024-03-22 09:41", source="/data/line-4", strategy="default",
            strategy_summary="covers the pool.", budget=40, seed=7, pool_size=200, labelled_count=20,
            vectors="efficientnet_lite0, 1,280 dims", command="activesel select /data/line-4 --budget 40",
            versions={"activesel": "0.1.0"}, notes=("30 of 40 picks: near-duplicate cap",),
        ),
        "picks": picks,
        "settings_yaml": "seed: 7\n",
        "thumbnail": draw_jpeg,
        "map": make_map(picks, rng),
        "coverage": Coverage(0.3, before * 0.5, before),
        "scores": (ScoreSample("margin", rng.random(200), rng.random(30)),),
        "breakdowns": (count_breakdown("station", np.arange(200) % 3, ("cam-0", "cam-1", "cam-2"),
                                        labelled=np.arange(20), picked=np.arange(20, 50)),),
        "worth": make_worth(),
        "worth_text": describe_worth(make_worth()),
        "quarantine": QuarantineList({"empty": 1}, (Quarantined("/data/line-4/x.png", "empty", "0 bytes"),)),
    }  # fmt: skip
    return ReportData(**(values | changes))  # type: ignore[arg-type]


def make_evil() -> ReportData:
    """Return a report in which every text that a stranger can choose tries to run a script."""
    picks = tuple(
        make_pick(
            rank, path=f"/data/{evil}", reason=evil, predicted=evil, label=evil, image_id=f"{rank}{evil}",
            meta={evil: evil, "station": evil}, scores={evil: 0.5},
        )
        for rank, evil in enumerate(EVIL, start=1)
    )  # fmt: skip
    data = make_report(picks=picks)
    run = replace(
        data.run, title=EVIL[0], created=EVIL[1], source=EVIL[2], strategy=EVIL[3], strategy_summary=EVIL[4],
        vectors=EVIL[1], command=EVIL[2], versions={EVIL[0]: EVIL[1]}, notes=EVIL,
    )  # fmt: skip
    assert data.map is not None
    names = tuple(EVIL[i % len(EVIL)] for i in range(len(data.map.xy)))
    return replace(
        data,
        run=run,
        settings_yaml="\n".join(EVIL),
        worth_text=EVIL[3],
        map=replace(data.map, names=names, class_names=EVIL[:2]),
        scores=(ScoreSample(EVIL[0], np.array([0.2]), np.array([0.4]), EVIL[1]),),
        breakdowns=(
            count_breakdown(EVIL[2], np.arange(200) % len(EVIL), EVIL, labelled=np.arange(9), picked=np.arange(9, 18)),
        ),
        quarantine=QuarantineList({EVIL[0]: 1}, (Quarantined(EVIL[0], EVIL[1], EVIL[2]),)),
    )
