"""Defects drawn from ranges, without any real example: one file and one import a kind, ranges in configs/recipes."""

from synth.recipes import crack, dent, fibre, missing, particle, pit, printing, scratch, stain
from synth.recipes.registry import load_recipes, recipe_class, recipe_kinds, shipped_folder

__all__ = ["load_recipes", "recipe_class", "recipe_kinds", "shipped_folder"]
_KINDS = (crack, dent, fibre, missing, particle, pit, printing, scratch, stain)  # importing one registers it
