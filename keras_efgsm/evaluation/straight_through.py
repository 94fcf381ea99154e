"""A classifier without usable gradients, attacked through those of its twin."""

import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_efgsm.attacks import Attack
from keras_efgsm.evaluation.image_set import ImageSet, batches, even_batch_size
from keras_efgsm.evaluation.models import EvaluatedModel, load_classifier
from keras_efgsm.evaluation.transfer import Transfer
from keras_efgsm.typing import Tensor

_LEAST_AGREEMENT = 0.5
_MOST_COMPARED = 1000


class StraightThrough(EvaluatedModel):
    """A classifier whose logits are its own and whose gradients are those of its twin.

    The straight-through estimator, as "backward pass differentiable approximation" in Athalye,
    Carlini & Wagner, "Obfuscated Gradients Give a False Sense of Security": a quantised file has
    no gradients, or none that point anywhere, but the float network that it was made from has
    nearly the same ones. Forward it is the artefact: an attack's loss and its every decision, and
    the verdict, are by the artefact's own logits. Backward it is the vector-Jacobian product of
    the twin's logits at the same images. So every attack by gradients runs on it as on any
    differentiable classifier.

    Args:
        artifact: the classifier that is deployed and evaluated, or where it lies, see
            `load_classifier`: a `.tflite` or `.onnx` file.
        twin: the classifier that it was made from, with gradients: a Keras model, a run folder,
            a `.keras` file or a SavedModel.

    Raises:
        ValueError: if the twin has no gradients, takes other images or knows another number of
            classes. One that answers most images differently is refused by
            `evaluate_robustness`, which has the images.

    Example:

    ```python
    model = StraightThrough("exported_models/mnist/mnist-1.tflite", "exported_models/mnist/1")
    evaluate_robustness(model, (x_test, y_test), make_attacks("standard", 0.3), cascade=True)
    ```
    """

    def __init__(
        self,
        artifact: EvaluatedModel | keras.Model | str | os.PathLike[str],
        twin: EvaluatedModel | keras.Model | str | os.PathLike[str],
    ):
        artifact, twin = load_classifier(artifact), load_classifier(twin)
        if not twin.differentiable:
            raise ValueError(
                "`twin` must have gradients: a Keras model, a run folder, a `.keras` file or a "
                f"SavedModel. Received: twin={twin.description!r}"
            )
        wanted = (artifact.image_shape, artifact.num_classes)
        if (twin.image_shape, twin.num_classes) != wanted:
            raise ValueError(
                f"`twin` must take images of shape {wanted[0]} and know {wanted[1]} classes, as "
                f"{artifact.description} does. Received: twin={twin.description!r}, "
                f"image_shape={twin.image_shape}, num_classes={twin.num_classes}"
            )

        def logits_fn(images: Tensor) -> Tensor:
            own = ops.stop_gradient(artifact.logits_fn(images))
            return _in_place_of(twin.logits_fn(images), own)

        super().__init__(
            logits_fn=logits_fn,
            image_shape=artifact.image_shape,
            num_classes=artifact.num_classes,
            description=artifact.description,
            digest=lambda: f"{artifact.identity()} with gradients of {twin.identity()}",
            twin=twin,
            variables=(*artifact.variables, *twin.variables),
            doubts=artifact.doubts,
            draws=artifact.draws,
            one_draw=artifact.one_draw,
        )
        self.knowing(artifact.answers)


@ops.custom_gradient  # type: ignore[untyped-decorator]  # Keras has no types
def _in_place_of(twin: Tensor, own: Tensor) -> tuple[Tensor, Any]:
    # Exactly its own logits; a sum with the difference from the twin's would round them.
    return own, lambda upstream: (upstream, ops.zeros_like(upstream))


def with_twin(
    artifact: EvaluatedModel | str | os.PathLike[str],
    twin: EvaluatedModel | keras.Model | str | os.PathLike[str],
    attacks: Sequence[Attack],
) -> tuple[StraightThrough, list[Attack]]:
    """Returns the model and attacks for an artefact whose twin lends it gradients.

    Each attack comes twice: on the artefact, straight-through if it goes by gradients, and as a
    transfer of the images that it makes on the twin alone. The loss of a quantised network moves
    in steps, on which a search stands still where that of the twin goes on; on the other hand the
    twin does not know where the artefact errs. Either finds images that the other does not.

    Args:
        artifact: as of `StraightThrough`.
        twin: as of `StraightThrough`.
        attacks: the attacks.

    Raises:
        ValueError: as `StraightThrough`.

    Example:

    ```python
    attacks = make_attacks("standard", epsilon=0.3)
    model, attacks = with_twin(
        "exported_models/mnist/mnist-1.tflite", "exported_models/mnist/1", attacks
    )
    evaluate_robustness(model, (x_test, y_test), attacks, cascade=True)
    ```
    """
    model = StraightThrough(artifact, twin)
    pairs = [(attack, Transfer(attack, model.twin)) for attack in attacks]
    return model, [attack for pair in pairs for attack in pair]


def twin_agreement(model: EvaluatedModel, images: ImageSet, batch_size: int) -> float:
    """The share of clean images, the first 1,000 at most, that a model and its twin class alike.

    Args:
        model: a classifier with a `twin`.
        images: the images.
        batch_size: most images in a batch.

    Raises:
        ValueError: if it is less than half: the gradients of a stranger would find little, and
            the artefact would pass for robust.
    """
    twin = model.twin
    assert twin is not None
    count = min(len(images.labels), _MOST_COMPARED)
    alike = 0
    for chosen, padded in batches(np.arange(count), even_batch_size(count, batch_size)):
        x = ops.convert_to_tensor(images.pixels(padded))
        answers = [np.argmax(m.logits_fn(x), axis=1)[: len(chosen)] for m in (model, twin)]
        alike += int((answers[0] == answers[1]).sum())
    if alike < _LEAST_AGREEMENT * count:
        raise ValueError(
            "The twin must be the classifier that the artefact was made from, but it gives most "
            "clean images another class; an attack by its gradients would find little. Received: "
            f"artifact={model.description!r}, twin={twin.description!r}, same class on "
            f"{alike} of {count} images"
        )
    return alike / count
