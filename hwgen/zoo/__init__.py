"""The model zoo: recipes, network builders, checkpoints, TT layers."""

from hwgen.zoo.build import BuiltModule, WeightsOrigin, build_module, decompose_into, new_module, set_tt_execution
from hwgen.zoo.checkpoint import read_checkpoint, save_checkpoint
from hwgen.zoo.preprocess import normalise
from hwgen.zoo.recipe import Recipe, find_recipe, list_recipes, load_recipe
from hwgen.zoo.tt_conv import TTConv2d

__all__ = [
    "BuiltModule",
    "Recipe",
    "TTConv2d",
    "WeightsOrigin",
    "build_module",
    "decompose_into",
    "find_recipe",
    "list_recipes",
    "load_recipe",
    "new_module",
    "normalise",
    "read_checkpoint",
    "save_checkpoint",
    "set_tt_execution",
]
