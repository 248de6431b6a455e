"""What a configuration will take: cycles (of a compiled program, or analytically for thousands of configurations),
resources, energy. Constants that were measured are in ``constants.py``."""
