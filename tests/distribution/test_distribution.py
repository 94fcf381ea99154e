"""Several replicas and several workers train as one device does."""

import json
import os
import signal
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from keras_efgsm import EFGSM, AdversarialTrainer
from keras_efgsm.data import load_digits, training_dataset
from keras_efgsm.distribution.agreement import Agreement
from keras_efgsm.distribution.launcher import launch
from keras_efgsm.distribution.shard import Shard
from keras_efgsm.distribution.strategies import make_strategy
from keras_efgsm.runs.checkpoint_pair import CheckpointPair
from keras_efgsm.runs.common_checkpoint import read_common_checkpoint

CASES = Path(__file__).parents[1] / "support" / "distribution_cases.py"
REPLICAS = pytest.mark.slow(reason="traces eight trainings for one device and for two")
# Sums in another order; a step of training is 1e-2 and more.
ROUNDING = 5e-6


def command(*words: str) -> list[str]:
    return [sys.executable, str(CASES), *words]


@pytest.fixture(scope="module")
def replicas(fresh) -> dict:
    done = fresh.run(CASES, "replicas")
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@REPLICAS
@pytest.mark.parametrize(
    "case",
    ["combined", "empty replica", "batch norm", "free", "yopo", "warm-up", "consistency"],
)
def test_two_replicas_train_as_one_device_does(replicas, case):
    assert replicas[case]["momentum"] == 0.0
    assert replicas[case]["weights"] < ROUNDING
    assert replicas[case]["metrics"] < ROUNDING


@REPLICAS
def test_replicas_refuse_the_one_memory_that_all_samples_share(replicas):
    assert "one momentum that all samples share" in replicas["refused"]
    assert replicas["refused"].endswith("Received: attack='efgsm', 2 replicas")


@REPLICAS
def test_replicas_refuse_an_attack_whose_mean_is_that_of_the_batch(replicas):
    assert "a mean over the batch" in replicas["coupled"]
    assert replicas["coupled"].endswith("Received: attack=PriorFGSM")


@REPLICAS
def test_replicas_stop_together_before_a_batch_that_is_bad_for_one_of_them(replicas):
    found = replicas["bad batch"]
    assert found["said"].startswith("Batch 2 of epoch 1 was refused, and the weights are those")
    assert found["said"].endswith("Received: x.min()=nan, x.max()=nan")
    assert found["updates"] == [1, 1]
    assert found["weights"] == found["momentum"] == 0.0


@pytest.fixture(scope="module")
def single(tmp_path_factory, fresh) -> dict:
    folder = tmp_path_factory.mktemp("single")
    done = fresh.run(CASES, "train", folder / "run", folder / "saved")
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(np.load(folder / "saved-0.npz"))


@pytest.fixture(scope="module")
def workers(tmp_path_factory) -> list[dict]:
    folder = tmp_path_factory.mktemp("workers")
    found = saved(folder)
    assert (folder / "run" / "classifier.keras").exists()
    assert not (folder / "run" / "worker-1" / "classifier.keras").exists()
    return found


def saved(folder: Path, *words: str, restarts: int = 0) -> list[dict]:
    """What each of two workers ends with."""
    run = command("train", str(folder / "run"), str(folder / "saved"), *words)
    assert not launch(run, 2, restarts=restarts, more_on_restart=lambda: ["--resume"])
    return [dict(np.load(folder / f"saved-{worker}.npz")) for worker in range(2)]


def weights(state: dict) -> list[np.ndarray]:
    return [value for name, value in state.items() if name.startswith("arr_")]


@pytest.mark.slow(reason="trains with two workers and without")
def test_two_workers_train_as_one_device_does_and_hold_half_of_the_momentum_each(single, workers):
    together = np.zeros_like(single["momentum"])
    for index, state in enumerate(workers):
        assert len(state["momentum"]) == Shard(index, 2).size(len(together))
        together[index::2] = state["momentum"]
        for one, other in zip(weights(single), weights(state), strict=True):
            np.testing.assert_allclose(one, other, atol=ROUNDING)
        np.testing.assert_allclose(single["metrics"], state["metrics"], atol=ROUNDING)
    assert (together != single["momentum"]).mean() == 0.0


@pytest.mark.slow(reason="trains with two workers, one of which is killed")
def test_workers_of_which_one_was_killed_go_on_and_end_with_the_same_bits(workers, tmp_path):
    again = saved(tmp_path, "kill=8", restarts=1)
    for state, other in zip(workers, again, strict=True):
        for one, two in zip(weights(state), weights(other), strict=True):
            np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(state["momentum"], other["momentum"])


def ids_of_epoch(**options) -> list[np.ndarray]:
    data = load_digits("train").take(101)
    batches = training_dataset(data, 32, seed=3, initial_epoch=1, **options).take(4)
    return [inputs["id"].numpy() for inputs, _ in batches]


