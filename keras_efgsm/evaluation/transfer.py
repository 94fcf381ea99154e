"""Images made on one classifier's gradients and tried on another."""

import os

import keras

from keras_efgsm.attacks import Attack, Budget
from keras_efgsm.attacks.attack import Perturbed
from keras_efgsm.checks import NORMS
from keras_efgsm.evaluation.models import EvaluatedModel, load_classifier
from keras_efgsm.noise import Noise
from keras_efgsm.typing import Config, ImageShape, LogitsFn, Tensor


class Transfer(Attack):
    """An attack on a source classifier, whose images another classifier is to withstand.

    The transfer attack of Papernot et al., "Transferability in Machine Learning". It needs no
    gradient of the classifier that is evaluated: a TFLite file is attacked through its Keras
    twin, and a classifier that an attack of its own gradients cannot turn but that of a stranger
    can is masking them.

    Args:
        attack: what makes the images; of several rounds the evaluated classifier's answer decides
            which images go on to the next.
        source: the classifier whose logits and gradients it uses, or where one lies, see
            `load_classifier`.

    Raises:
        ValueError: if `attack` is none, or needs gradients that the source has not.

    Example:

    ```python
    transfer = Transfer(PGD(epsilon=0.3), "exported_models/mnist/1")
    evaluate_robustness("exported_models/mnist/mnist-1.tflite", (x_test, y_test), transfer)
    ```
    """

    needs_gradient = False
    norms = NORMS

    def __init__(
        self, attack: Attack, source: EvaluatedModel | keras.Model | str | os.PathLike[str]
    ):
        if not isinstance(attack, Attack):
            raise ValueError(
                "`attack` must be an attack such as `PGD(epsilon=0.3)`. "
                f"Received: attack={attack!r}"
            )
        self.norm = attack.norm
        super().__init__(epsilon=attack.epsilon)
        self.attack, self.source = attack, load_classifier(source)
        if attack.needs_gradient and not self.source.differentiable:
            raise ValueError(
                f"{attack.name} needs gradients, so `source` must be a Keras model or a "
                f"SavedModel. Received: source={self.source.description!r}"
            )
        self.loss = attack.loss
        self.uses_momentum = attack.uses_momentum
        self.stays_in_ball = attack.stays_in_ball

    @property
    def name(self) -> str:
        return f"transfer {self.attack.name} from {self.source.description}"

    @property
    def rounds(self) -> int:
        return self.attack.rounds

    @property
    def budget(self) -> Budget:
        return self.attack.budget

    @property
    def starts_at_random(self) -> bool:
        return self.attack.starts_at_random

    def perturb(
        self,
        logits_fn: LogitsFn,
        x: Tensor,
        labels: Tensor,
        noise: Noise,
        momentum: Tensor | None = None,
        gradient_scale: float = 1.0,
    ) -> Perturbed:
        del logits_fn
        return self.attack.perturb(
            self.source.logits_fn, x, labels, noise, momentum, gradient_scale
        )

    def initial_momentum(self, x: Tensor) -> Tensor:
        return self.attack.initial_momentum(x)

    def momentum_shape(self, image_shape: ImageShape) -> ImageShape:
        return self.attack.momentum_shape(image_shape)

    def for_classes(self, num_classes: int) -> "Transfer":
        attack = self.attack.for_classes(num_classes)
        return self if attack is self.attack else type(self)(attack, self.source)

    def check_fits(self, model: EvaluatedModel) -> None:
        """Checks that the source takes the images of the evaluated classifier.

        Args:
            model: the evaluated classifier.

        Raises:
            ValueError: if images or the number of classes differ.
        """
        wanted = (model.image_shape, model.num_classes)
        given = (self.source.image_shape, self.source.num_classes)
        if given != wanted:
            raise ValueError(
                f"The source of a transfer must take images of shape {wanted[0]} and know "
                f"{wanted[1]} classes, as the classifier does. Received: "
                f"source={self.source.description!r}, image_shape={given[0]}, "
                f"num_classes={given[1]}"
            )

    def get_config(self) -> Config:
        return {
            "attack": {"name": self.attack.name, **self.attack.on_file()[1]},
            "source": self.source.description,
            "source_digest": self.source.identity(),
        }

    @classmethod
    def from_config(cls, config: Config) -> "Transfer":
        raise NotImplementedError(
            "A `Transfer` is not rebuilt from its configuration, which only describes its source; "
            f"make it from the source. Received: config={config!r}"
        )
