"""How to train on images that no recipe was made for, by their size and their number."""

import dataclasses
from typing import Any, NamedTuple

from keras_efgsm.data import describe_source
from keras_efgsm.networks import default_network, default_reconstructor
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.recipes.methods import compose_name, find_method, parts_of_name
from keras_efgsm.recipes.presets import PRESETS
from keras_efgsm.recipes.request import AUTOMATIC_RECIPE, Request, changed


class TrainingImages(NamedTuple):
    """What a recipe is chosen by.

    Attributes:
        image_shape: height, width and channels.
        num_classes: how many classes they have.
        num_images: how many there are.
        notes: sentences that a user should read before a training.
    """

    image_shape: tuple[int, int, int]
    num_classes: int
    num_images: int
    notes: list[str]


# Of the networks here.
_BATCH_NORM_MOMENTUM = 0.9
# Weight that the statistics a network begins with may have at the end.
_LEFT_OF_THE_START = 0.01


class Choice(NamedTuple):
    """One thing that was chosen.

    Attributes:
        name: what it is.
        value: as it is shown.
        reason: why, in a few words.
        fields: fields of the configuration, and their values.
    """

    name: str
    value: str
    reason: str
    fields: dict[str, Any]


class Chosen(NamedTuple):
    """A configuration, and what was chosen for it.

    Attributes:
        config: the configuration.
        choices: those that the user left open.
        notes: what is known of the images, in sentences.
    """

    config: TrainingConfig
    choices: list[Choice]
    notes: list[str]


def configuration(request: Request) -> TrainingConfig:
    """Returns the configuration that a request describes.

    Args:
        request: data, recipe and what was given.

    Raises:
        ValueError: if a value is out of range or unknown, or the recipe is chosen by the
            images and these cannot be read, or epsilon is not given.

    Example:

    ```python
    config = configuration(Request("mnist", changes={"epochs": 3}))
    ```
    """
    if request.recipe_name == AUTOMATIC_RECIPE:
        return choose(request).config
    return changed(
        PRESETS[request.recipe_name],
        {**request.changes, "dataset": request.dataset},
        request.method_options,
    )


def choose(request: Request) -> Chosen:
    """Chooses what a request leaves open; every choice is a value of the configuration.

    A run that is resumed or made again takes these from there and chooses nothing.

    - **Network**: the default of the image size, see `keras_efgsm.networks`.
    - **Method**: eFGSM without a re-constructor, two passes for each image; on CIFAR-10 the
      re-constructor did not pay its price (docs/cifar10.md). Its start is drawn with a third of
      epsilon, the share of the paper; on colours from a corner of the ball, and its step is
      epsilon, as `cifar10-cpu` has it: so it is too with every other method whose attack has
      these options.
    - **Re-constructor**, for a method that trains one: the default of the image size.
    - **Augmentation**: crops of images padded by an eighth of their shorter side, as 4 pixels are
      of CIFAR-10's 32; by a sixteenth where they are grey, as signs and letters fill their image.
      Colours are mirrored, greys are not: a mirrored letter is another one or none.
    - **Schedule**: from 10,000 colour images on that of the literature on CIFAR-10, SGD with
      weight decay in one cycle; else Adam along a cosine, which needs no tuning on little data.
    - **Batch**: 128 images, on less than 5,000 half of that, so that an epoch has updates enough.
    - **Epochs**: about 12,000 updates, at least 12 epochs and at most 60; robust training
      overfits sooner than ordinary training, and the overfitting stop ends it when it does.
    - **Averaging** of the weights over the last twentieth of the updates or so.
    - **Batch norm**: below 42 updates its running statistics follow the batches faster than the
      networks have it, as those that they begin with would still be in them at the end.

    Args:
        request: data and what was given.

    Raises:
        ValueError: if epsilon is not given, or the images cannot be read or are not of one size.

    Example:

    ```python
    choose(Request("digits", "automatic", {"epsilon": 0.2})).config.classifier
    ```
    """
    given = dict(request.changes)
    facts = describe_training_images(
        request.dataset,
        given.get("data_dir"),
        given.get("image_size"),
        given.get("channels"),
        given.get("seed", 0),
    )
    if given.get("epsilon") is None:
        raise ValueError(
            "Which epsilon? It is the most that an attack may change a pixel of [0, 1] by, and "
            "decides what is trained: `--epsilon 4/255` or `--epsilon 8/255` are usual for "
            "photographs, 0.1 to 0.2 for grey drawings, 0.3 for black on white. "
            f"Received: epsilon=None, dataset={request.dataset!r} with images of shape "
            f"{facts.image_shape}"
        )
    choices = _choices(facts, given)
    fields: dict[str, Any] = {"dataset": request.dataset, "reconstructor": None}
    fields |= _method_fields(facts, given)
    for choice in choices:
        fields |= choice.fields
    if "norm" in request.method_options and "norm" in find_method(fields["method"]).options:
        own = fields.get("method_options", {})
        fields["method_options"] = {**own, "norm": request.method_options["norm"]}
    base = TrainingConfig(**fields, epsilon=given["epsilon"])
    config = changed(base, given, request.method_options)
    return Chosen(config, [one for one in choices if _is_in(one, config)], facts.notes)