def test_the_batches_of_the_shards_make_up_those_of_a_process_that_has_all():
    for batch, *parts in zip(
        ids_of_epoch(shards=2),
        ids_of_epoch(shards=2, shard=0),
        ids_of_epoch(shards=2, shard=1),
        strict=True,
    ):
        np.testing.assert_array_equal(batch, np.concatenate(parts))
        assert all((part % 2 == index).all() for index, part in enumerate(parts))
    assert sorted(np.concatenate(ids_of_epoch(shards=2))) == list(range(101))


def test_every_sample_has_a_row_of_its_own_in_one_shard():
    shards = [Shard(index, 3) for index in range(3)]
    ids = np.arange(10)
    for shard in shards:
        own = ids[shard.owned(ids)]
        assert sorted(shard.rows(own)) == list(range(shard.size(10)))
    assert sum(shard.size(10) for shard in shards) == 10


class OtherWorker(Agreement):
    """This worker's numbers and those of another."""

    workers = 2

    def __init__(self, positions):
        super().__init__()
        self._other = [number for position in positions for number in position]

    def gather(self, values):
        return np.array([values, self._other])


@pytest.fixture
def pair(tmp_path) -> tuple[CheckpointPair, AdversarialTrainer]:
    from keras_efgsm.networks import CLASSIFIERS

    trainer = AdversarialTrainer(
        CLASSIFIERS["digits"]((8, 8, 1), 10), EFGSM(epsilon=0.2), num_samples=4
    )
    trainer.compile("adam")
    trainer.optimizer.build(trainer.trainable_variables)
    trainer.make_momentum(verbose=False)
    pair = CheckpointPair(tmp_path / "new.npz", tmp_path / "old.npz")
    for epoch in (1, 2):
        pair.write(trainer, meta={"epoch": epoch, "step": 0}, callbacks={})
    return pair, trainer


def test_workers_go_on_from_the_newest_checkpoint_that_all_have(pair):
    pair, trainer = pair
    checkpoint = read_common_checkpoint(pair, OtherWorker([(1, 0), (0, 7)]))
    assert checkpoint.meta["epoch"] == 1
    # The common one must outlive the next write: a kill may keep the other worker from it.
    pair.write(trainer, meta={"epoch": 2, "step": 0}, callbacks={})
    assert [c.meta["epoch"] for c in pair.read_all()] == [2, 1]


def test_workers_without_a_common_checkpoint_are_refused(pair):
    with pytest.raises(ValueError, match=r"common step.*worker 1: \[\(4, 0\), \(5, 0\)\]"):
        read_common_checkpoint(pair[0], OtherWorker([(5, 0), (4, 0)]))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "TF_CONFIG must be JSON"),
        ('{"cluster": 3}', "TF_CONFIG must be JSON"),
        ("[]", "it and its cluster must be objects"),
        ("[" * 100_000, "TF_CONFIG must be JSON"),
        ('{"cluster": {"worker": "a:1"}}', "must be a list of addresses"),
        ('{"cluster": {"worker": ["a:1", 2]}}', "must be a list of addresses"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": 5}', "its task must be an object"),
        ('{"cluster": {"worker": ["a:1"]}, "task": [1]}', "its task must be an object"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}}', "the type of its task"),
        (
            '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "boss", "index": 0}}',
            "the type of its task",
        ),
        (
            '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
            "must be below 2",
        ),
        (
            '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": "0"}}',
            "must be a whole number",
        ),
    ],
)
def test_a_tf_config_that_cannot_be_read_is_refused(monkeypatch, config, message):
    monkeypatch.setitem(os.environ, "TF_CONFIG", config)
    with pytest.raises(ValueError, match=message):
        make_strategy()


def test_a_batch_that_the_shards_cannot_divide_is_refused():
    with pytest.raises(ValueError, match=r"multiple of their number, 3\. Received: batch_size=32"):
        training_dataset(load_digits("train"), 32, seed=0, shards=3)


def test_the_launcher_tells_how_a_worker_ended():
    assert launch([sys.executable, "-c", "import sys; sys.exit(2)"], 2, restarts=3) == 2
    killed = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    assert launch(killed, 2) == 137


def test_a_launcher_that_is_terminated_ends_its_workers_and_waits_for_them(fresh, tmp_path):
    worker = """
        import pathlib, signal, sys, time
        folder = pathlib.Path(sys.argv[1])
        def end(*_):
            time.sleep(0.5)  # as one that saves
            (folder / f"saved-{time.monotonic_ns()}").touch()
            sys.exit(130)
        signal.signal(signal.SIGTERM, end)
        (folder / f"ready-{time.monotonic_ns()}").touch()
        time.sleep(60)
    """
    script = f"""
        import sys
        from keras_efgsm.distribution.launcher import launch
        sys.exit(launch([sys.executable, "-c", {textwrap.dedent(worker)!r}, sys.argv[1]], 2))
    """
    process = fresh.start(tmp_path, code=script)
    while len(list(tmp_path.glob("ready-*"))) < 2:
        assert process.processor_seconds() is not None, process.wait().stderr
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait().returncode == 130
    assert len(list(tmp_path.glob("saved-*"))) == 2
