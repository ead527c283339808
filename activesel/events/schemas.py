"""What each type of event must say: pydantic models, from which the published JSON Schemas follow.

Names are ours in dots ("operator.override") and Iglu's with underscores. Versions are SchemaVer, that is
MODEL-REVISION-ADDITION (docs.snowplow.io): every version of a known MODEL is read, since others only add what may lack.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

VENDOR = "com.activesel"
MODEL = 1  # of SchemaVer: the versions of a schema that are read
VERSION = f"{MODEL}-0-0"
MOST_EXTRAS = 64
_SELF_DESCRIBING = "http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#"
_FARTHEST = 1e15  # whole numbers up to it are exact as floats

Name = Annotated[str, Field(min_length=1, max_length=256)]
Text = Annotated[str, Field(max_length=2000)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=86400 * 365, allow_inf_nan=False)]
Number = Annotated[float, Field(ge=-_FARTHEST, le=_FARTHEST, allow_inf_nan=False)]


class Data(BaseModel):
    """Extra fields are kept where they are texts, numbers, booleans or null: lines add their own."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, bool | Annotated[int, Field(ge=-(2**53), le=2**53)] | Number | Text | None] = Field(
        init=False
    )

    line: Name | None = Field(None, description="The production line.")
    station: Name | None = Field(None, description="Where on the line, such as a camera's place.")
    shift: Name | None = None
    lot: Name | None = None
    part: Name | None = Field(None, description="Serial number of the part.")

    @model_validator(mode="after")
    def _few_extras(self) -> Self:
        if len(self.__pydantic_extra__) > MOST_EXTRAS or any(len(key) > 256 for key in self.__pydantic_extra__):
            raise ValueError(
                f"more than {MOST_EXTRAS} fields beside the known ones, or one with a longer name than 256"
            )
        return self


class OfImage(Data):
    """About one image, which may be ingested later: by its id or path here, or by a prediction that named it."""

    image_id: Name | None = Field(None, description="As `activesel ingest` gives it: 32 hex digits of the content.")
    image_path: Name | None = Field(None, description="Path of its file, or an ending of it that no other image has.")
    prediction_id: Name | None = Field(None, description="The prediction that it is about.")

    named_by: ClassVar[tuple[str, ...]] = ("image_id", "image_path", "prediction_id")

    @model_validator(mode="after")
    def _names_an_image(self) -> Self:
        if not any(getattr(self, name) for name in self.named_by):
            raise ValueError(f"names no image: {' or '.join(self.named_by)}")
        return self


class ImageCaptured(OfImage):
    """A camera took an image."""

    named_by = ("image_id", "image_path")
    camera: Name | None = None
    width_px: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    height_px: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class PredictionMade(OfImage):
    """The deployed model judged an image."""

    named_by = ("image_id", "image_path")
    verdict: Name = Field(description="The class that it decided for.")
    score: Share | None = Field(None, description="How sure it is of the verdict.")
    model_version: Name | None = None
    latency_s: Seconds | None = None


class OperatorOverride(OfImage):
    """An operator decided otherwise than the model."""

    operator_verdict: Name
    model_verdict: Name | None = None
    time_to_decide_s: Seconds | None = Field(None, description="From when the image was shown to the decision.")
    score: Share | None = Field(None, description="How sure the model was of its own verdict.")
    model_version: Name | None = None
    operator: Name | None = Field(None, description="A pseudonym that stays the same.")
    reason: Text | None = None

    @model_validator(mode="after")
    def _differs(self) -> Self:
        if self.operator_verdict == self.model_verdict:
            raise ValueError("an override that says what the model said; that is operator.confirm")
        return self


class OperatorConfirm(OfImage):
    """An operator looked and agreed with the model."""

    verdict: Name
    time_to_decide_s: Seconds | None = None
    score: Share | None = None
    model_version: Name | None = None
    operator: Name | None = None


class ReworkResult(OfImage):
    """Somebody took the part in hand: is there a defect?"""

    result: Literal["fault_found", "no_fault_found"]
    verdict: Name | None = Field(None, description="Which defect, where one was found.")
    inspector: Name | None = None
    note: Text | None = None


class DownstreamReturn(OfImage):
    """A part came back from a later step or a customer, possibly months later."""

    verdict: Name | None = Field(None, description="Which defect, where that is known.")
    returned_by: Name | None = Field(None, description="The step or customer.")
    note: Text | None = None


class LabelCreated(OfImage):
    """Somebody labelled an image; sent by us."""

    label: Name | None = None
    annotator: Name
    role: Name | None = None


class LabelAdjudicated(OfImage):
    """An expert decided about an image; sent by us."""

    label: Name | None = None
    expert: Name


class BatchSelected(Data):
    """A batch of images to label was chosen; sent by us."""

    batch_id: Name
    n_images: Annotated[int, Field(ge=0, le=10**9)]
    strategy: Name | None = None


class ModelPromoted(Data):
    """Another model is champion now; sent by us."""

    model_id: Name
    previous: Name | None = None
    reason: Text | None = None


SCHEMAS: dict[str, type[Data]] = {
    "image.captured": ImageCaptured,
    "prediction.made": PredictionMade,
    "operator.override": OperatorOverride,
    "operator.confirm": OperatorConfirm,
    "rework.result": ReworkResult,
    "downstream.return": DownstreamReturn,
    "label.created": LabelCreated,
    "label.adjudicated": LabelAdjudicated,
    "batch.selected": BatchSelected,
    "model.promoted": ModelPromoted,
}


def describe_schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 4) of a type's data, self-describing as Iglu's registries want it."""
    model = SCHEMAS[kind]
    made = model.model_json_schema()
    own = {"vendor": VENDOR, "name": kind.replace(".", "_"), "format": "jsonschema", "version": VERSION}
    rules: dict[str, Any] = {
        key: made[key] for key in ("type", "properties", "required", "additionalProperties") if key in made
    }
    if issubclass(model, OfImage):
        rules["anyOf"] = [{"required": [name]} for name in model.named_by]
    return {"$schema": _SELF_DESCRIBING, "self": own, "description": made["description"], **_without_titles(rules)}


def schema_path(kind: str) -> str:
    """Return where a static Iglu registry keeps the schema."""
    return f"{VENDOR}/{kind.replace('.', '_')}/jsonschema/{VERSION}"


def _without_titles(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {k: _without_titles(v) for k, v in value.items() if not (k == "title" and isinstance(v, str))}
        return {k: v for k, v in kept.items() if not (k == "default" and v is None)}
    return [_without_titles(one) for one in value] if isinstance(value, list) else value
