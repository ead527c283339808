"""What the workspace knows about its images: files, metadata, labels, quarantine, batches. The only SQL."""

from activesel.catalog.answers import Batch, BatchCounts, Counts, LabelColumns
from activesel.catalog.catalog import Catalog
from activesel.catalog.images import Column, Images, make_column, order_column
from activesel.catalog.listing import Texts
from activesel.catalog.writing import FileStamp

__all__ = ["Batch", "BatchCounts", "Catalog", "Column", "Counts", "FileStamp", "Images", "LabelColumns", "Texts",
           "make_column", "order_column"]  # fmt: skip
