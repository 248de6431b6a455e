"""ARMOR (arXiv 2603.03598): robust networks pruned by what the hardware gains; see ``docs/armor.md``."""
