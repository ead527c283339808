"""Fitting models on labelled images: a linear head on frozen vectors."""
