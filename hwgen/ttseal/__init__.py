"""TT-SEAL (arXiv 2602.22238): which TT cores and dense kernels have to be encrypted, chosen and proven by attack.

``docs/ttseal.md`` describes the method; ``hwgen.seal`` is what encrypts them.
"""

from hwgen.ttseal.select import SealJob, make_bench, select
from hwgen.ttseal.settings import AttackSettings, SealSettings, TransferSettings
from hwgen.ttseal.target import Splits, Target, chosen_nodes, load_splits, load_target

__all__ = [
    "AttackSettings", "SealJob", "SealSettings", "Splits", "Target", "TransferSettings", "chosen_nodes", "load_splits",
    "load_target", "make_bench", "select",
]
