"""BaRT, the barrage of random transforms of Raff, Sylvester, Forsyth & McLean, 2019, as a layer."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
from keras import ops

from keras_efgsm.backend import compiled_once
from keras_efgsm.checks import check_choice, check_count, check_seed
from keras_efgsm.networks.image_transforms import NUMBERS, TRANSFORMS, Draw
from keras_efgsm.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_efgsm")
class RandomBarrage(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Changes each image by some of many transforms, drawn anew at each call, evaluation included.

    Raff, Sylvester, Forsyth & McLean 2019, "Barrage of random transforms for adversarially robust
    defense". Of the n transforms each image goes through k, drawn for it, with random numbers of
    its own; after each the pixels are clipped to [0, 1]. The order is drawn for each call, and the
    images of a batch share it; the paper draws it for each image.

    One transform stands for each of the paper's ten groups, see `TRANSFORMS`. Of the paper's 25 are
    left out: five further kinds of noise, seam carving, three colour spaces (HSV, XYZ, LAB), two
    equalisations of the histogram, three further ways to mix in grey, and the median, mean, total
    variation, wavelet and non-local denoising. The ranges are for small images: the swirl and blur
    of the paper are for pictures of ImageNet's size.

    It answers at random in evaluation mode, as is its purpose: an evaluation notices it and asks
    for `--eot`, an export refuses it, and a trainer takes it where the attack sees the draw of the
    update. For a classifier, it is the first layer.

    Args:
        count: k, how many transforms each image goes through. Defaults to `5`.
        transforms: names of the n transforms to draw from, of `TRANSFORMS`. Defaults to all that
            change images of their channels: grey ones do not become greyer.
        seed: of the draws, a whole number. Defaults to a random one, which follows
            `keras.utils.set_random_seed`.
        **options: of a Keras layer; it computes in float32 whatever the dtype policy, as pixels do.

    Raises:
        ValueError: if there is no such transform, or `count` is more than their number.

    Example:

    ```python
    images = keras.Input(classifier.input_shape[1:])
    defended = keras.Model(images, classifier(RandomBarrage(count=4)(images)))
    evaluate_robustness(defended, (x, y), PGD(epsilon=0.1, steps=2), eot=2, progress=False)
    ```
    """

    def __init__(
        self,
        count: int = 5,
        transforms: Sequence[str] | None = None,
        seed: int | None = None,
        **options: Any,
    ):
        super().__init__(**{"dtype": "float32", **options})
        self.count = check_count(count, "count")
        self.transforms = None if transforms is None else tuple(transforms)
        for name in self.transforms or ():
            check_choice(name, "transforms", tuple(TRANSFORMS))
        self._check_count(len(TRANSFORMS if self.transforms is None else self.transforms))
        self.seed = None if seed is None else check_seed(seed)
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if len(input_shape) != 4 or None in input_shape[1:]:
            raise ValueError(
                "`RandomBarrage` takes images (batch, height, width, channels) of one size. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        names = self.names_for(input_shape[3] or 0)
        self._check_count(len(names))
        # A graph of its own, as the mean over 30 draws would make it 30 times.
        self._transformed = compiled_once(partial(_transformed, names))
        super().build(input_shape)

    def names_for(self, channels: int) -> tuple[str, ...]:
        """The transforms that images of so many channels may go through.

        Args:
            channels: C.
        """
        if self.transforms is not None:
            return self.transforms
        return tuple(name for name in TRANSFORMS if channels > 1 or name != "grey")

    def call(self, images: Tensor) -> Tensor:
        names = self.names_for(images.shape[-1])
        size, shape = len(names), ops.shape(images)
        # A graph within an attack's loop does not say how many images there are, a reshape does.
        images, seed = ops.reshape(images, shape), self.seed_generator
        numbers = keras.random.uniform((size, shape[0], NUMBERS), seed=seed)
        fields = (keras.random.normal(shape, seed=seed), keras.random.uniform(shape, seed=seed))
        keys = keras.random.uniform((shape[0], size), seed=seed)
        # The k smallest of n keys are any k of n.
        chosen = ops.transpose(keys <= ops.sort(keys, axis=1)[:, self.count - 1 : self.count])
        order = ops.argsort(keras.random.uniform((size,), seed=seed))
        changed = self._transformed(images, numbers, *fields, chosen, order)
        return ops.reshape(changed, shape)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        transforms = None if self.transforms is None else list(self.transforms)
        own = {"count": self.count, "transforms": transforms, "seed": self.seed}
        return {**super().get_config(), **own}

    def _check_count(self, size: int) -> None:
        if self.count > size:
            raise ValueError(
                f"`count` must be at most the number of transforms, {size}. "
                f"Received: count={self.count}"
            )


def _transformed(
    names: Sequence[str],
    images: Tensor,
    numbers: Tensor,
    normal: Tensor,
    uniform: Tensor,
    chosen: Tensor,
    order: Tensor,
) -> Tensor:
    """Images behind those transforms that each of them goes through.

    Args:
        names: of the n transforms.
        images: `(B, H, W, C)`.
        numbers: of each transform and image, `(n, B, 4)`.
        normal: `(B, H, W, C)`, see `Draw`.
        uniform: `(B, H, W, C)`, likewise.
        chosen: whether each transform changes each image, `(n, B)`.
        order: in which the transforms come, int `(n,)`.
    """
    branches, shape = [_branch(name) for name in names], ops.shape(images)

    def step(position: Tensor, x: Tensor) -> Tensor:
        which = ops.take(order, position)
        one = ops.take(numbers, which, axis=0)
        changed = ops.switch(which, branches, x, one, normal, uniform)
        goes = ops.reshape(ops.take(chosen, which, axis=0), (-1, 1, 1, 1))
        return ops.reshape(ops.where(goes, ops.clip(changed, 0.0, 1.0), x), shape)

    return ops.fori_loop(0, len(names), step, images)


def _branch(name: str) -> Any:
    def branch(x: Tensor, numbers: Tensor, normal: Tensor, uniform: Tensor) -> Tensor:
        changed = TRANSFORMS[name](x, Draw(numbers, normal, uniform))
        return ops.reshape(changed, ops.shape(x))

    return branch
