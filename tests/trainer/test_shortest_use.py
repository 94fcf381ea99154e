"""Two lines around `fit`, and what they stand for."""

import keras
import numpy as np
import pytest

from keras_efgsm.attacks import EFGSM
from keras_efgsm.objectives import AdversarialCrossEntropy, JointReconstruction
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.trainer import AdversarialTrainer, recommended_attack


def test_an_epsilon_and_a_fit_train_a_classifier(new_classifier, small):
    trainer = AdversarialTrainer(new_classifier(hidden=4), epsilon=0.2)
    before = trainer.get_weights()
    history = trainer.fit(*small, batch_size=50, verbose=0).history
    assert {"loss", "accuracy", "margin_robust_accuracy"} <= set(history)
    assert isinstance(trainer.optimizer, keras.optimizers.Adam)
    assert all(np.any(a != b) for a, b in zip(before, trainer.get_weights(), strict=True))
    assert trainer.momentum.num_samples == 100


def test_the_default_method_is_efgsm_as_the_presets_for_photographs_train_it(
    new_classifier, new_reconstructor
):
    trainer = AdversarialTrainer(new_classifier(), epsilon=8 / 255)
    assert trainer.attack.get_config() == recommended_attack(8 / 255).get_config()
    preset = PRESETS["cifar10-cpu"].make_attack().get_config()
    assert trainer.attack.get_config() == pytest.approx(preset)
    assert isinstance(trainer.objective, AdversarialCrossEntropy)
    joint = AdversarialTrainer(new_classifier(), epsilon=0.2, reconstructor=new_reconstructor())
    assert isinstance(joint.objective, JointReconstruction)


def test_attack_and_epsilon_are_one_or_the_other(new_classifier):
    classifier = new_classifier()
    with pytest.raises(ValueError, match=r"an epsilon, .*Received: attack=None, epsilon=None$"):
        AdversarialTrainer(classifier)
    with pytest.raises(ValueError, match=r"not both\. Received: attack=.*, epsilon=0.2$"):
        AdversarialTrainer(classifier, EFGSM(epsilon=0.2), epsilon=0.2)
    with pytest.raises(ValueError, match="divide one given on the 0..255 scale"):
        AdversarialTrainer(classifier, epsilon=8)


def test_compile_takes_adam_by_default_and_any_optimizer(new_classifier):
    trainer = AdversarialTrainer(new_classifier(), epsilon=0.2)
    trainer.compile()
    assert isinstance(trainer.optimizer, keras.optimizers.Adam)
    trainer.compile("sgd")
    assert isinstance(trainer.optimizer, keras.optimizers.SGD)


def test_a_configuration_has_the_names_that_files_of_earlier_versions_hold(new_trainer):
    assert set(new_trainer().get_config()) - {"name", "trainable", "dtype"} == {
        "classifier",
        "attack",
        "reconstructor",
        "objective",
        "augmentation",
        "num_samples",
        "momentum_dtype",
        "momentum_storage",
        "momentum_directory",
        "seed",
        "epsilon_warmup_steps",
        "regularizer_warmup_steps",
        "attack_in_training_mode",
    }


def test_parts_answer_for_the_trainer_and_take_what_is_set_on_it(new_trainer, small):
    trainer = new_trainer(num_samples=100, momentum_dtype="float16")
    samples = trainer.samples
    assert (samples.num_samples, samples.dtype, samples.storage) == (100, "float16", "memory")
    trainer.num_samples, trainer.momentum_dtype = 120, "float32"
    trainer.make_momentum(verbose=False)
    assert trainer.momentum is samples.momentum
    assert (trainer.momentum.num_samples, trainer.momentum.dtype) == (120, "float32")
    metrics = {metric.name: metric for metric in trainer.metrics}
    assert metrics["accuracy"] is trainer.progress.accuracy
    assert metrics["margin_robust_accuracy"] is trainer.progress.robust


def test_a_step_compiled_for_one_momentum_is_not_used_for_another(new_trainer, small):
    """Were it, the second training would write into the first one's momentum."""
    trainer = new_trainer(hidden=4)
    trainer.fit(*small, verbose=0)
    first = trainer.momentum
    kept = first.numpy()
    trainer.samples.momentum = None
    trainer.fit(*small, verbose=0)
    assert trainer.momentum is not first
    assert np.any(trainer.momentum.numpy())
    np.testing.assert_array_equal(first.numpy(), kept)
