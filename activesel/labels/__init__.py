"""Labels from files of several formats: one file per format, each registered under its name."""

from activesel.labels import coco as coco
from activesel.labels import folders as folders
from activesel.labels import table as table
from activesel.labels.lookup import ImageLookup
from activesel.labels.opinions import Opinion, to_labels
from activesel.labels.registry import find_format, format_names, read_labels

__all__ = ["ImageLookup", "Opinion", "find_format", "format_names", "read_labels", "to_labels"]
