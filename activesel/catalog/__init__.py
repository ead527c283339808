"""What the workspace knows about its images: files, metadata, labels, quarantine, batches. The only SQL."""

from activesel.catalog.catalog import Batch, Catalog, Counts, FileStamp

__all__ = ["Batch", "Catalog", "Counts", "FileStamp"]
