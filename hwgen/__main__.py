"""``python -m hwgen``: the same as the ``hwgen`` script."""

from hwgen.cli import main

main()
