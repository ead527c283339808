"""Simulated people: what each says of an image whose truth is known, how long it takes, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from activesel.annotations import Annotation, Role
from activesel.errors import ConfigError
from activesel.seeds import derive_rng

SOURCE = "simulation"
_MOST_BYTES = 1 << 20
Share = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class PersonProfile(_Section):
    """accuracy: chance of the true class where ``mistakes`` says nothing of it; the rest is dealt evenly to the others.

    mistakes: true class -> what it is taken for -> chance. skip: chance of saying nothing. seconds: the median, and
    spread: the standard deviation of its logarithm. money: of one opinion.
    """

    name: str = Field(min_length=1)
    role: Literal["annotator", "expert"] = "annotator"
    accuracy: Share = 0.97
    mistakes: dict[str, dict[str, Share]] = {}
    skip: Share = 0.0
    seconds: float = Field(default=6.0, gt=0)
    spread: float = Field(default=0.4, ge=0)
    money: float = Field(default=0.06, ge=0)


class Profile(_Section):
    """hard: share of images at which everybody errs ``hard_factor`` times as often: people are not independent."""

    schema_version: Literal[1] = 1
    hard: Share = 0.05
    hard_factor: float = Field(default=4.0, ge=1)
    people: tuple[PersonProfile, ...] = Field(min_length=1)


DEFAULT = Profile(people=(
    PersonProfile(name="anna"),
    PersonProfile(name="ben", accuracy=0.95),
    PersonProfile(name="eve", role="expert", accuracy=0.995, seconds=30, money=0.85),
))  # fmt: skip


def read_profile(path: Path | None) -> Profile:
    """Read a profile.yaml, None = two annotators and an expert.

    Raises:
        ConfigError: it is not there, no YAML, or says what cannot be.
    """
    if path is None:
        return DEFAULT
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigError("too large for a profile", where=str(path), expected=f"at most {_MOST_BYTES} bytes")
        found = Profile.model_validate(yaml.safe_load(path.read_text(encoding="utf8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError("cannot be read", where=str(path), found=" ".join(str(error).split())) from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"bad value for {key}", where=str(path), found=repr(first["input"]), expected=first["msg"],
                          hint="see docs/flywheel.md") from None  # fmt: skip
    names = [one.name for one in found.people]
    if len(set(names)) < len(names):
        raise ConfigError("two people of one name", where=str(path), found=", ".join(names))
    if not any(one.role == "annotator" for one in found.people):
        raise ConfigError("nobody labels", where=str(path), found="experts alone", expected="an annotator at least")
    return found


@dataclass(frozen=True)
class Crowd:
    """Simulated people before images of known truth. classes: all that may be said. seed: of every answer.

    The same person says the same of the same image, whatever was asked before.
    """

    profile: Profile
    classes: tuple[str, ...]
    truth: Mapping[str, str]
    seed: int

    @property
    def experts(self) -> list[PersonProfile]:
        """Those with the role; where there is none, the most accurate annotator decides."""
        experts = [one for one in self.profile.people if one.role == "expert"]
        return experts or [max(self.profile.people, key=lambda one: one.accuracy)]

    @property
    def annotators(self) -> list[PersonProfile]:
        return [one for one in self.profile.people if one.role == "annotator"]

    def pick(self, image_id: str, n_people: int, *, expert: bool) -> list[PersonProfile]:
        """Return who is asked about an image, drawn evenly; as many as there are, if fewer."""
        pool = self.experts if expert else self.annotators
        order = derive_rng(self.seed, "people", image_id).permutation(len(pool))
        return [pool[i] for i in order[:n_people]]

    def say(self, person: PersonProfile, image_id: str) -> Annotation:
        """Return what a person says of an image, with the seconds that it takes."""
        rng = derive_rng(self.seed, "opinion", person.name, image_id)
        seconds = round(person.seconds * math.exp(person.spread * rng.standard_normal()), 3)
        role = Role.expert if person.role == "expert" else Role.annotator
        told = {"source": SOURCE, "external_id": f"{person.name}:{image_id}", "lead_time_s": seconds}
        if rng.random() < person.skip:
            return Annotation(image_id, person.name, role, skipped="cannot tell", **told)  # type: ignore[arg-type]
        names, chances = self._chances(person, image_id)
        name = names[int(rng.choice(len(names), p=chances))]
        return Annotation(image_id, person.name, role, name, **told)  # type: ignore[arg-type]

    def _chances(self, person: PersonProfile, image_id: str) -> tuple[Sequence[str], list[float]]:
        truth = self.truth[image_id]
        others = [name for name in self.classes if name != truth]
        told = person.mistakes.get(truth)
        wrong = dict(told) if told else dict.fromkeys(others, (1 - person.accuracy) / max(1, len(others)))
        is_hard = derive_rng(self.seed, "hard", image_id).random() < self.profile.hard
        factor = min(self.profile.hard_factor, 0.5 / max(sum(wrong.values()), 1e-9)) if is_hard else 1.0
        chances = {name: factor * wrong.get(name, 0.0) for name in others}
        names = [truth, *others]
        values = np.array([max(0.0, 1 - sum(chances.values())), *(chances[name] for name in others)])
        return names, list(values / values.sum())
