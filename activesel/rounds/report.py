"""The last step of a round: the page that a manager reads, from what the round and those before it took and brought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from activesel.catalog import Catalog
from activesel.errors import DataError
from activesel.images import thumbnail_jpeg
from activesel.report.render import picture_url
from activesel.rounds.engine import Outcome, Room
from activesel.rounds.kpis import Kpis, measure_kpis
from activesel.rounds.page import render_round
from activesel.rounds.record import Round, folder_of, read_rounds
from activesel.workspace import Workspace, write_atomic, write_json

PAGE, FILE = "round.html", "kpis.json"
MOST_PICTURES = 24


def report_round(room: Room) -> Outcome:
    """Write the page and the figures of the round as it stands."""
    path, kpis = write_page(room.workspace, room.round, room.titles)
    paid = "" if kpis.money_per_defect is None else f"; {kpis.money_per_defect:.2f} a defect"
    return Outcome({"page": str(path)}, f"{path}: {kpis.effort.minutes:.0f} minutes, {kpis.effort.money:.2f}{paid}")


def write_page(workspace: Workspace, current: Round, titles: Mapping[str, str]) -> tuple[Path, Kpis]:
    """Write round.html and kpis.json of a round, finished or not; return the page and the figures."""
    earlier = [one for one in read_rounds(workspace) if one.number < current.number]
    kpis = [measure_kpis(workspace, one) for one in (*earlier, current)]
    folder = folder_of(workspace, current.number)
    page = render_round(current, kpis, titles, draw_pictures(workspace, kpis[-1]))
    write_json(folder / FILE, {"schema_version": 1, **asdict(kpis[-1]), "money_per_defect": kpis[-1].money_per_defect,
                               "money_per_point": kpis[-1].money_per_point})  # fmt: skip
    write_atomic(folder / PAGE, page.encode("utf8", "backslashreplace"))
    return folder / PAGE, kpis[-1]


def draw_pictures(workspace: Workspace, kpis: Kpis) -> list[str]:
    """Return data URLs of defects that the round's batch showed, rare classes first; a file that broke is left out."""
    if not kpis.by_class or kpis.n_defects is None:
        return []
    with Catalog.open(workspace.catalog_place) as catalog:
        tasks = [task.image_id for task in catalog.annotations.tasks(kpis.batch) if not task.gold]
        labels = catalog.labels_of(tasks)
        good = _good_of(workspace, catalog, kpis)
        order = [image_id for image_id in tasks if labels.get(image_id, good) != good]
        order.sort(key=lambda image_id: kpis.by_class[labels[image_id]])
        paths = [next(iter(catalog.paths_of(image_id)), "") for image_id in order[:MOST_PICTURES]]
    urls = []
    for path in paths:
        try:
            content = thumbnail_jpeg(Path(path), longest_px=workspace.config.report.thumbnail_px,
                                     max_pixels=int(workspace.config.ingest.max_megapixels * 1e6))  # fmt: skip
        except DataError:
            continue
        urls.append(picture_url(content) or "")
    return [url for url in urls if url]


def _good_of(workspace: Workspace, catalog: Catalog, kpis: Kpis) -> str | None:
    cards = {card.model_id: card.good for card in catalog.models.cards()}
    return workspace.config.embedding.good or cards.get(kpis.model)
