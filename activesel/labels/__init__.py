"""Labels from files of several formats: one file per format, each registered under its name.

The label formats give each image one class; the annotation formats give opinions, and write them.
"""

from activesel.labels import coco as coco
from activesel.labels import cvat as cvat
from activesel.labels import folders as folders
from activesel.labels import ground_truth as ground_truth
from activesel.labels import label_studio as label_studio
from activesel.labels import labelbox as labelbox
from activesel.labels import prodigy as prodigy
from activesel.labels import scale as scale
from activesel.labels import table as table
from activesel.labels import voc as voc
from activesel.labels import yolo as yolo
from activesel.labels.formats import AnnotationFormat, annotation_format_names, get_format, guess_format
from activesel.labels.lookup import ImageLookup
from activesel.labels.opinions import Opinion, to_labels, unknown_images
from activesel.labels.registry import find_format, format_names, read_labels
from activesel.labels.said import Said
from activesel.labels.sheets import Item, Sheet, fit

__all__ = [
    "AnnotationFormat",
    "ImageLookup",
    "Item",
    "Opinion",
    "Said",
    "Sheet",
    "annotation_format_names",
    "find_format",
    "fit",
    "format_names",
    "get_format",
    "guess_format",
    "read_labels",
    "to_labels",
    "unknown_images",
]
