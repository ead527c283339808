"""Annotation tools and registries that run as a server: one adapter each, which speaks their REST, decides nothing."""
