"""Which worker this process is."""

from typing import Any

from keras_efgsm.distribution.shard import Shard


def own_shard(strategy: Any) -> Shard:
    """The samples of this process under a strategy; all of them without one.

    Args:
        strategy: a `tf.distribute.Strategy` or None.
    """
    resolver = getattr(strategy, "cluster_resolver", None)
    if resolver is None:
        return Shard()
    cluster = resolver.cluster_spec()
    tasks = {job: cluster.num_tasks(job) for job in cluster.jobs if job in ("chief", "worker")}
    count = sum(tasks.values())
    if count <= 1:
        return Shard()
    index = resolver.task_id + (tasks.get("chief", 0) if resolver.task_type == "worker" else 0)
    return Shard(index, count)
