"""The adversarial images of an evaluation, which stay on the disk until they are written out."""

import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from keras_efgsm.atomic_file import atomic_file
from keras_efgsm.evaluation.image_file import ImageFile
from keras_efgsm.evaluation.image_set import ImageSet
from keras_efgsm.evaluation.tally import Tally
from keras_efgsm.printing import brief

FOUND_SUFFIX = ".images"
"""Of the file beside a state that holds the adversarial images found so far."""

# Images in memory at a time.
_BATCH = 250


@dataclass(frozen=True, eq=False, repr=False)
class AdversarialImages:
    """Of each image that an evaluation turned, the first adversarial image that was found.

    Images that withstood every attack have none, and those that are misclassified clean need
    none: neither is among them.

    Args:
        index: place of each image in the data that were evaluated, integers `(m,)` that rise.
        label: its true class `(m,)`; of a targeted attack the class that it was to be taken for.
        predicted: what the adversarial image is classified as `(m,)`, -1 where its logits are not
            finite.
        attack: name of the attack that found it `(m,)`.
        epsilon: radius of that attack `(m,)`, in pixels of [0, 1].
        numbers: of the images among those that were evaluated, `(m,)`.
        clean_images: the images that were evaluated.
        file: the adversarial images by these numbers.

    Example:

    ```python
    report = evaluate_robustness(
        classifier, (x_test, y_test), PGD(epsilon=0.3), keep_adversarial=True, progress=False
    )
    report.adversarial.write("adversarial.npz")
    with np.load("adversarial.npz") as found:
        change = found["x_adv"] - x_test[found["index"]]
    ```
    """

    index: np.ndarray
    label: np.ndarray
    predicted: np.ndarray
    attack: np.ndarray
    epsilon: np.ndarray
    numbers: np.ndarray
    clean_images: ImageSet
    file: ImageFile

    def __len__(self) -> int:
        return len(self.index)

    def __repr__(self) -> str:
        return brief(self, images=len(self), attacks=sorted(set(self.attack.tolist())))

    def batches(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Walks through the images, a few hundred in memory at a time.

        Returns:
            Iterator of places `(b,)` in the arrays above, clean images and adversarial images
            `(b, H, W, C)`, both float32 in [0, 1].
        """
        for start in range(0, len(self), _BATCH):
            places = np.arange(start, min(start + _BATCH, len(self)))
            numbers = self.numbers[places]
            yield places, self.clean_images.pixels(numbers), self.file.read(numbers)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes an `.npz` file; a reader finds the old one or the whole new one.

        It has `x_adv` float32 `(m, H, W, C)`, bit by bit as the classifier saw them, `index`,
        `label`, `predicted`, `attack` and `epsilon`, as above. The clean image of `x_adv[i]` is
        number `index[i]` of the data.

        Args:
            path: the file, replaced if it exists; its folder must exist.

        Raises:
            OSError: if it cannot be written.
        """
        columns = ("index", "label", "predicted", "attack", "epsilon")
        with atomic_file(Path(path)) as file, zipfile.ZipFile(file, "w") as archive:
            for name in columns:
                with archive.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, getattr(self, name), allow_pickle=False)
            with archive.open("x_adv.npy", "w", force_zip64=True) as member:
                _write_header(member, (len(self), *self.file.image_shape))
                for _, _, x_adv in self.batches():
                    member.write(x_adv.astype("<f4").tobytes())


def found_images(
    images: ImageSet, tally: Tally, attacks: Sequence[tuple[str, float]]
) -> AdversarialImages | None:
    """What an evaluation found, by what it took down; None if it did not keep the images.

    Args:
        images: the images that were evaluated.
        tally: of an evaluation that is through.
        attacks: name and epsilon of each attack.
    """
    file, robust, classes = tally.found, tally.robust, tally.classes
    if file is None:
        return None
    assert robust is not None and classes is not None and tally.correct is not None
    first = first_to_turn(robust, tally.correct)
    numbers = np.flatnonzero(first >= 0)
    first = first[numbers]
    return AdversarialImages(
        index=images.indices[numbers].astype("int64"),
        label=images.labels[numbers].astype("int32"),
        predicted=classes[first, numbers].astype("int32"),
        attack=np.array([name for name, _ in attacks])[first],
        epsilon=np.array([epsilon for _, epsilon in attacks], "float64")[first],
        numbers=numbers,
        clean_images=images,
        file=file,
    )


def first_to_turn(robust: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """The number `(n,)` of the first attack that turned each image, -1 where none did.

    Args:
        robust: `(num_attacks, n)`, which images withstood each attack.
        correct: which `(n,)` were attacked at all.
    """
    turned = correct & ~robust
    return np.where(turned.any(axis=0), turned.argmax(axis=0), -1)


def remove_state(state: Path) -> None:
    """Removes what an evaluation could be continued from: the figures are in place.

    Args:
        state: the `.npz` file.
    """
    state.unlink(missing_ok=True)
    state.with_suffix(FOUND_SUFFIX).unlink(missing_ok=True)


def _write_header(member: IO[bytes], shape: tuple[int, ...]) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(member, header)
