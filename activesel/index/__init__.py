"""Who is nearest to whom by cosine: the kNN graph of a pool, built whole, grown by new rows, kept in a file."""

from activesel.index.found import measure_recall
from activesel.index.graph import extend_graph, knn_graph
from activesel.index.search import WANTED_RECALL

__all__ = ["WANTED_RECALL", "extend_graph", "knn_graph", "measure_recall"]
