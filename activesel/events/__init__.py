"""Events of the line: what each type must say, one reader per format, and the log that the collector keeps."""

from activesel.events import cloudevents as cloudevents
from activesel.events import ga4 as ga4
from activesel.events import segment as segment
from activesel.events import snowplow as snowplow
from activesel.events.reading import Read, read_payload, read_value
from activesel.events.registry import EventFormat, event_format_names, get_event_format, guess_event_format
from activesel.events.schemas import SCHEMAS, describe_schema, schema_path

__all__ = [
    "SCHEMAS",
    "EventFormat",
    "Read",
    "describe_schema",
    "event_format_names",
    "get_event_format",
    "guess_event_format",
    "read_payload",
    "read_value",
    "schema_path",
]
