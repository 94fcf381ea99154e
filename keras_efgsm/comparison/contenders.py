"""The models of a comparison: loaded, named, each with the attacks that it can see."""

import hashlib
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_efgsm.attacks import Attack
from keras_efgsm.backend import BACKEND
from keras_efgsm.evaluation import EvaluatedModel, Transfer, load_classifier, with_twin
from keras_efgsm.evaluation.image_set import ImageSet, batches, even_batch_size
from keras_efgsm.evaluation.straight_through import twin_agreement
from keras_efgsm.records.comparison import BLACK_BOX, TWIN, WHITE_BOX
from keras_efgsm.records.exported_files import size_in_bytes
from keras_efgsm.runs.folder import RunFolder


class Contender(NamedTuple):
    """A model as it is attacked.

    Attributes:
        name: unlike that of any other.
        path: where it lies; None for a model in memory.
        model: what is attacked.
        attacks: those that it sees.
        asked: of each of these, the number of the attack that was asked for.
        access: what attacks know of it, see `records.comparison`.
    """

    name: str
    path: Path | None
    model: EvaluatedModel
    attacks: list[Attack]
    asked: list[int]
    access: str

    @property
    def digest(self) -> str:
        """SHA-256 of what it answers by, and of the twin that lends it gradients."""
        twin = self.model.twin
        also = "" if twin is None else twin.identity()
        return hashlib.sha256(f"{self.model.identity()} {also}".encode()).hexdigest()

    @property
    def parameters(self) -> int | None:
        """How many numbers it has; None where its file does not tell."""
        counted = [v for v in self.model.variables if "float" in str(v.dtype)]
        if self.model.twin is not None or not counted:
            return None
        return sum(int(math.prod(variable.shape)) for variable in counted)

    @property
    def size(self) -> int | None:
        """Of its files in bytes, of a run those of its classifier; None for a model in memory."""
        if self.path is None:
            return None
        classifier = RunFolder(self.path).classifier
        return size_in_bytes(classifier if classifier.is_file() else self.path)


def read_contenders(
    models: Sequence[EvaluatedModel | keras.Model | str | os.PathLike[str]],
    attacks: Sequence[Attack],
    names: Sequence[str] | None = None,
) -> list[Contender]:
    """Loads all models, and decides which attacks each of them sees.

    A model with gradients sees all attacks. One without sees all if it has a twin, straight-through
    and transferred, see `with_twin`: that of a `StraightThrough`, or the SavedModel that lies
    beside a file of an export. One without either sees those that need no gradients. Where none of
    the attacks needs any, no twin is asked: all models see the same.

    Args:
        models: two or more.
        attacks: as they were asked for.
        names: of the models. Defaults to what they are called.

    Raises:
        FileNotFoundError: if there is no model.
        ValueError: if one is no classifier, comes twice, takes other images or knows another
            number of classes than the others, or can see none of the attacks.
    """
    if isinstance(models, (str, os.PathLike)) or len(models) < 2:
        given = [models] if isinstance(models, (str, os.PathLike)) else list(models)
        raise ValueError(f"A comparison needs two models or more. Received: models={given!r}")
    paths = [Path(m) if isinstance(m, (str, os.PathLike)) else None for m in models]
    places = [path.resolve() if path else model for path, model in zip(paths, models, strict=True)]
    twice = [i for i, place in enumerate(places) if any(place is o for o in places[:i])]
    twice += [i for i, path in enumerate(places) if isinstance(path, Path) and path in places[:i]]
    if twice:
        raise ValueError(
            f"Each model may be given once. Received: models={[str(m) for m in models]}"
        )
    loaded = [load_classifier(model) for model in models]
    called = _names(loaded, paths, names)
    _check_alike(loaded, called)
    return [
        _contender(name, path, model, attacks)
        for name, path, model in zip(called, paths, loaded, strict=True)
    ]


