"""Choose the accelerator configuration for a network and a board."""

from hwgen.search.search import Candidate, SearchResult, search

__all__ = ["Candidate", "SearchResult", "search"]
