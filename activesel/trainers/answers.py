"""What a model says of images, as predictions.parquet: written here, checked by activesel.predictions."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def predictions_bytes(image_ids: Sequence[str], probs: npt.NDArray[np.float32], classes: Sequence[str]) -> bytes:
    """Return the file's content: a row per image with its probabilities (n, c), the classes in the metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    assert probs.shape == (len(image_ids), len(classes)), f"{probs.shape} for {len(image_ids)} images"
    rows = pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(probs).ravel()), len(classes))
    table = pa.table({"image_id": pa.array(list(image_ids), pa.string()), "probs": rows})
    stream = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"classes": json.dumps(list(classes))}), stream)
    return stream.getvalue()
