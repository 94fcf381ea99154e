"""Where a run begins or goes on: the newest checkpoint put in place, the batches from there."""

from typing import Any, NamedTuple

import keras

from keras_efgsm.data import ImageData, training_dataset
from keras_efgsm.distribution.agreement import Agreement
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.runs.common_checkpoint import read_common_checkpoint
from keras_efgsm.runs.folder import RunFolder
from keras_efgsm.runs.recorder import RunRecorder
from keras_efgsm.runs.same_data import check_same_data
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer


class Start(NamedTuple):
    """Where a run begins: after `step` steps of the epoch numbered `epoch` from 0."""

    epoch: int = 0
    step: int = 0
    stopped: bool = False


def dataset_from(
    config: TrainingConfig, data: ImageData, start: Start, strategy: Any, shards: int
) -> Any:
    """The batches of a training from where it begins.

    Args:
        config: the run's options.
        data: the training images.
        start: where it begins.
        strategy: a `tf.distribute` strategy, or None.
        shards: parts that are shuffled each by itself.
    """
    options = {
        "seed": config.seed,
        "initial_epoch": start.epoch,
        "initial_step": start.step,
    }
    if strategy is None and shards == 1:
        return training_dataset(data, config.batch_size, **options)
    from keras_efgsm.data.distributed import distributed_training_dataset

    return distributed_training_dataset(strategy, data, config.batch_size, shards=shards, **options)


def restore(
    folder: RunFolder,
    trainer: AdversarialTrainer,
    callbacks: dict[str, Any],
    recorder: RunRecorder,
    epochs: int,
    steps: int,
    agreement: Agreement,
) -> Start:
    """Puts the newest good checkpoint in place.

    Args:
        folder: the run's.
        trainer: whose variables it goes into.
        callbacks: by name, those with a state.
        recorder: of the run, which goes on from it.
        epochs: how many the run has.
        steps: how many an epoch has.
        agreement: of the workers.

    Returns:
        Where the run goes on; at its beginning if there is no checkpoint yet.

    Raises:
        ValueError: if the run is finished without one, or it is of another data set, backend or
            number of workers.
    """
    checkpoint = read_common_checkpoint(recorder.checkpoints, agreement)
    if checkpoint is None:
        if folder.metrics.exists():
            raise ValueError(
                "The run is finished, but its checkpoints are gone, so that there is nothing to "
                f"resume; train anew in another folder. Received: out={str(folder.path)!r}"
            )
        print("no checkpoint was written yet; starting from the beginning")
        return Start()
    check_same_data(checkpoint.meta.get("data"), recorder.data, checkpoint.path.name)
    trainer.make_momentum(verbose=False)
    if checkpoint.meta.get("steps", steps) != steps:
        raise ValueError(
            f"The checkpoint must be of the same data set: it has {checkpoint.meta['steps']} steps "
            f"an epoch, these data have {steps}. Received: checkpoint={checkpoint.path.name}"
        )
    for name, value in recorder.facts.items():
        stored = checkpoint.meta.get(name, 1)
        if stored != value:
            raise ValueError(
                f"The checkpoint must be of a run with as many {name}: {stored} "
                f"there, {value} now. Received: checkpoint={checkpoint.path.name}"
            )
    # Checkpoints of earlier versions, which had one backend, do not name it.
    backend = checkpoint.meta.get("backend", "tensorflow")
    if backend != keras.backend.backend():
        raise ValueError(
            "A run must be resumed on the Keras backend that it was begun on, as the order of the "
            f"images is another one on each: set KERAS_BACKEND={backend}. Received: "
            f"keras.backend.backend()={keras.backend.backend()!r}, "
            f"checkpoint={checkpoint.path.name}"
        )
    checkpoint.restore(trainer, callbacks)
    recorder.resume_from(checkpoint)
    start = Start(*(checkpoint.meta[name] for name in Start._fields))
    within = f", step {start.step} of {steps} of the next" if start.step else ""
    print(f"resuming after epoch {start.epoch} of {epochs}{within}")
    recorder.update_files(epochs)
    return start
