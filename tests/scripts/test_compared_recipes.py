"""What each method of the comparison by seconds trains with."""

import pytest

from experiments.robustness_curves.recipes import OWN_BEST, PUBLISHED, recipe_of
from keras_efgsm.recipes.methods import METHODS
from keras_efgsm.recipes.presets import PRESETS

FASHION = PRESETS["fashion-mnist"]


def test_the_preset_trains_as_it_is():
    config, share = recipe_of("efgsm", FASHION, "fashion_mnist", 0.3)
    assert config == FASHION
    assert share == FASHION.epsilon_warmup_epochs / FASHION.epochs


def test_a_rival_has_its_paper_and_what_held_out_images_chose():
    pgd, share = recipe_of("pgd", FASHION, "fashion_mnist", 0.3)
    assert pgd.method_options["steps"] == 10 and pgd.epsilon_factor == 1.0 and share == 0.3
    fgsm_rs, _ = recipe_of("fgsm-rs", FASHION, "fashion_mnist", 0.3)
    assert fgsm_rs.epsilon_factor == 1.15 and fgsm_rs.label_smoothing == 0.3
    assert fgsm_rs.classifier == FASHION.classifier
    # Nothing of it on other data.
    elsewhere, _ = recipe_of("fgsm-rs", FASHION, "mnist", 0.3)
    assert elsewhere.epsilon_factor == 1.0 and elsewhere.label_smoothing == 0.0


@pytest.mark.parametrize("recipes", [PUBLISHED, OWN_BEST])
def test_every_recipe_is_of_a_method_and_can_be_made(recipes):
    for dataset, methods in recipes.items():
        assert set(methods) <= set(METHODS)
        for name in methods:
            recipe_of(name, FASHION, dataset, 0.3)
