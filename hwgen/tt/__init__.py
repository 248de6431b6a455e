"""Tensor trains of convolution kernels: forms, TT-SVD, choice of ranks. Plain numpy."""

from hwgen.tt.decompose import Decomposition, contract, tt_svd
from hwgen.tt.form import GROUPINGS, ConvShape, TtForm, parse_grouping
from hwgen.tt.ranks import Budget, RankLayer, ranks_by_budget, ranks_by_tolerance

__all__ = [
    "GROUPINGS",
    "Budget",
    "ConvShape",
    "Decomposition",
    "RankLayer",
    "TtForm",
    "contract",
    "parse_grouping",
    "ranks_by_budget",
    "ranks_by_tolerance",
    "tt_svd",
]
