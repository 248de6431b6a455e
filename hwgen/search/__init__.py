"""Choose the accelerator configuration for a network and a board."""

from hwgen.search.result import Candidate, SearchResult
from hwgen.search.search import search

__all__ = ["Candidate", "SearchResult", "search"]
