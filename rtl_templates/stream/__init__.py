"""Stages of a streaming pipeline."""
