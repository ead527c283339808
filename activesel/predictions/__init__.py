"""Read what the user's own model says: predictions.parquet and embeddings.npy. Schemas: docs/formats_predictions.md."""

from activesel.predictions.columns import holds_probabilities
from activesel.predictions.embeddings import read_embeddings
from activesel.predictions.predictions import Predictions, read_predictions
from activesel.predictions.shapes import read_shapes

__all__ = ["Predictions", "holds_probabilities", "read_embeddings", "read_predictions", "read_shapes"]
