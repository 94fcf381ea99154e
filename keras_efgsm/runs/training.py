"""A whole training run from a configuration to a run folder."""

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_efgsm.backend import enable_determinism
from keras_efgsm.callbacks import (
    AdversarialTensorBoard,
    MarginWarning,
    TimeLeft,
    require_tensorboard,
)
from keras_efgsm.checks import check_count, check_number
from keras_efgsm.data import (
    ImageData,
    steps_per_epoch,
)
from keras_efgsm.data.choosing import missing_note
from keras_efgsm.distribution.agreement import Agreement
from keras_efgsm.distribution.limits import check_run
from keras_efgsm.keras_settings import check_keras_settings
from keras_efgsm.networks.dtype_policies import AUTOMATIC, DTYPE_POLICIES
from keras_efgsm.recipes.building import (
    build_trainer,
    hold_out_probe,
    load_training_data,
    momentum_callbacks,
    stateful_callbacks,
    with_dtype_policy,
)
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.runs.folder import RunFolder
from keras_efgsm.runs.interruption import RESUME, Interruption
from keras_efgsm.runs.recorder import RunRecorder
from keras_efgsm.runs.result import TrainingResult
from keras_efgsm.runs.resumed_epoch import ResumedEpoch
from keras_efgsm.runs.same_data import (
    check_data_fit,
    check_workers_agree,
    untrained_note,
)
from keras_efgsm.runs.saving import save_result
from keras_efgsm.runs.start import Start, dataset_from, restore
from keras_efgsm.runs.worker_folders import prepare_folders

# Whose margins TensorBoard shows where no images are held out.
_SHOWN_IMAGES = 256


def train(
    config: TrainingConfig,
    out: str | Path,
    *,
    resume: bool = False,
    train_data: ImageData | None = None,
    test_data: ImageData | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    tensorboard: str | Path | None = None,
    checkpoint_minutes: float = 10.0,
    deterministic: bool = False,
    strategy: Any = None,
    shards: int | None = None,
    verbose: str | int = "auto",
) -> TrainingResult:
    """Trains a classifier and writes a run folder that `resume=True` continues exactly.

    Checkpoints are written after every epoch and every `checkpoint_minutes`. A run that ended in
    any way, killed even, is continued from the last of them and gives what it would have given
    without a break: the same bits, if the machine is the same and both are `deterministic`.

    Ctrl-C, SIGTERM and SIGHUP write a checkpoint after the running step and raise
    `KeyboardInterrupt`; a second one does at once. The folder is locked until the run has ended.

    Args:
        config: the run's options, such as `PRESETS["mnist"]`.
        out: the run's folder; new or empty unless resumed.
        resume: whether to continue the run in `out` from its last checkpoint. Defaults to
            `False`.
        train_data: training images. Defaults to the train split of `config.dataset`.
        test_data: images for the natural accuracy. Defaults to its test split.
        callbacks: more Keras callbacks, called after the run's own and before the checkpoint is
            written. Their own state is not part of it. In a run that is resumed within an epoch
            they hear `on_epoch_begin` of that epoch, and then of the batches that are left.
            Defaults to none.
        tensorboard: folder for TensorBoard's logs, see `AdversarialTensorBoard`; the images shown
            are those of the probe, else some of the training. Defaults to none.
        checkpoint_minutes: minutes after which a checkpoint is written within an epoch; 0 for
            after every step. Defaults to `10.0`.
        deterministic: whether all operations give the same bits each time, for this process from
            now on; some are slower. Defaults to `False`.
        strategy: a `tf.distribute` strategy with several replicas, see `make_strategy`. Each of
            several workers calls `train` with the same arguments; worker 0 writes the run folder,
            and each writes a checkpoint with its part of the momentum, worker k in `worker-k` of
            the folder, which need not be on a shared disk. Defaults to one device.
        shards: parts of the data that are shuffled each by itself, of which every batch takes as
            many images, see `training_dataset`; part of what a run depends on. Defaults to the
            number of workers.
        verbose: as in `keras.Model.fit`. Defaults to `"auto"`.

    Raises:
        ValueError: if the data, the folder or the checkpoint are not as they must be, another
            process trains into the folder, or the training diverges.
        PermissionError: if the folder cannot be written.
        OSError: if the disk is full; the run can be resumed when there is room.
        KeyboardInterrupt: after Ctrl-C, SIGTERM or SIGHUP.
        ImportError: if `tensorboard` is asked for and its package is missing.

    Example:

    ```python
    config = dataclasses.replace(PRESETS["digits"], epochs=1, train_images=400)
    result = train(config, "runs/digits")
    result.metrics["natural_accuracy"]
    ```
    """
    with contextlib.ExitStack() as held:
        return _train(
            held,
            config,
            out,
            resume=resume,
            train_data=train_data,
            test_data=test_data,
            callbacks=callbacks,
            tensorboard=tensorboard,
            checkpoint_minutes=checkpoint_minutes,
            deterministic=deterministic,
            strategy=strategy,
            shards=shards,
            verbose=verbose,
        )


