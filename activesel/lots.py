"""Which of two models judges a lot: the same one always, by a salted hash, so that nobody has to remember it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum


class Arm(StrEnum):
    """Who made a prediction. shadow: asked beside the one that answered, its word never acted on."""

    champion = "champion"
    challenger = "challenger"
    shadow = "shadow"


@dataclass(frozen=True)
class Split:
    """The lots are shared out: the challenger judges this share of them.

    share: 0..1. salt: other salts share out otherwise; a new comparison needs a new one, or the lots that were unlucky
    once stay together.
    """

    share: float
    salt: str

    def arm_of(self, key: str) -> Arm:
        """Return who judges a lot.

        >>> Split(0.0, "").arm_of("lot 7"), Split(1.0, "").arm_of("lot 7")
        (<Arm.champion: 'champion'>, <Arm.challenger: 'challenger'>)
        """
        digest = hashlib.sha256(f"{self.salt}\n{key}".encode("utf8", "surrogatepass")).digest()
        place = int.from_bytes(digest[:8], "big") / 2**64  # uniform in [0, 1) over keys
        return Arm.challenger if place < self.share else Arm.champion
