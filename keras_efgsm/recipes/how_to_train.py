"""The fields of a configuration that say how it is trained, from optimiser to warm-ups."""

import dataclasses
from typing import Any

from keras_efgsm.recipes.option import count, number, one_of, option, text

OPTIMIZERS = ("adam", "sgd")
SCHEDULES = ("cosine", "one-cycle", "piecewise")

_STORAGE_DTYPES = one_of("keras_efgsm.sample_memory.momentum:STORAGE_DTYPES")
_STORAGES = one_of("keras_efgsm.sample_memory.momentum:STORAGES")


def _policy(value: Any, name: str) -> Any:
    from keras_efgsm.networks import AUTOMATIC, DTYPE_POLICIES

    return one_of(*DTYPE_POLICIES, AUTOMATIC)(value, name)


@dataclasses.dataclass(frozen=True, kw_only=True)
class HowToTrain:
    """Optimisation, memory, machine, warm-ups: a part of `TrainingConfig`, which describes them."""

    momentum_dtype: str = option(
        "memory", "storage of the momentum: int8, float16 or float32", "int8", check=_STORAGE_DTYPES
    )
    momentum_storage: str = option(
        "memory",
        "where the momentum is: memory, or disk if it does not fit",
        "memory",
        check=_STORAGES,
        place=True,
    )
    momentum_directory: str | None = option(
        "memory",
        "folder of the momentum on disk; None for /var/tmp",
        None,
        check=text("the path of a folder as text, or None"),
        metavar="FOLDER",
        place=True,
    )
    epochs: int = option("optimisation", "passes over the training data", 30, check=count())
    batch_size: int = option("optimisation", "images per step", 128, check=count())
    optimizer: str = option(
        "optimisation", "adam, or sgd with Nesterov momentum", "adam", check=one_of(*OPTIMIZERS)
    )
    optimizer_momentum: float = option(
        "optimisation", "momentum of sgd", 0.9, check=number(0.0, 0.9999)
    )
    weight_decay: float = option(
        "optimisation",
        "of all trainable weights: with sgd L2 regularisation, what 5e-4 in the literature on "
        "CIFAR means, see `L2SGD`; with adam decoupled, as in AdamW",
        0.0,
        check=number(0.0),
    )
    learning_rate: float = option(
        "optimisation", "peak of the schedule", 2e-3, check=number(0.0, strict=True)
    )
    schedule: str = option(
        "optimisation",
        "of the learning rate: cosine, to zero; one-cycle, linearly up and down; piecewise, a "
        "tenth after half of the training and a hundredth after three quarters",
        "cosine",
        check=one_of(*SCHEDULES),
    )
    warmup_epochs: float = option(
        "optimisation",
        "linear rise of the learning rate from zero before the cosine",
        0.5,
        check=number(0.0),
    )
    peak_share: float = option(
        "optimisation",
        "share of the training after which one-cycle is at its peak",
        0.4,
        check=number(0.0, 1.0),
    )
    align_momentum: bool = option(
        "memory",
        "the momentum is seen through the same crop and flip as its image; off is for comparison",
        True,
    )
    momentum_reset_epochs: int = option(
        "memory",
        "epochs after which the momentum is set to zero, again and again; 0 for never",
        0,
        check=count(0),
    )
    weight_averaging: float = option(
        "optimisation",
        "momentum of the running average of the weights; 0 for none",
        0.999,
        check=number(0.0, 0.99999),
    )
    batch_norm_momentum: float | None = option(
        "optimisation",
        "weight of the past in the running statistics of batch norm, low where there are few "
        "updates; None for that of the networks",
        None,
        check=number(0.0, 0.9999),
    )
    overfitting_stop: bool = option(
        "optimisation", "end the training when it overfits to its own attack", True
    )
    keep_best: bool = option(
        "optimisation",
        "keep the weights of the epoch with the best probe; else those of the last, unless the "
        "probe ended well below its best",
        False,
    )
    probe_images: int = option(
        "optimisation",
        "training images, at most a tenth, held out for the PGD probe that confirms the stop; 0 to "
        "stop by the margins alone",
        256,
        check=count(0),
    )
    dtype_policy: str = option(
        "machine",
        "what the networks compute in: float32, mixed_bfloat16 or mixed_float16; auto is measured "
        "once, before the training",
        "float32",
        check=_policy,
    )
    seed: int = option("machine", "of weights, order and noise", 0, check=count(0, 2**32 - 1))
    attack_in_training_mode: bool = option(
        "method",
        "the attack sees batch norm as the update does, by the statistics of the batch; off for "
        "evaluation mode",
        True,
    )
    epsilon_warmup_epochs: float = option(
        "method", "linear rise of epsilon from zero", 0.0, check=number(0.0)
    )
    regularizer_warmup_epochs: float = option(
        "method",
        "linear rise of the weight of the objective's regulariser, of consistency say, from zero",
        0.0,
        check=number(0.0),
    )
    epsilon_factor: float = option(
        "method",
        "radius of the ball that the training attacks in, over epsilon; a little more than 1 makes "
        "up for what one step does not find",
        1.0,
        check=number(0.0, strict=True),
    )
