"""Random views of the training images, and of their momentum through the same window.

The momentum Gamma of a sample says which way each of its *pixels* was pushed before. A crop or a
flip moves the pixels, so Gamma must move with them, and what the step learns about the view must
be written back to the pixels it was about: Gamma lives in the frame of the image as it is stored.
"""

from typing import Any

import keras
from keras import ops

from keras_efgsm.checks import check_choice, check_count
from keras_efgsm.noise import Noise
from keras_efgsm.typing import Tensor

# Attacks draw from the streams that follow 0.
_STREAM = 2**31
# Neither black nor white, as the paper of cutout fills with the mean of the data.
_CUTOUT_GREY = 0.5


@keras.saving.register_keras_serializable(package="keras_efgsm")
class Augmentation:
    """Pad-and-crop, horizontal flip and cutout, drawn anew for each sample and step.

    The draw is keyed by (seed, step, sample id), so a run that is resumed or spread over replicas
    sees the same views. Images are padded with black.

    Args:
        padding: pixels added on each side before a window of the image's size is cut out at
            random. Defaults to 0.
        flip: whether half of the views are mirrored left to right. Defaults to `False`.
        cutout: side of the grey square of DeVries & Taylor, 2017, in pixels; its centre lies
            anywhere in the image. Defaults to 0, none.
        aligned: whether the per-sample momentum is seen through the same window and written back
            through its inverse. `False` is what most published code does, for comparison. Defaults
            to `True`.

    Raises:
        ValueError: if a number is out of range.

    Example:

    ```python
    trainer = AdversarialTrainer(
        classifier, EFGSM(epsilon=8 / 255), augmentation=Augmentation(padding=4, flip=True)
    )
    ```
    """

    def __init__(
        self, *, padding: int = 0, flip: bool = False, cutout: int = 0, aligned: bool = True
    ):
        self.padding = check_count(padding, "padding", minimum=0)
        self.flip = check_choice(flip, "flip", (False, True))
        self.cutout = check_count(cutout, "cutout", minimum=0)
        self.aligned = check_choice(aligned, "aligned", (False, True))

    def draw(self, noise: Noise, image_shape: tuple[int, ...]) -> "View":
        """Draws the views of a batch.

        Args:
            noise: noise of its samples at this step.
            image_shape: `(H, W, C)`.

        Raises:
            ValueError: if the padding is as large as the images.
        """
        height, width = image_shape[:2]
        if self.padding >= min(height, width):
            raise ValueError(
                f"`padding` must be below the sides of the images, {(height, width)}. "
                f"Received: padding={self.padding}"
            )
        draws = noise.uniform((5,), stream=_STREAM)

        def whole(column: int, count: int) -> Tensor:
            # Rounding may carry a uniform number just below 1 up to `count`.
            return ops.minimum(ops.cast(draws[:, column] * count, "int32"), count - 1)

        shift = 2 * self.padding + 1
        return View(
            rows=whole(0, shift) - self.padding,
            columns=whole(1, shift) - self.padding,
            flipped=draws[:, 2] < 0.5 if self.flip else None,
            centre=(whole(3, height), whole(4, width)) if self.cutout else None,
            cutout=self.cutout,
            size=(height, width),
        )

    def get_config(self) -> dict[str, Any]:
        return {
            "padding": self.padding,
            "flip": self.flip,
            "cutout": self.cutout,
            "aligned": self.aligned,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Augmentation":
        return cls(**config)


class View:
    """How a batch is looked at: a window of each image, mirrored or not, with a square cut out.

    Args:
        rows: by how many pixels the windows lie below the images, `(B,)`, integers.
        columns: by how many to the right of them, `(B,)`.
        flipped: whether they are mirrored, `(B,)`, or None for none.
        centre: rows and columns `(B,)` of the centres of the cut-out squares, in the view; None
            for none.
        cutout: side of the squares in pixels.
        size: `(H, W)` of images and views.

    Example:

    ```python
    noise = Noise(seed=0, step=3, ids=ops.arange(8))
    view = Augmentation(padding=4, flip=True).draw(noise, (28, 28, 1))
    gamma = ops.zeros((8, 28, 28, 1))
    gamma = view.put_back(gamma, 0.95 * view.of_momentum(gamma) + 1.0)
    ```
    """

    def __init__(
        self,
        rows: Tensor,
        columns: Tensor,
        flipped: Tensor | None,
        centre: tuple[Tensor, Tensor] | None,
        cutout: int,
        size: tuple[int, int],
    ):
        self._rows, self._columns = rows[:, None], columns[:, None]
        self._flipped = None if flipped is None else flipped[:, None]
        self._centre = centre
        self._cutout = cutout
        self._size = size

    def of_images(self, images: Tensor) -> Tensor:
        """The views `(B, H, W, C)`: black outside the images, grey where cut out."""
        seen = self._through_window(images)
        if self._centre is None:
            return seen
        return ops.where(self._cut_out()[..., None], _CUTOUT_GREY, seen)

    def of_momentum(self, momentum: Tensor) -> Tensor:
        """The momentum `(B, H, W, C)` of the pixels of the views; zero outside the images."""
        seen = self._through_window(momentum)
        if self._centre is None:
            return seen
        return ops.where(self._cut_out()[..., None], ops.zeros_like(seen), seen)

    def put_back(self, momentum: Tensor, seen: Tensor) -> Tensor:
        """The momentum of the images after that of their views changed.

        Args:
            momentum: as it was, `(B, H, W, C)`.
            seen: the new one of the views, `(B, H, W, C)`.

        Returns:
            `momentum`, with the pixels that the view showed replaced by what it says of them.
        """
        rows, columns = self._grid()
        view_rows = rows - self._rows
        view_columns = self._mirror(columns - self._columns)
        values, shown = self._take(seen, view_rows, view_columns)
        if self._centre is not None:
            uncut = ops.cast(ops.logical_not(self._cut_out()), "int32")[..., None]
            shown = ops.logical_and(shown, self._take(uncut, view_rows, view_columns)[0] > 0)
        return ops.where(shown, values, momentum)

    def _through_window(self, values: Tensor) -> Tensor:
        rows, columns = self._grid()
        taken, inside = self._take(values, rows + self._rows, self._mirror(columns) + self._columns)
        return ops.where(inside, taken, ops.zeros_like(taken))

    def _grid(self) -> tuple[Tensor, Tensor]:
        height, width = self._size
        return ops.arange(height, dtype="int32")[None], ops.arange(width, dtype="int32")[None]

    def _mirror(self, columns: Tensor) -> Tensor:
        if self._flipped is None:
            return columns
        return ops.where(self._flipped, self._size[1] - 1 - columns, columns)

    def _take(self, values: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Values at rows `(B, H)` and columns `(B, W)`, and whether there are such pixels."""
        height, width = self._size
        inside = ops.logical_and(
            ops.logical_and(rows >= 0, rows < height)[:, :, None],
            ops.logical_and(columns >= 0, columns < width)[:, None, :],
        )
        rows, columns = ops.clip(rows, 0, height - 1), ops.clip(columns, 0, width - 1)
        first = ops.arange(ops.shape(values)[0], dtype="int32")[:, None] * height
        index = ((first + rows) * width)[:, :, None] + columns[:, None, :]
        pixels = ops.reshape(values, (-1, values.shape[-1]))
        return ops.take(pixels, index, axis=0), inside[..., None]

    def _cut_out(self) -> Tensor:
        """Whether `(B, H, W)` the pixels of the view are cut out."""
        rows, columns = self._grid()
        half = self._cutout // 2
        assert self._centre is not None

        def within(places: Tensor, centre: Tensor) -> Tensor:
            first = centre[:, None] - half
            return ops.logical_and(places >= first, places < first + self._cutout)

        return ops.logical_and(
            within(rows, self._centre[0])[:, :, None],
            within(columns, self._centre[1])[:, None, :],
        )
