"""`Recipe`: the typed whole of a recipe file, one section per stage.

Does not know what a stage does with its section.
"""

from genrec.recipe.recipe import Recipe, recipe_path, shipped_recipes
from genrec.recipe.sections import (
    DataSection,
    DecodeSection,
    EmbeddingsSection,
    EvaluateSection,
    ItemTokenizerSection,
)
from genrec.recipe.training_sections import (
    AlignSection,
    ItemLevelSection,
    ModelSection,
    PreferenceSection,
    TaskSection,
    TextsSection,
)

__all__ = [
    "AlignSection",
    "DataSection",
    "DecodeSection",
    "EmbeddingsSection",
    "EvaluateSection",
    "ItemLevelSection",
    "ItemTokenizerSection",
    "ModelSection",
    "PreferenceSection",
    "Recipe",
    "TaskSection",
    "TextsSection",
    "recipe_path",
    "shipped_recipes",
]
