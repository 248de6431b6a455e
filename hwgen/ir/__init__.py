"""The typed, immutable intermediate representation that every pass reads and returns."""
