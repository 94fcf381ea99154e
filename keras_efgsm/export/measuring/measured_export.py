"""`measure`: an export measured form by form, its figures on disk and in its card."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from keras_efgsm.atomic_file import try_to_write
from keras_efgsm.attacks import Attack
from keras_efgsm.checks import check_epsilon, check_norm
from keras_efgsm.data import ImageData
from keras_efgsm.evaluation import make_attacks
from keras_efgsm.export.measuring.card import write_measured_card
from keras_efgsm.export.measuring.exported_forms import find_export
from keras_efgsm.export.measuring.measurement import measure_export
from keras_efgsm.export.measuring.measurements import Measurements
from keras_efgsm.recipes.building import load_images
from keras_efgsm.runs.folder import RunFolder


def measure(
    export_folder: str | os.PathLike[str],
    *,
    run: str | os.PathLike[str] | None = None,
    data: ImageData | tuple[Any, Any] | str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    image_size: tuple[int, int] | None = None,
    channels: int | None = None,
    split: str = "test",
    epsilon: float | None = None,
    norm: str | None = None,
    attacks: str | Sequence[Attack] = "standard",
    steps: int | None = None,
    targets: int | None = None,
    queries: int | None = None,
    num_images: int | None = None,
    batch_size: int = 250,
    seed: int = 0,
    calls: int = 300,
    again: bool = False,
    progress: bool = True,
    tell: Callable[[str], None] = lambda line: None,
) -> Measurements:
    """Measures every form of an export on its own file, and writes the figures into its card.

    As `keras-efgsm measure` does. What is known is on disk as soon as a form is through, see
    `measure_export`; called again, it goes on from there.

    Args:
        export_folder: the version's SavedModel, `exported_models/NAME/N`.
        run: folder of the run that was exported: its Keras model is measured beside the files, and
            says data set and epsilon. Defaults to none.
        data: images and labels, or the name or path of a data set. Defaults to that of the run.
        data_dir: folder of prepared tensorflow-datasets. Defaults to that of the run.
        image_size: `(height, width)` that images are brought to. Defaults to that of the run.
        channels: that they are brought to, 1, 3 or 4. Defaults to those of the run.
        split: which part of the data set. Defaults to `"test"`.
        epsilon: radius of the ball in pixels of [0, 1]. Defaults to that of the run.
        norm: of the ball, see `checks.NORMS`; with another than that of the run an epsilon must be
            given. Defaults to that of the run, else to `"linf"`.
        attacks: names as of `make_attacks`, or attacks of one epsilon and norm, the cheapest first.
            Defaults to `"standard"`.
        steps: of gradient attacks that are named. Defaults to that of `make_attacks`.
        targets: of targeted attacks that are named. Defaults to that of `make_attacks`.
        queries: of Square that is named. Defaults to that of `make_attacks`.
        num_images: takes so many images, see `evaluate_robustness`. Defaults to that of
            `measure_export`.
        batch_size: most images in a batch. Defaults to `250`.
        seed: seed of the attacks' noise, >= 0. Defaults to `0`.
        calls: timed calls of each form with one image. Defaults to `300`.
        again: whether to forget what was measured before. Defaults to `False`.
        progress: whether to show a progress bar in a terminal. Defaults to `True`.
        tell: is given one line for each form. Defaults to silence.

    Returns:
        The figures, which also lie in `TO/NAME-N.measured.json`.

    Raises:
        FileNotFoundError: if there is no export, or no run.
        PermissionError: if the figures cannot be written beside it.
        ValueError: if data set or epsilon is neither given nor told by a run, an argument is not as
            above, or there are figures of other settings and `again` is not set.

    Example:

    ```python
    found = measure(
        "exported_models/mnist/1", run="runs/mnist", attacks="square", queries=100, again=True
    )
    found.forms["tflite"].robust
    ```
    """
    export = find_export(export_folder)
    try_to_write(export.measured, "path")
    config = RunFolder(Path(run)).read_config() if run is not None else None

    def given(name: str, value: Any, field: str) -> Any:
        if value is None and config is None:
            raise ValueError(
                f"`{name}` must be given where no `run` tells it. "
                f"Received: {name}=None, path={str(export_folder)!r}"
            )
        return getattr(config, field) if value is None else value

    if isinstance(attacks, str):
        own = "linf" if config is None else config.norm
        norm = check_norm(own if norm is None else norm)
        if norm != own and epsilon is None:
            raise ValueError(
                f"`epsilon` must be given with norm {norm}, as that of the run is a radius of "
                f"{own}. Received: epsilon=None, norm={norm!r}"
            )
        attacks = make_attacks(
            attacks,
            check_epsilon(given("epsilon", epsilon, "epsilon"), norm=norm),
            steps=steps,
            targets=targets,
            queries=queries,
            norm=norm,
        )
    if data is None or isinstance(data, (str, os.PathLike)):
        name = given("dataset", data, "dataset")
        data = load_images(
            name, split, config, data_dir=data_dir, image_size=image_size, channels=channels
        )
    found = measure_export(
        export.folder,
        data,
        attacks,
        run=run,
        num_images=num_images,
        batch_size=batch_size,
        seed=seed,
        split=split,
        calls=calls,
        again=again,
        progress=progress,
        tell=tell,
    )
    if export.card.is_file():
        write_measured_card(export, found)
    return found
