"""What `activesel serve` is asked for, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from activesel.errors import UsageError
from activesel.lots import Arm

ENGINES = ("torch", "onnx")


@dataclass(frozen=True)
class ServeRequest:
    """names: arm -> alias or id; without a challenger the champion judges all. token: "" = none is asked for."""

    names: Mapping[Arm, str]
    share: float = 0.2
    host: str = "127.0.0.1"
    port: int = 0
    token: str = ""
    engine: str = "torch"


def check_request(
    model: str, shadow: str | None, ab: str | None, *, share: float, by: str, engine: str, host: str, port: int,
    token: str,
) -> ServeRequest:  # fmt: skip
    """Return the request.

    Raises:
        UsageError: an engine that there is none of, or a split by something else than lots.
    """
    if engine not in ENGINES:
        raise UsageError("no such engine", where="--engine", found=engine, expected=" or ".join(ENGINES))
    if by != "lot":
        raise UsageError("lots alone can be shared out", where="--by", found=by, expected="lot",
                         hint="images of one lot are alike, and a line handles a lot in one way")  # fmt: skip
    names = {Arm.champion: model, Arm.shadow: shadow, Arm.challenger: ab}
    return ServeRequest(
        {arm: name for arm, name in names.items() if name is not None}, share, host, port, token, engine
    )
