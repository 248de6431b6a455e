"""Streaming pipelines: from a quantised graph to stages, their folding, their weights."""
