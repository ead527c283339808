"""Which models answer just now, and how one is exchanged for another while requests are under way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, datetime

from activesel.lots import Arm
from activesel.models import ModelCard, Predictor
from activesel.serving.batching import Batcher

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Opened:
    """A model that was read from its folder.

    least_px: a JPEG may be decoded smaller as long as its short side keeps so many. takes_grey: whether ``prepare``
    takes (h, w, 1), too. threshold: the score from which it rejects.
    """

    card: ModelCard
    predictor: Predictor
    least_px: int | None = None
    takes_grey: bool = False
    threshold: float | None = None


@dataclass
class Standing:
    """A model that answers. n_under_way: images that were given to it and have no answer yet."""

    opened: Opened
    batcher: Batcher
    since: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    n_under_way: int = 0

    @property
    def model_id(self) -> str:
        return self.opened.card.model_id


class Lineup:
    """The models by arm. Everything but ``open_model`` runs on the event loop's thread, so nothing needs a lock.

    wanted: arm -> the id of the model that shall have it now, or None; asked again at each refresh.
    """

    def __init__(
        self,
        wanted: Callable[[], Mapping[Arm, str | None]],
        open_model: Callable[[str], Opened],
        batcher_of: Callable[[Opened], Batcher],
        loaders: Executor,
        on_swap: Callable[[Arm, str], None] = lambda _arm, _outcome: None,
    ) -> None:
        self._wanted, self._open, self._batcher_of, self._loaders = wanted, open_model, batcher_of, loaders
        self._on_swap = on_swap
        self._standing: dict[Arm, Standing] = {}
        self._retired: list[Standing] = []
        self._failed: dict[Arm, str] = {}  # a model that could not be read is not tried at every refresh

    def get(self, arm: Arm) -> Standing | None:
        return self._standing.get(arm)

    @property
    def failed(self) -> Mapping[Arm, str]:
        return self._failed

    async def refresh(self) -> None:
        """Let every arm have the model that it shall have; the one before ends when its last image is answered."""
        loop = asyncio.get_running_loop()
        for arm, model_id in (await loop.run_in_executor(self._loaders, self._wanted)).items():
            standing = self._standing.get(arm)
            if model_id == (standing and standing.model_id):
                self._failed.pop(arm, None)
            elif model_id is None and arm is not Arm.champion:
                self._retired.append(self._standing.pop(arm))
                self._on_swap(arm, "ended")
            elif model_id is not None and self._failed.get(arm) != model_id:
                await self._exchange(arm, model_id)
        await self._end_retired()

    async def _exchange(self, arm: Arm, model_id: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            opened = await loop.run_in_executor(self._loaders, self._open, model_id)
        except Exception as error:
            if arm is Arm.champion and arm not in self._standing:
                raise
            _LOG.error("%s %s cannot be loaded: %s", arm.value, model_id, error)
            self._failed[arm] = model_id
            self._on_swap(arm, "failed")
            return
        before = self._standing.get(arm)
        self._standing[arm] = Standing(opened, self._batcher_of(opened))
        self._failed.pop(arm, None)
        if before is not None:
            self._retired.append(before)
            self._on_swap(arm, "swapped")

    async def _end_retired(self) -> None:
        idle = [one for one in self._retired if not one.n_under_way]
        self._retired = [one for one in self._retired if one.n_under_way]
        for one in idle:
            await asyncio.get_running_loop().run_in_executor(self._loaders, one.batcher.close)

    async def close(self) -> None:
        """Finish what is under way, then end every model."""
        self._retired += self._standing.values()
        self._standing.clear()
        while self._retired:
            await self._end_retired()
            if self._retired:
                await asyncio.sleep(0.01)
