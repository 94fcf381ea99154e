"""The strategy of a run, from a number of replicas or from `TF_CONFIG`."""

import json
import os
from typing import Any

from keras_efgsm.checks import check_count


def make_strategy(replicas: int = 1) -> Any:
    """Makes the `tf.distribute` strategy of this process, before TensorFlow does anything else.

    Where the environment variable `TF_CONFIG` names several workers it is a
    `MultiWorkerMirroredStrategy`, whose workers use all devices they see; with several replicas a
    `MirroredStrategy` on as many GPUs or, on a machine without, on parts of the processor.

    Args:
        replicas: devices of this process. Defaults to 1.

    Returns:
        The strategy, or None for one replica alone.

    Raises:
        ValueError: if there are not so many devices, or TensorFlow has begun to use them.

    Example:

    ```python
    strategy = make_strategy(replicas=2)
    with strategy.scope():
        trainer = AdversarialTrainer(classifier, EFGSM(epsilon=0.3))
    ```
    """
    replicas = check_count(replicas, "replicas")
    workers = count_workers()
    if workers > 1 and replicas > 1:
        raise ValueError(
            "Each of several workers uses all devices it sees: choose them with "
            f"CUDA_VISIBLE_DEVICES. Received: replicas={replicas}, {workers} workers in TF_CONFIG"
        )
    if workers == 1 and replicas == 1:
        return None
    import tensorflow as tf

    try:
        if workers > 1:
            return tf.distribute.MultiWorkerMirroredStrategy()
        gpus = tf.config.list_physical_devices("GPU")
        if gpus:
            if len(gpus) < replicas:
                raise ValueError(
                    f"There must be as many GPUs as replicas, but there are {len(gpus)}. "
                    f"Received: replicas={replicas}"
                )
            return tf.distribute.MirroredStrategy([f"GPU:{i}" for i in range(replicas)])
        processor = tf.config.list_physical_devices("CPU")[0]
        parts = [tf.config.LogicalDeviceConfiguration()] * replicas
        tf.config.set_logical_device_configuration(processor, parts)
    except RuntimeError as error:
        raise ValueError(
            "Replicas and workers must be set up before TensorFlow is used in this process "
            f"({error}). Received: replicas={replicas}"
        ) from error
    return tf.distribute.MirroredStrategy(
        [f"CPU:{i}" for i in range(replicas)],
        # The default reuses keys of another strategy in the same process.
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )


def count_workers() -> int:
    """How many workers `TF_CONFIG` names; 1 without it.

    Raises:
        ValueError: if it cannot be read.
    """
    text = os.environ.get("TF_CONFIG", "")
    if not text.strip():
        return 1
    try:
        return _count(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            'TF_CONFIG must be JSON such as {"cluster": {"worker": ["host:port", ...]}, "task": '
            f'{{"type": "worker", "index": 0}}}} ({error}). Received: TF_CONFIG={text[:300]!r}'
        ) from error


def _count(config: Any) -> int:
    """The workers of what TensorFlow would read, which says less of what is wrong."""
    cluster = config.get("cluster", {}) if isinstance(config, dict) else None
    if not isinstance(cluster, dict):
        raise ValueError("it and its cluster must be objects")
    for job, addresses in cluster.items():
        if not isinstance(addresses, list) or not all(isinstance(a, str) for a in addresses):
            raise ValueError(f"the {job} of its cluster must be a list of addresses")
    count = sum(len(cluster.get(job, ())) for job in ("chief", "worker"))
    task = config.get("task", {})
    if not isinstance(task, dict):
        raise ValueError("its task must be an object")
    if count > 1:
        job, index = task.get("type"), task.get("index")
        if not isinstance(job, str) or job not in cluster:
            raise ValueError(f"the type of its task must be one of {sorted(cluster)}")
        if isinstance(index, bool) or not isinstance(index, int):
            raise ValueError("the index of its task must be a whole number")
        if not 0 <= index < len(cluster[job]):
            raise ValueError(f"the index of its task must be below {len(cluster[job])}")
    return max(1, count)
