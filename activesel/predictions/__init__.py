"""Read what the user's own model says: predictions.parquet and embeddings.npy. Schemas: docs/formats_predictions.md."""

from activesel.predictions.embeddings import read_embeddings
from activesel.predictions.predictions import Predictions, read_predictions

__all__ = ["Predictions", "read_embeddings", "read_predictions"]
