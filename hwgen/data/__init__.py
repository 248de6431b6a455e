"""Data sets in their public layouts, and images made by the project itself."""

from hwgen.data.dataset import Dataset, Split
from hwgen.data.registry import load_dataset
from hwgen.data.synthetic import synthetic_images

__all__ = ["Dataset", "Split", "load_dataset", "synthetic_images"]
