"""A recipe with changes of it."""

import pytest

from keras_efgsm.recipes.command import command_line
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.recipes.request import changed


@pytest.mark.parametrize(
    "spec", ["own.keras", "own:network", "keras.applications:MobileNetV3Small"]
)
def test_a_network_of_ones_own_does_not_take_the_activation_of_the_recipe(spec):
    assert PRESETS["mnist"].activation == "silu"
    config = changed(PRESETS["mnist"], {"classifier": spec}, {})
    assert config.activation == "relu"
    assert f"--classifier {spec}" in command_line(config)


def test_an_activation_that_is_given_stays_and_so_does_that_of_networks_by_name():
    given = {"classifier": "own:network", "activation": "silu"}
    assert changed(PRESETS["mnist"], given, {}).activation == "silu"
    assert changed(PRESETS["mnist"], {"classifier": "mnist"}, {}).activation == "silu"
