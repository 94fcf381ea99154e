"""What training asks of a classifier beyond its contract: that the attack sees what it does."""

import warnings
import weakref
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_efgsm.attacks.logits import batch_statistics_logits
from keras_efgsm.networks.answers import random_images
from keras_efgsm.objectives import Examples, Objective
from keras_efgsm.typing import Tensor
from keras_efgsm.updates import OneUpdate

# So many that two independent draws are hardly alike for all, of a flip for instance.
_IMAGES = 16
# The parts that a trainer was found good with: a run asks before it makes its folder, `fit` again.
_good: weakref.WeakKeyDictionary[Any, tuple[Any, ...]] = weakref.WeakKeyDictionary()


def random_image_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers that change images at random in training, nested ones as well.

    Args:
        model: any built model.
    """
    kinds = tuple(
        kind
        for name, kind in vars(keras.layers).items()
        if name.startswith("Random") or name in ("AugMix", "CutMix", "MixUp", "RandAugment")
    )
    within = model._flatten_layers(include_self=False, recursive=True)
    # Those of other libraries go by the same names.
    return [
        layer
        for layer in within
        if isinstance(layer, kinds) or type(layer).__name__.startswith("Random")
    ]


def check_trained(trainer: Any) -> None:
    """Checks the classifier of a trainer as training is about to begin, once for the same parts.

    A network for pixels of 0..255 is refused, one that answers at random in evaluation mode warned
    of, and a random image layer refused whose draw the attack does not see, as it would undo the
    training: a perturbation belongs to the pixels that it was made for, and a shift or zoom that
    the update draws anew moves the image away from under it. In training mode the attack sees the
    draw of the update's first pass; an objective that passes other images first, or a strategy of
    several updates, draws again. This is tried out, on a few random images: the logits that the
    objective computes on the adversarial images must be those that the attack saw.

    Args:
        trainer: an `AdversarialTrainer`.

    Raises:
        ValueError: if the classifier cannot be trained, with the remedy.
    """
    parts = (
        trainer.classifier,
        trainer.reconstructor,
        trainer.objective,
        trainer.update,
        trainer.attack_in_training_mode,
    )
    if _good.get(trainer) == parts:
        return
    contract = trainer.contract
    if contract.doubts:
        raise ValueError(f"{contract.doubts[0]} Received: classifier={trainer.classifier.name!r}")
    if contract.is_random:
        warnings.warn(
            f"The classifier {trainer.classifier.name!r} answers the same images differently in "
            "evaluation mode; evaluate it with `--eot 20` (in Python `eot=20`).",
            stacklevel=3,
        )
    found = random_image_layers(trainer.classifier)
    why = _unseen(trainer) if found else None
    if why is not None:
        names = ", ".join(f"{layer.name!r} ({type(layer).__name__})" for layer in found)
        raise ValueError(
            "`classifier` must not hold random image layers whose draw the attack does not see, as "
            f"an image that moves after it was perturbed is hardly adversarial any more: {why}. "
            "Take them out, and have the trainer draw, for attack and update alike: "
            "`AdversarialTrainer(..., augmentation=Augmentation(padding=4, flip=True))`. "
            f"Received: classifier.layers with {names}"
        )
    _good[trainer] = parts


def _unseen(trainer: Any) -> str | None:
    """Why the attack does not see what random layers do to the images, or None if it does."""
    if not trainer.attack_in_training_mode:
        return "with attack_in_training_mode=False the attack sees them do nothing"
    if type(trainer.update) is not OneUpdate:
        return f"{type(trainer.update).__name__} passes the images again, under other draws"
    if not _sees_the_draw(trainer.classifier, trainer.objective, trainer.reconstructor):
        name = type(trainer.objective).__name__
        return f"{name} passes the adversarial images under another draw than the attack"
    return None


def _sees_the_draw(
    classifier: keras.Model, objective: Objective, reconstructor: keras.Model | None
) -> bool:
    images = ops.convert_to_tensor(random_images(classifier.input_shape[1:], _IMAGES))
    num_classes = classifier.output_shape[-1]
    labels = ops.one_hot(ops.arange(_IMAGES) % num_classes, num_classes, dtype="float32")
    adversarial = images + 0.0
    seen = np.asarray(batch_statistics_logits(classifier)(adversarial))
    computed: list[np.ndarray] = []

    def classify(x: Tensor) -> Tensor:
        logits = ops.cast(classifier(x, training=True), "float32")
        if x is adversarial:
            computed.append(np.asarray(logits))
        return logits

    models = [model for model in (classifier, reconstructor) if model is not None]
    state = [(variable, variable.value) for model in models for variable in model.variables]
    with keras.StatelessScope(state_mapping=state):
        objective.losses(
            classify,
            _in_training(reconstructor),
            Examples(images, adversarial, labels, None, ops.convert_to_tensor(seen)),
        )
    return bool(computed) and all(np.allclose(seen, each, atol=1e-4) for each in computed)


def _in_training(reconstructor: keras.Model | None) -> Callable[[Tensor], Any] | None:
    return None if reconstructor is None else lambda p: reconstructor(p, training=True)
