"""What training minimises, given clean and adversarial images of a batch."""

from typing import Any, NamedTuple

import keras
from keras import ops

from keras_efgsm import equations
from keras_efgsm.checks import check_number

Tensor = Any


class ObjectiveResult(NamedTuple):
    """Losses of a batch.

    Attributes:
        loss: the scalar to minimise.
        parts: named scalars shown beside it.
        logits: logits `(B, K)` of the adversarial images.
    """

    loss: Tensor
    parts: dict[str, Tensor]
    logits: Tensor


class Objective:
    """Base of training objectives; with an attack it makes a training method.

    A subclass names its losses in `part_names`, implements `losses`, and says with
    `needs_reconstructor` whether it minimises a reconstruction.
    """

    part_names: tuple[str, ...] = ()
    needs_reconstructor = False

    def losses(
        self,
        classifier: Any,
        reconstructor: Any,
        x: Tensor,
        x_adv: Tensor,
        labels: Tensor,
        sample_weight: Tensor | None,
    ) -> ObjectiveResult:
        """Losses of a batch; called once inside the gradient tape.

        Args:
            classifier: maps images to float32 logits in training mode.
            reconstructor: maps class probabilities to images in training mode, or None.
            x: clean images `(B, H, W, C)`.
            x_adv: adversarial images, same shape.
            labels: class probabilities `(B, K)`, not yet smoothed.
            sample_weight: weights `(B,)` or None.
        """
        raise NotImplementedError

    def get_config(self) -> dict:
        return {}

    @classmethod
    def from_config(cls, config: dict) -> "Objective":
        return cls(**config)


@keras.saving.register_keras_serializable(package="keras_efgsm")
class AdversarialCrossEntropy(Objective):
    """Cross-entropy of the adversarial images, with label smoothing: "AdvTrain" of the paper.

    With PGD it is Madry's training, with FGSM and a random start Wong's.

    Args:
        label_smoothing: share of each label spread evenly over the classes, in [0, 1). Defaults to
            `0.1`.

    Raises:
        ValueError: if it is out of range.

    Example:

    ```python
    trainer = AdversarialTrainer(classifier, attack, objective=AdversarialCrossEntropy(0.3))
    ```
    """

    part_names = ("classification_loss",)

    def __init__(self, label_smoothing: float = 0.1):
        self.label_smoothing = check_label_smoothing(label_smoothing)
        # Keras losses weight samples and divide by the replicas; our own mean would not.
        self._cross_entropy = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=label_smoothing
        )

    def losses(self, classifier, reconstructor, x, x_adv, labels, sample_weight):
        logits = classifier(x_adv)
        loss = self._cross_entropy(labels, logits, sample_weight=sample_weight)
        return ObjectiveResult(loss, {"classification_loss": loss}, logits)

    def get_config(self):
        return {"label_smoothing": self.label_smoothing}


@keras.saving.register_keras_serializable(package="keras_efgsm")
class JointReconstruction(Objective):
    """Reconstruction of the clean image plus lambda times the classification loss.

    Equation 16: `L_R(R(softmax(C(x_adv))), x) + lambda * L_C(C(x_adv), smooth(y))`, L_R the mean
    squared error per pixel against the clean image, L_C the cross-entropy. The re-constructor
    sees the K probabilities and nothing else.

    Args:
        classification_weight: lambda, > 0. Defaults to `0.1`, the paper's choice for MNIST (0.05
            for CIFAR-10).
        label_smoothing: as in `AdversarialCrossEntropy`. Defaults to `0.1`.

    Raises:
        ValueError: if an option is out of range.

    Example:

    ```python
    trainer = AdversarialTrainer(
        classifier,
        EFGSM(epsilon=0.3),
        reconstructor=mnist_reconstructor(),
        objective=JointReconstruction(classification_weight=0.1),
    )
    ```
    """

    part_names = ("classification_loss", "reconstruction_loss")
    needs_reconstructor = True

    def __init__(self, classification_weight: float = 0.1, label_smoothing: float = 0.1):
        self.classification_weight = check_number(
            classification_weight, "classification_weight", minimum=0.0, strict=True
        )
        self.label_smoothing = check_label_smoothing(label_smoothing)
        self._cross_entropy = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=label_smoothing
        )
        self._squared_error = keras.losses.MeanSquaredError()

    def losses(self, classifier, reconstructor, x, x_adv, labels, sample_weight):
        logits = classifier(x_adv)
        classification = self._cross_entropy(labels, logits, sample_weight=sample_weight)
        reconstruction = ops.cast(reconstructor(ops.softmax(logits)), "float32")
        # One value per sample, so that sample weights apply to both losses alike.
        pixels = (-1, x.shape[1] * x.shape[2] * x.shape[3])
        squared_error = self._squared_error(
            ops.reshape(x, pixels), ops.reshape(reconstruction, pixels), sample_weight=sample_weight
        )
        loss = equations.joint_loss(squared_error, classification, self.classification_weight)
        parts = {"classification_loss": classification, "reconstruction_loss": squared_error}
        return ObjectiveResult(loss, parts, logits)

    def get_config(self):
        return {
            "classification_weight": self.classification_weight,
            "label_smoothing": self.label_smoothing,
        }


def check_label_smoothing(value: float) -> float:
    """Returns `value` if it is a label smoothing in [0, 1)."""
    checked = check_number(value, "label_smoothing", minimum=0.0)
    if checked >= 1.0:
        raise ValueError(
            "`label_smoothing` must be below 1, where labels say nothing. "
            f"Received: label_smoothing={value!r}"
        )
    return checked
