"""A folder like that of a run for a classifier that was trained elsewhere."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_efgsm.atomic_file import copy_atomically, write_atomically
from keras_efgsm.attacks import Attack
from keras_efgsm.checks import check_epsilon, check_norm
from keras_efgsm.data import ImageData, load_data
from keras_efgsm.data.digests import digest_of_data
from keras_efgsm.recipes.building import size_options
from keras_efgsm.records import EvaluationRecord, ReportCurvesRecord
from keras_efgsm.records.environment import hardware, versions
from keras_efgsm.runs.folder import RunFolder


def adopt_classifier(
    path: str | os.PathLike[str],
    dataset: str,
    epsilon: float,
    *,
    evaluation: str | os.PathLike[str] | None = None,
    attacks: Sequence[Attack] | None = None,
    num_images: int | None = None,
    attack_seed: int = 0,
    norm: str = "linf",
    output: str = "auto",
    output_name: str | None = None,
    unsafe: bool = False,
    **images: Any,
) -> RunFolder:
    """Makes `NAME.report` beside `NAME.keras` or `NAME.h5`, with what a report of a run is made of.

    Without figures of an evaluation the classifier is attacked, by the quick attacks unless others
    are given. What is there from an earlier call stays if it is of the same file, images, epsilon
    and, where they are given, attacks.

    Args:
        path: the `.keras` or `.h5` file.
        dataset: as for `load_data`.
        epsilon: radius of the ball in pixels of [0, 1].
        evaluation: what `keras-efgsm evaluate --json` wrote of the file. Defaults to none.
        attacks: that are run, in a cascade. Defaults to the quick ones.
        num_images: how many images they see. Defaults to all.
        attack_seed: of their noise and of the choice of images. Defaults to 0.
        norm: of the ball, see `checks.NORMS`. Defaults to `"linf"`.
        output: as of `load_classifier`.
        output_name: as of `load_classifier`.
        unsafe: as of `load_classifier`.
        **images: `data_dir`, `image_size`, `channels` and `seed` as for `load_data`.

    Raises:
        ValueError: if it is not such a file, or the images do not have the size that it takes.
    """
    from keras_efgsm.evaluation import evaluate_robustness, load_classifier, make_attacks
    from keras_efgsm.evaluation.digests import digest_of_files
    from keras_efgsm.networks.other_forms import read_model
    from keras_efgsm.networks.outputs import check_output
    from keras_efgsm.networks.own_models import from_file

    source = Path(path)
    model = load_classifier(source, output=output, output_name=output_name, unsafe=unsafe)
    kept = from_file(source, unsafe=unsafe)
    read = read_model(kept, check_output(output, output_name)).classifier
    # A classifier in another form is kept as one of images and logits.
    converted = source.suffix != ".keras" or read is not kept
    folder = RunFolder(source.with_name(f"{source.stem}.report"))
    check_epsilon(epsilon, norm=check_norm(norm))
    data = load_data(dataset, "test", **images)
    if tuple(data.image_shape) != tuple(model.image_shape):
        raise ValueError(
            f"The classifier takes images of shape {tuple(model.image_shape)}; "
            f"{size_options(model.image_shape)} brings them to it. "
            f"Received: dataset={data.name!r} with images of shape {tuple(data.image_shape)}"
        )
    config = {"dataset": dataset, "epsilon": epsilon, "method": "trained elsewhere", **images}
    if norm != "linf":
        config["norm"] = norm
    if converted:
        said = {"output": output, "output_name": output_name}
        config |= {"converted_from": digest_of_files([source]), **said}
    text = json.dumps(config, indent=2) + "\n"
    same = (
        folder.config.exists()
        and folder.config.read_text(encoding="utf-8") == text
        and folder.classifier.exists()
        and (converted or folder.classifier.read_bytes() == source.read_bytes())
    )
    # An empty one, or with a file half-written in it, is what a kill left of an earlier call.
    stranger = folder.path.exists() and any(
        not path.name.endswith(".partial") for path in folder.path.iterdir()
    )
    if stranger and not same and not (folder.path / "adopted.txt").exists():
        raise ValueError(
            "The folder of the report must be new, but something else is there. "
            f"Received: folder={str(folder.path)!r}"
        )
    folder.path.mkdir(exist_ok=True)
    if same and _has_changed(folder, data):
        print(f"the images of {data.name} have changed since {folder.path.name} was made")
        same = False
    if not same:
        folder.evaluation.unlink(missing_ok=True)
        (folder.path / ReportCurvesRecord.NAME).unlink(missing_ok=True)
        write_atomically(folder.path / "adopted.txt", f"made by keras-efgsm of {source.name}\n")
        if converted:
            folder.save_model(read, folder.classifier)
        else:
            copy_atomically(source, folder.classifier)
        write_atomically(folder.config, text)
    if evaluation is not None:
        # A file that is none must not stay in the folder.
        figures = EvaluationRecord.read(evaluation)
        if figures.attacks and figures.norm != norm:
            raise ValueError(
                f"`evaluation` must be of the same norm, {norm}, but is of {figures.norm}. "
                f"Received: evaluation={str(evaluation)!r}, norm={norm!r}"
            )
        copy_atomically(evaluation, folder.evaluation)
    elif not folder.evaluation.exists() or not _is_by(folder, attacks, num_images):
        if attacks is None:
            print(f"attacking {source.name} by the quick attacks; `--evaluation` takes others")
            attacks = make_attacks("quick", epsilon, norm=norm)
        else:
            print(f"attacking {source.name} by {', '.join(attack.name for attack in attacks)}")
        evaluate_robustness(
            model, data, attacks, cascade=True, num_images=num_images, seed=attack_seed
        ).write_json(folder.evaluation)
    figures = folder.read_evaluation()
    metrics = {
        "natural_accuracy": figures.natural_accuracy,
        "test_images": figures.num_images,
        "class_names": list(data.class_names),
        "stop": None,
        "parameters": {"classifier": read.count_params()},
        "versions": versions(),
        "hardware": hardware(),
    }
    folder.write_metrics(metrics)
    return folder


def _is_by(folder: RunFolder, attacks: Sequence[Attack] | None, num_images: int | None) -> bool:
    """Whether the figures that are there are of these attacks on so many images."""
    if attacks is None:
        return True
    figures = folder.read_evaluation()
    there = [(a.name, a.epsilon, a.steps, a.step_size, a.queries) for a in figures.attacks]
    wanted = [
        (a.name, a.epsilon, spent.steps, spent.step_size, spent.queries)
        for a, spent in ((attack, attack.budget) for attack in attacks)
    ]
    return there == wanted and num_images in (None, figures.num_images)


def _has_changed(folder: RunFolder, data: ImageData) -> bool:
    """Whether the figures that are there are known to be of other images than these."""
    if not folder.evaluation.exists():
        return False
    figures = folder.read_evaluation()
    # Of a part of the images, or by an earlier version, nothing is known.
    known = figures.images if figures.num_images == len(data) else None
    return known not in (None, digest_of_data(data.digests, data.images, data.labels))