def describe_training_images(
    dataset: str,
    data_dir: str | None = None,
    image_size: tuple[int, int] | None = None,
    channels: int | None = None,
    seed: int = 0,
) -> TrainingImages:
    """What is known of training images before they are read.

    Args:
        dataset: as for `load_data`.
        data_dir: as there. Defaults to none.
        image_size: to which they are resized. Defaults to the size they have.
        channels: likewise. Defaults to those they have.
        seed: that test images are drawn with, where there are none. Defaults to 0.

    Raises:
        ValueError: if they cannot be read, or are not of one size and none is given.

    Example:

    ```python
    describe_training_images("digits").image_shape  # (8, 8, 1)
    ```
    """
    found = describe_source(dataset, data_dir, seed=seed)
    shape = found.image_shape(image_size, channels)
    return TrainingImages(shape, found.num_classes, found.num_images["train"], found.lines())


def _is_in(choice: Choice, config: TrainingConfig) -> bool:
    """Whether nothing that was given took its place."""
    values = dataclasses.asdict(config)
    return all(
        value.items() <= values[name].items() if isinstance(value, dict) else values[name] == value
        for name, value in choice.fields.items()
    )


def _choices(facts: TrainingImages, given: dict[str, Any]) -> list[Choice]:
    height, width, channels = facts.image_shape
    size = f"{height} x {width}, {'grey' if channels == 1 else 'colour'}"
    number = f"{facts.num_images:,} images"
    is_colour, side = channels == 3, min(height, width)
    network = default_network(facts.image_shape, facts.num_images, facts.num_classes)
    padding = side // (8 if is_colour else 16)
    is_large = is_colour and facts.num_images >= 10_000
    batch_size = given.get("batch_size") or (128 if facts.num_images >= 5_000 else 64)
    steps = -(-facts.num_images // batch_size)
    epochs = given.get("epochs") or min(max(round(12_000 / steps), 12), 60)
    updates = epochs * steps
    averaging = 0.999 if updates >= 10_000 else 0.99
    few = _for_few_updates(updates)
    return [
        Choice("network", network, size, {"classifier": network}),
        *_method(facts, given, size),
        Choice(
            "augmentation",
            f"crops {padding} px" + (", mirrored" if is_colour else ""),
            size,
            {"crop_padding": padding, "flip": is_colour},
        ),
        _schedule(is_large, number),
        Choice("batch", str(batch_size), number, {"batch_size": batch_size}),
        Choice("epochs", str(epochs), f"{updates:,} updates", {"epochs": epochs}),
        Choice(
            "averaging", f"{averaging:g}", f"{updates:,} updates",
            {"weight_averaging": averaging},
        ),
        *few,
    ]  # fmt: skip


def _for_few_updates(updates: int) -> list[Choice]:
    """Running statistics of batch norm that have forgotten what they began with at the end."""
    momentum = round(_LEFT_OF_THE_START ** (1 / updates), 2)
    if momentum >= _BATCH_NORM_MOMENTUM:
        return []
    fields = {"batch_norm_momentum": momentum}
    return [Choice("batch norm", f"{momentum:g}", f"{updates:,} updates", fields)]


def _method(facts: TrainingImages, given: dict[str, Any], size: str) -> list[Choice]:
    """The method if none is given, and the re-constructor of one that trains it."""
    fields = _method_fields(facts, given)
    chosen = []
    if not any(given.get(name) for name in ("method", "attack", "objective")):
        chosen = [Choice("method", fields["method"], "two passes an image", fields)]
    if find_method(fields["method"]).has_reconstructor:
        name = default_reconstructor(facts.image_shape, facts.num_classes)
        chosen.append(Choice("re-constructor", name, size, {"reconstructor": name}))
    return chosen


def _method_fields(facts: TrainingImages, given: dict[str, Any]) -> dict[str, Any]:
    """The method, with the start of its attack if that is drawn around the image."""
    method = given.get("method") or "efgsm"
    if given.get("attack") or given.get("objective"):
        attack, objective = parts_of_name(method)
        method = compose_name(given.get("attack") or attack, given.get("objective") or objective)
    start: dict[str, Any] = {"sigma": given["epsilon"] / 3}
    if facts.image_shape[2] == 3:
        start["first_visit"] = "corner"
    known = find_method(method).options
    options = {name: value for name, value in start.items() if name in known}
    if "first_visit" in options:  # eFGSM, for photographs
        options["step_size"] = given["epsilon"]
    return {"method": method, "method_options": options}


def _schedule(is_large: bool, number: str) -> Choice:
    if is_large:
        fields = {
            "optimizer": "sgd",
            "schedule": "one-cycle",
            "learning_rate": 0.1,
            "weight_decay": 5e-4,
            "peak_share": 0.3,
        }
        return Choice("schedule", "sgd, one cycle to 0.1", number, fields)
    fields = {"optimizer": "adam", "schedule": "cosine", "learning_rate": 2e-3}
    return Choice("schedule", "adam, cosine from 0.002", number, fields)