def _train(
    held: contextlib.ExitStack,
    config: TrainingConfig,
    out: str | Path,
    *,
    resume: bool,
    train_data: ImageData | None,
    test_data: ImageData | None,
    callbacks: Sequence[keras.callbacks.Callback],
    tensorboard: str | Path | None,
    checkpoint_minutes: float,
    deterministic: bool,
    strategy: Any,
    shards: int | None,
    verbose: str | int,
) -> TrainingResult:
    """As `train`; `held` takes the lock of the run folder."""
    check_keras_settings()
    agreement = Agreement(strategy)
    worker = agreement.shard.index
    shards = agreement.workers if shards is None else check_count(shards, "shards")
    check_run(config, strategy, shards)
    folder = RunFolder(Path(out) / f"worker-{worker}" if worker else out)
    if worker:
        verbose, tensorboard = 0, None
    check_number(checkpoint_minutes, "checkpoint_minutes", minimum=0.0)
    if not resume:
        folder.check(config, resume)  # before the images are read, which may take minutes
    if tensorboard is not None:
        require_tensorboard()
    loaded = [s for s, d in (("train", train_data), ("test", test_data)) if d is None]
    if train_data is None:
        train_data = load_training_data(config, "train")
    if test_data is None:
        test_data = load_training_data(config, "test")
    check_data_fit(train_data, test_data)
    described = {"train": train_data.record(), "test": test_data.record()}
    check_workers_agree(described, agreement)
    if deterministic:
        enable_determinism()
    config = _decided(config, folder, resume, train_data, agreement)
    keras.utils.set_random_seed(config.seed)
    everything = train_data
    train_data, probe = hold_out_probe(config, train_data)
    if verbose != 0:
        _warn_of_classes(everything, train_data, test_data)
    del everything  # whose memory the training may need
    with contextlib.nullcontext() if strategy is None else strategy.scope():
        trainer = build_trainer(config, train_data)
        if strategy is not None:
            # A checkpoint is put into its variables out of the scope.
            trainer.optimizer.build(trainer.trainable_variables)
    stateful = stateful_callbacks(config, probe)
    prepare_folders(folder, config, resume, agreement, held)
    interruption = Interruption()
    recorder = RunRecorder(
        folder,
        stateful,
        checkpoint_minutes=checkpoint_minutes,
        interruption=interruption,
        agreement=agreement,
        facts={"shards": shards, "workers": agreement.workers},
        data=described,
    )
    steps = steps_per_epoch(train_data, config.batch_size)
    start = Start()
    if resume:
        start = restore(folder, trainer, stateful, recorder, config.epochs, steps, agreement)
    # A run that was stopped has no epochs left; its callbacks still put their weights back.
    epochs = start.epoch if start.stopped else config.epochs
    watching = [
        TimeLeft([row["seconds"] for row in recorder.rows], may_end_sooner=config.overfitting_stop),
        MarginWarning(history=recorder.rows),
    ]
    if tensorboard is not None:
        # Evenly spaced, as a folder's images are sorted by class.
        some = np.linspace(0, len(train_data) - 1, min(_SHOWN_IMAGES, len(train_data)), dtype=int)
        images = probe or (train_data.pixels(some), train_data.labels[some])
        watching.append(AdversarialTensorBoard(tensorboard, images=images))
    called = [*stateful.values(), *momentum_callbacks(config), *watching, *callbacks, recorder]
    if start.step:
        called = ResumedEpoch(
            start.step,
            called,
            trainer=trainer,
            verbose=verbose,
            epochs=epochs,
            steps_per_epoch=steps,
        )
    with interruption:
        trainer.fit(
            dataset_from(config, train_data, start, strategy, shards),
            epochs=epochs,
            initial_epoch=start.epoch,
            steps_per_epoch=steps,
            callbacks=called,
            shuffle=False,
            verbose=verbose,
        )
    if interruption.requested:
        raise KeyboardInterrupt(f"saved after the last epoch; {RESUME}")
    finished = start.epoch == epochs and folder.is_finished(trainer.reconstructor is not None)
    # Worker 0 has the files that tell.
    if agreement.any([finished])[0]:
        return TrainingResult(trainer, {} if worker else folder.read_metrics(), folder)
    with folder.writing():
        metrics = save_result(
            config,
            folder,
            trainer,
            recorder,
            stateful,
            train_data,
            test_data,
            probe=probe,
            loaded=loaded,
            worker=worker,
        )
        if verbose != 0:
            for sentence in metrics["warnings"]:
                print(f"warning: {sentence}", flush=True)
        if agreement.workers > 1:
            # No worker leaves while another may still need it.
            agreement.gather([1])
    return TrainingResult(trainer, metrics, folder)


def _decided(
    config: TrainingConfig,
    folder: RunFolder,
    resume: bool,
    data: ImageData,
    agreement: Agreement,
) -> TrainingConfig:
    """The configuration with the precision of the run: its own where it is resumed."""
    if config.dtype_policy != AUTOMATIC:
        return config
    if resume and folder.config.exists():
        return dataclasses.replace(config, dtype_policy=folder.read_config().dtype_policy)
    # Before seconds are spent on a choice that nothing can hold; of the others `prepare_folders`
    # speaks for all workers.
    if agreement.workers == 1:
        folder.check(config, resume)
    config, said = with_dtype_policy(config, data)
    # What worker 0 measured holds for all.
    chosen = agreement.gather([DTYPE_POLICIES.index(config.dtype_policy)])[0, 0]
    print(said)
    return dataclasses.replace(config, dtype_policy=DTYPE_POLICIES[int(chosen)])


def _warn_of_classes(everything: ImageData, trained: ImageData, test: ImageData) -> None:
    """Says which classes are not trained on, as `train_images` are too few or there are none."""
    classes = np.unique(everything.labels)
    missing = [int(label) for label in np.setdiff1d(classes, trained.labels)]
    names, option = everything.class_names, "--train-images"
    for note in (
        missing_note(missing, names, len(trained), len(classes), option),
        untrained_note(everything, test),
    ):
        if note:
            print(f"warning: {note}", flush=True)
