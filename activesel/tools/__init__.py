"""Annotation tools that run as a server: one adapter each, which speaks their REST and decides nothing."""
