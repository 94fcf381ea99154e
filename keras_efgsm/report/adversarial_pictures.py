"""Adversarial images as PNG files: clean, adversarial and their difference side by side."""

import os
import shutil
from pathlib import Path

import numpy as np

from keras_efgsm.atomic_file import try_to_make
from keras_efgsm.evaluation import AdversarialImages
from keras_efgsm.pictures.png import side_by_side, signed_colours

# Small images are enlarged by a whole number, to be seen.
_LEAST_HEIGHT = 96
_CHANNELS = (1, 3)


def check_folder(folder: str | os.PathLike[str], image_shape: tuple[int, ...]) -> None:
    """Checks where pictures go, and that they can be made, before the work.

    Args:
        folder: as of `write_pictures`.
        image_shape: `(H, W, C)` of the images.

    Raises:
        ValueError: if it holds something already, or the images have neither 1 nor 3 channels.
        PermissionError: if it cannot be written.
    """
    folder = Path(folder)
    if image_shape[-1] not in _CHANNELS:
        raise ValueError(
            "Pictures are made of images with 1 or 3 channels; `--save-adversarial` takes all. "
            f"Received: image_shape={tuple(image_shape)}"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(
            "The folder of pictures must be new or empty, so that it holds those of one "
            f"evaluation. Received: save-images={str(folder)!r}"
        )
    try_to_make(folder, "--save-images")


def write_pictures(adversarial: AdversarialImages, folder: str | os.PathLike[str]) -> None:
    """Writes a PNG file for each adversarial image; the folder is there whole or not at all.

    `000012-label3-as5.png` is of image 12 of the data: the clean image, of class 3; the
    adversarial one, which is classified as 5; and their difference, amplified so that epsilon has
    full strength: red is brighter and blue darker, in colour images a channel above or below grey.
    They are to look at: PNG rounds to 1/255, small images are enlarged. `AdversarialImages.write`
    has the exact pixels.

    Args:
        adversarial: what an evaluation found, with `keep_adversarial`.
        folder: new or empty.

    Raises:
        ValueError: if the folder holds something, or the images have neither 1 nor 3 channels.
        OSError: if it cannot be written.

    Example:

    ```python
    report = evaluate_robustness(
        classifier, (x, y), PGD(epsilon=0.3), keep_adversarial=True, progress=False
    )
    write_pictures(report.adversarial, "adversarial")
    ```
    """
    # Here, as most commands write no pictures.
    from PIL import Image

    folder = Path(folder)
    check_folder(folder, adversarial.file.image_shape)
    unfinished = folder.absolute().with_name(f".{folder.name}.unfinished")
    # What a kill left.
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        for places, clean, x_adv in adversarial.batches():
            for place, x, found in zip(places, clean, x_adv, strict=True):
                picture = _in_a_row(x, found, float(adversarial.epsilon[place]))
                name = (
                    f"{adversarial.index[place]:06d}-label{adversarial.label[place]}"
                    f"-as{adversarial.predicted[place]}.png"
                )
                Image.fromarray(picture).save(unfinished / name, "PNG")
        if folder.exists():
            folder.rmdir()
        os.replace(unfinished, folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _in_a_row(clean: np.ndarray, adversarial: np.ndarray, epsilon: float) -> np.ndarray:
    """The three pictures as 8-bit colours `(H, W, 3)`."""
    tiles = [clean, adversarial, signed_colours(adversarial - clean, epsilon)]
    factor = -(-_LEAST_HEIGHT // clean.shape[0]) if clean.shape[0] < _LEAST_HEIGHT else 1
    row = side_by_side([tile.repeat(factor, axis=0).repeat(factor, axis=1) for tile in tiles])
    pixels: np.ndarray = np.round(np.clip(row, 0.0, 1.0) * 255).astype("uint8")
    return pixels
