"""The margin over a plane through an image: what an attack by gradients walks on."""

from typing import NamedTuple

import numpy as np

from keras_efgsm.diagnosis.probing import Probing

POINTS = 21


class ImageSurface(NamedTuple):
    """The margin around one image.

    Attributes:
        offsets: `(p,)` in pixels of [0, 1], from -epsilon to epsilon.
        margins: `(p, p)`: row i is a step of `offsets[i]` along a random direction, column j one
            along that in which, by the gradient, the margin falls most.
        label: the true class.
    """

    offsets: np.ndarray
    margins: np.ndarray
    label: int


def margin_surfaces(probing: Probing, num_images: int = 4) -> tuple[ImageSurface, ...]:
    """The margin over the plane of the steepest way and a random one, for the first images.

    In an L-infinity ball these are the sign of the gradient and random signs, in an L2 ball both at
    length 1.

    The picture of Tramèr et al., "Ensemble adversarial training" (2018), and Qin et al. 2019: an
    honest surface is nearly a slope, a masked one is flat, rugged or bent. Pixels are kept in
    [0, 1].

    Args:
        probing: the model and images.
        num_images: how many. Defaults to 4.
    """
    downhills = probing.direction(probing.gradients(probing.x)[1])
    rng = np.random.default_rng(probing.seed)
    offsets = np.linspace(-probing.epsilon, probing.epsilon, POINTS).astype("float32")
    surfaces = []
    for index in range(min(num_images, probing.count)):
        image, label = probing.x[index], int(probing.labels[index])
        signs = rng.choice(np.array([-1.0, 1.0], "float32"), size=image.shape)
        random, downhill = probing.direction(signs[None])[0], downhills[index]
        plane = (
            image
            + offsets[:, None, None, None, None] * random
            + offsets[None, :, None, None, None] * downhill
        ).reshape(-1, *image.shape)
        margins = probing.margins_of(np.clip(plane, 0.0, 1.0), label)
        surfaces.append(ImageSurface(offsets, margins.reshape(POINTS, POINTS), label))
    return tuple(surfaces)
