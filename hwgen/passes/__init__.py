"""Passes over float graphs: pure functions ``Graph -> Graph``, one file each."""