def check_contender(contender: Contender, images: ImageSet, batch_size: int) -> None:
    """Checks, before any attack, what an evaluation would refuse a model for.

    Args:
        contender: the model.
        images: the images.
        batch_size: most images in a batch.

    Raises:
        ValueError: if its logits are not finite, if it classifies no image correctly, or if its
            twin answers most of them differently.
    """
    model, count = contender.model, len(images.labels)
    right = 0
    for chosen, padded in batches(np.arange(count), even_batch_size(count, batch_size)):
        x = ops.convert_to_tensor(images.pixels(padded))
        logits = ops.convert_to_numpy(model.logits_fn(x))[: len(chosen)]
        if not np.isfinite(logits).all():
            raise ValueError(
                "Each model must return finite logits; are its weights NaN? "
                f"Received: model={contender.name!r}"
            )
        right += int((logits.argmax(axis=1) == images.labels[chosen]).sum())
    if not right:
        raise ValueError(
            "Each model must classify at least one clean image correctly, else there is nothing to "
            "attack. Do the labels, and the pixels' range, fit it? "
            f"Received: model={contender.name!r}, correct images=0 of {count}"
        )
    if model.twin is not None:
        twin_agreement(model, images, batch_size)


def _contender(
    name: str, path: Path | None, model: EvaluatedModel, attacks: Sequence[Attack]
) -> Contender:
    def seen(kept: list[int], access: str) -> Contender:
        return Contender(name, path, model, [attacks[i] for i in kept], kept, access)

    every = list(range(len(attacks)))
    if not any(attack.needs_gradient for attack in attacks):
        return seen(every, BLACK_BOX)
    twin = model.twin or _find_twin(path, model)
    if twin is not None:
        through = model
        if model.twin is None:
            through, paired = with_twin(model, twin, attacks)
        else:
            paired = [a for attack in attacks for a in (attack, Transfer(attack, twin))]
        return Contender(name, path, through, paired, [i for i in every for _ in range(2)], TWIN)
    if model.differentiable:
        return seen(every, WHITE_BOX)
    left = [i for i in every if not attacks[i].needs_gradient]
    if not left:
        raise ValueError(
            f"{name} has no gradients, which all of the attacks need, and no twin beside it. Add "
            "an attack that needs none, such as square. "
            f"Received: attacks={', '.join(attack.name for attack in attacks)}"
        )
    return seen(left, BLACK_BOX)


def _find_twin(path: Path | None, model: EvaluatedModel) -> Any:
    # What lies beside the file is a SavedModel, which only TensorFlow runs.
    if path is None or model.differentiable or BACKEND != "tensorflow":
        return None
    from keras_efgsm.export.measuring import find_twin

    return find_twin(path)


def _names(
    models: Sequence[EvaluatedModel], paths: Sequence[Path | None], names: Sequence[str] | None
) -> list[str]:
    if names is not None:
        if len(names) != len(models) or len(set(names)) < len(names) or not all(names):
            raise ValueError(
                f"`names` must be {len(models)} different names, one for each model. "
                f"Received: names={list(names)!r}"
            )
        return list(names)
    found = [model.description for model in models]
    depth = 1
    while len(set(found)) < len(found):
        # With as many of the folders above as tell them apart.
        depth += 1
        found = [
            "/".join(path.resolve().parts[-depth:]) if path else model.description
            for model, path in zip(models, paths, strict=True)
        ]
        if depth > max((len(path.resolve().parts) for path in paths if path), default=0):
            raise ValueError(
                f"Models that are called alike need `names`. Received: models={found!r}"
            )
    return found


def _check_alike(models: Sequence[EvaluatedModel], names: Sequence[str]) -> None:
    """Images of another size are other images, and a ball around them is another ball."""
    for what, of in (
        ("take images of the same shape", [model.image_shape for model in models]),
        ("know the same number of classes", [model.num_classes for model in models]),
    ):
        if len(set(of)) > 1:
            told = ", ".join(f"{name}: {value}" for name, value in zip(names, of, strict=True))
            raise ValueError(
                f"All models must {what} to be attacked on the same images. Received: {told}"
            )
