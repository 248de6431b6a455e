"""On-chip memories without initial contents."""
