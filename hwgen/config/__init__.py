"""What is built and for which board: frozen, validated descriptions read from files or found by the search."""
