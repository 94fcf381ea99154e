"""What remains of a trained run: its networks, curves and metrics."""

from collections.abc import Sequence
from typing import Any

from keras_efgsm.data import ImageData, evaluation_dataset
from keras_efgsm.networks import synchronize_batch_norm
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.records.environment import hardware, versions
from keras_efgsm.records.wording import data_name
from keras_efgsm.runs.drawing import draw_curves
from keras_efgsm.runs.ending import outcome_of, warnings_of
from keras_efgsm.runs.folder import RunFolder
from keras_efgsm.runs.recorder import RunRecorder
from keras_efgsm.trainer.adversarial_trainer import AdversarialTrainer


def save_result(
    config: TrainingConfig,
    folder: RunFolder,
    trainer: AdversarialTrainer,
    recorder: RunRecorder,
    callbacks: dict[str, Any],
    train_data: ImageData,
    test_data: ImageData,
    *,
    probe: tuple[Any, Any] | None,
    loaded: Sequence[str],
    worker: int,
) -> dict[str, Any]:
    """Worker 0 saves the networks, curves and metrics of a trained run; the metrics last.

    Args:
        config: the run's options.
        folder: where they go.
        trainer: with the weights to keep.
        recorder: of the run.
        callbacks: by name, those with a state.
        train_data: the images trained on.
        test_data: those of the natural accuracy.
        probe: held-out images and labels, or None.
        loaded: the splits that can be loaded again.
        worker: which worker this is.

    Returns:
        What `metrics.json` says.
    """
    for network in filter(None, (trainer.classifier, trainer.reconstructor)):
        # As it was set for several replicas, which no other backend knows.
        synchronize_batch_norm(network, False)
    if worker == 0:
        folder.save_model(trainer.classifier, folder.classifier)
        if trainer.reconstructor is not None:
            folder.save_model(trainer.reconstructor, folder.reconstructor)
    natural = trainer.evaluate(evaluation_dataset(test_data, 1000), verbose=0, return_dict=True)
    if worker == 0:
        draw_curves(
            recorder.rows,
            folder.curves,
            f"{data_name(config.dataset)}, epsilon {config.epsilon_in_words}",
            natural_accuracy=natural["accuracy"],
        )
    stop = callbacks["stop"].report() if "stop" in callbacks else None
    outcome = outcome_of(
        trainer, recorder.rows, stop, train_data, probe, natural["accuracy"], len(test_data)
    )
    metrics = {
        "natural_accuracy": natural["accuracy"],
        "test_images": len(test_data),
        "train_images": len(train_data),
        "epochs": len(recorder.rows),
        "training_seconds": round(recorder.seconds, 1),
        "stop": stop,
        "warnings": warnings_of(config, outcome),
        "parameters": {
            "classifier": trainer.classifier.count_params(),
            "reconstructor": trainer.reconstructor.count_params() if trainer.reconstructor else 0,
        },
        "momentum_bytes": trainer.momentum.nbytes if trainer.momentum else 0,
        "class_names": list(train_data.class_names),
        # Of what can be loaded again, by which an evaluation tells whether it changed.
        "data": {split: recorder.data[split].to_dict() for split in loaded},
        "versions": versions(),
        "hardware": hardware(),
        "seed": config.seed,
    }
    if recorder.facts["shards"] > 1:
        metrics |= recorder.facts
    if worker == 0:
        folder.write_metrics(metrics)
    return metrics
