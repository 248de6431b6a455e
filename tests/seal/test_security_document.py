"""The examples of docs/security.md, run."""

import doctest
from pathlib import Path

from hwgen.seal.segments import Segment, associated_data, nonce

DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"


def test_examples():
    results = doctest.testfile(str(DOCUMENT), module_relative=False)
    assert results.attempted >= 6
    assert not results.failed


def test_sizes():
    """The document's byte counts."""
    header = Segment(index=1, dest=2, flags=3, payload=bytes(16)).header()
    assert (len(nonce(bytes(8), 1)), len(header), len(associated_data(bytes(8), 1, header))) == (12, 16, 32)
