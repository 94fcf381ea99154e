"""The plan for an accelerator: what it carries, how it keeps its time, and what comes back."""

import dataclasses
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from accelerator import (
    carried,
    jpeg_records,
    outbox,
    partial,
    parts,
    training,
    variants,
    weights,
    wheels,
)
from accelerator.estimates import Rates
from keras_efgsm.evaluation.tally import Tally
from keras_efgsm.recipes.presets import PRESETS

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("tensorflow", "jax")),
    reason="needs both TensorFlow and JAX",
)

CLASSES = tuple("abcdefghij")
FEATURES = {
    "pythonClassName": "tensorflow_datasets.core.features.features_dict.FeaturesDict",
    "featuresDict": {
        "features": {
            "image": {
                "pythonClassName": "tensorflow_datasets.core.features.image_feature.Image",
                "image": {
                    "shape": {"dimensions": ["32", "32", "3"]},
                    "dtype": "uint8",
                    "encodingFormat": "jpeg",
                },
            },
            "label": {
                "pythonClassName": (
                    "tensorflow_datasets.core.features.class_label_feature.ClassLabel"
                ),
                "classLabel": {"numClasses": "10"},
            },
        }
    },
}


def jpeg(seed, quality=75):
    """A smooth picture that depends on the seed, as a JPEG file."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype="uint8"))
    file = io.BytesIO()
    small.resize((32, 32), Image.Resampling.BICUBIC).save(file, "JPEG", quality=quality)
    return file.getvalue()


def decoded(file):
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))


def test_headers_are_kept_once_and_files_come_back_bit_for_bit():
    files = [jpeg(seed, quality) for seed in range(20) for quality in (75, 90)]
    split = jpeg_records.split_headers(files)
    assert len(split.headers) == 2
    assert split.scans.size < sum(map(len, files)) / 2
    assert jpeg_records.join_headers(split) == files


@pytest.mark.parametrize("broken", [b"", b"GIF89a", b"\xff\xd8\xff\xd9"])
def test_a_file_of_another_kind_is_refused(broken):
    with pytest.raises(ValueError, match=r"must hold one scan.*Received: "):
        jpeg_records.split_headers([jpeg(0), broken])


def test_a_progressive_file_is_refused():
    file = io.BytesIO()
    Image.open(io.BytesIO(jpeg(0))).save(file, "JPEG", progressive=True)
    with pytest.raises(ValueError, match="must hold one scan"):
        jpeg_records.split_headers([file.getvalue()])


def write_records(path, files, labels):
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path)) as writer:
        for file, label in zip(files, labels, strict=True):
            features = {
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[file])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
                "share": tf.train.Feature(float_list=tf.train.FloatList(value=[0.5])),
            }
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())


def test_records_of_tensorflow_are_read_without_it(tmp_path):
    files, labels = [jpeg(seed) for seed in range(5)], [3, 0, 9, 300, 7]
    write_records(tmp_path / "some", files, labels)
    read, found = jpeg_records.read_jpegs([tmp_path / "some"])
    assert read == files
    assert found.tolist() == labels


def test_a_cut_record_is_refused(tmp_path):
    write_records(tmp_path / "some", [jpeg(0)], [1])
    content = (tmp_path / "some").read_bytes()
    (tmp_path / "some").write_bytes(content[:-5])
    with pytest.raises(ValueError, match=r"hold whole records.*Received: "):
        jpeg_records.read_jpegs([tmp_path / "some"])


def test_training_images_are_carried_as_their_files(tmp_path):
    files, labels = [jpeg(seed) for seed in range(30)], np.arange(30) % 10
    carried.write_train(tmp_path / "train.npz", files, labels, CLASSES)
    images, found, names = carried.read_train(tmp_path / "train.npz")
    np.testing.assert_array_equal(images, [decoded(file) for file in files])
    assert found.tolist() == labels.tolist()
    assert names == list(CLASSES)
    assert len(carried.read_train(tmp_path / "train.npz", 7)[0]) == 7


def test_test_images_are_carried_as_their_pixels(tmp_path):
    images = np.stack([decoded(jpeg(seed)) for seed in range(20)])
    # A decoder of another make, and pixels that no JPEG file has.
    images[1] = np.random.default_rng(0).integers(0, 256, images[1].shape)
    carried.write_test(tmp_path / "test.npz", images, np.arange(20) % 10)
    found, labels = carried.read_test(tmp_path / "test.npz")
    np.testing.assert_array_equal(found, images)
    assert labels.tolist() == (np.arange(20) % 10).tolist()
    assert (tmp_path / "test.npz").stat().st_size < images.nbytes


def test_other_pixels_than_those_packed_are_refused(tmp_path):
    path = tmp_path / "test.npz"
    carried.write_test(path, np.zeros((3, 32, 32, 3), "uint8"), np.arange(3))
    with np.load(path) as file:
        arrays = {**file, "sha256": "another"}
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="SHA-256"):
        carried.read_test(path)


def kernels():
    rng = np.random.default_rng(0)
    shapes = [(3, 3, 3, 8), (8,), (8,), (3, 3, 8, 8), (8,), (8, 10), (10,)]
    return [rng.normal(size=shape).astype("float32") for shape in shapes]


def test_weights_come_back_as_they_were_measured(tmp_path):
    box = outbox.Outbox(tmp_path / "out")
    stored = weights.rounded(kernels())
    assert [w.dtype for w in stored[:2]] == ["float16", "float32"]
    files = box.put_weights("seed0", stored)
    box.put("seed0/weights.json", {"files": files, "sha256": weights.digest(stored)})
    found = outbox.Returned(tmp_path / "out").weights("seed0")
    for before, after in zip(stored, found, strict=True):
        np.testing.assert_array_equal(before, after)
        assert before.dtype == after.dtype


def test_weights_are_divided_where_they_are_too_large(monkeypatch, tmp_path):
    monkeypatch.setattr(outbox, "_PART", 1500)
    box = outbox.Outbox(tmp_path / "out")
    stored = weights.rounded(kernels())
    files = box.put_weights("seed0", stored)
    assert files == ["seed0.1-of-2.npz", "seed0.2-of-2.npz"]
    box.put("seed0/weights.json", {"files": files, "sha256": weights.digest(stored)})
    assert len(outbox.Returned(tmp_path / "out").weights("seed0")) == len(stored)
    (tmp_path / "out" / files[1]).unlink()
    with pytest.raises(ValueError, match="missing"):
        outbox.Returned(tmp_path / "out").weights("seed0")


def test_weights_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="finite"):
        weights.rounded([np.array([[1.0, 1e9]], "float32")])


def test_what_comes_back_keeps_to_eight_files(tmp_path):
    box = outbox.Outbox(tmp_path / "out")
    stored = weights.rounded(kernels())
    for seed in range(7):
        box.put_weights(f"seed{seed}", stored)
    with pytest.raises(ValueError, match=r"At most 8 files.*Received: 9 files"):
        box.put_weights("seed7", stored)
    # Nor for someone else's; but what is there already may be written anew, and results always.
    with pytest.raises(ValueError, match="At most 8 files"):
        box.path("partial.npz")
    box.put_weights("seed6", stored)
    box.put("log.txt", "a line")
    assert len(box.sizes()) == 8


def test_what_comes_back_keeps_to_its_bytes(monkeypatch, tmp_path):
    monkeypatch.setattr(outbox, "MOST_BYTES", 2000)
    box = outbox.Outbox(tmp_path / "out")
    box.put("small", "some words")
    with pytest.raises(ValueError, match="below 2,000 bytes"):
        box.put("large", np.random.default_rng(0).bytes(5000))
    assert outbox.Returned(tmp_path / "out").entries == {"small": b"some words"}
    monkeypatch.setattr(outbox, "MOST_BYTES", 1 << 20)
    monkeypatch.setattr(outbox, "MOST_TOGETHER", 2000)
    with pytest.raises(ValueError, match="2,000 bytes together"):
        box.put_weights("seed0", weights.rounded(kernels()))
    assert list(box.sizes()) == ["results.zip"]


def test_a_folder_that_holds_something_is_not_written_to(tmp_path):
    (tmp_path / "mine").write_text("text")
    with pytest.raises(ValueError, match="empty folder"):
        outbox.Outbox(tmp_path)


def schedule(*made, seconds=100.0, said=None):
    return parts.Schedule(made, parts.Budget(seconds), (said if said is not None else []).append)


def part(name, seconds, run=lambda: None, needs=()):
    return parts.Part(name, lambda left: seconds, run, needs)


def test_a_part_that_does_not_fit_is_left_out_and_the_next_one_runs():
    ran = []
    plan = schedule(
        part("long", 101.0, lambda: ran.append("long")),
        part("short", 1.0, lambda: ran.append("short")),
    )
    plan.run()
    assert ran == ["short"]
    assert plan.records[0].status.startswith("left out: 101 s")
    assert plan.records[1].status == "done"


def test_a_part_that_fails_is_told_of_and_what_needs_it_is_left_out():
    def fail():
        raise MemoryError("no room")

    ran = []
    plan = schedule(
        part("train", 1.0, fail),
        part("attack", 1.0, lambda: ran.append("attack"), ["train"]),
        part("time", 1.0, lambda: ran.append("time")),
    )
    plan.run()
    assert ran == ["time"]
    assert plan.records[0].status == "failed: MemoryError: no room"
    assert plan.records[1].status == "left out: without train"
    assert "| train | 1.0 | 1.0 |" in plan.table()


def test_the_plan_is_added_up_before_anything_runs():
    plan = schedule(
        part("a", 30.0),
        part("too long", 80.0),
        parts.Part("b", lambda left: left / 2, lambda: None, note=lambda: "half"),
    )
    assert plan.planned == pytest.approx(30.0 + 35.0, abs=0.5)
    assert [record.status for record in plan.records] == ["waiting", "unlikely to fit", "waiting"]
    assert "| half | waiting |" in plan.table()


def test_a_part_that_was_unlikely_runs_if_there_is_time_after_all():
    seconds = iter([80.0, 1.0])
    plan = schedule(part("a", 50.0), parts.Part("b", lambda left: next(seconds), lambda: None))
    assert plan.records[1].status == "unlikely to fit"
    plan.run()
    assert plan.records[1].status == "done"


def test_what_was_spent_before_counts():
    budget = parts.Budget(60.0, time.perf_counter() - 50.0)
    assert budget.left == pytest.approx(10.0, abs=0.5)
    plan = parts.Schedule([part("a", 20.0)], budget, lambda line: None)
    plan.run()
    assert plan.records[0].status.startswith("left out")


@pytest.mark.parametrize(
    ("left", "epochs"),
    [
        (1000.0, 50),  # never more than the most
        (400.0, 30),  # all that is wanted after it, and more than enough
        (320.0, 30),  # 22 would leave all; so the first reserve is given up
        (265.0, 25),  # so is the second; what enough of them leaves is for others
        (220.0, 22),  # not enough with any
        (5.0, 1),
    ],
)
def test_the_epochs_fill_what_is_left_by_what_comes_after(left, epochs):
    chosen = parts.choose_epochs(left, 10.0, [100.0, 20.0, 0.0], enough=25, most=50)
    assert chosen == epochs


def test_rates_are_those_that_were_measured():
    rates = Rates(100e12, {"training": 0.1}, {"step": 10.0})
    assert rates.of("training", 20e12) == pytest.approx(2.0)
    rates.learn("training", 20e12, [1.0, 1.0, 9.0])
    rates.learn_fixed("step", 3.0)
    assert rates.of("training", 20e12) == pytest.approx(1.0)
    assert rates.fixed["step"] == 3.0
    assert rates.to_dict()["measured"] == ["step", "training"]


def test_wheels_of_another_python_are_not_unpacked():
    version = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    assert wheels.is_for_here("namex-0.1.0-py3-none-any.whl")
    assert wheels.is_for_here(f"optree-0.1-{version}-{version}-any.whl")
    assert not wheels.is_for_here("optree-0.1-cp27-cp27m-any.whl")
    assert not wheels.is_for_here(f"optree-0.1-{version}-{version}-win_other.whl")


def test_what_is_counted_in_epochs_is_so_in_proportion():
    config = dataclasses.replace(
        PRESETS["cifar10"], epochs=40, momentum_reset_epochs=13, regularizer_warmup_epochs=13.0
    )
    shorter = training.with_epochs(config, 20)
    assert (shorter.epochs, shorter.momentum_reset_epochs) == (20, 6)
    assert shorter.regularizer_warmup_epochs == 6.5
    assert training.with_epochs(config, 1).momentum_reset_epochs == 1


def test_every_variant_of_a_sweep_can_be_trained_and_differs_from_the_base():
    base = variants.sweep_base(PRESETS["cifar10"], "cifar10-resnet18")
    made = variants.make_variants(base)
    assert len(made) >= 10
    for name, config in made.items():
        assert (config == base) == (name == variants.BASE)
        assert config.classifier == "cifar10-resnet18"
        config.make_objective()
    assert list(variants.make_variants(base, ["nuat"])) == ["base", "nuat"]
    with pytest.raises(ValueError, match="Received: variants='other'"):
        variants.make_variants(base, ["other"])


def test_the_paper_method_as_a_base_loses_its_reconstructor_and_makes_the_same_steps():
    preset = PRESETS["cifar10-paper"]
    assert preset.method == "combined"
    base = variants.sweep_base(preset, "cifar10-resnet18")
    assert base.method == "efgsm"
    weight = preset.method_options["lambda"]
    assert base.learning_rate == pytest.approx(preset.learning_rate * weight)
    back = variants.make_variants(base)["reconstructor"]
    assert back.learning_rate == pytest.approx(base.learning_rate / 0.05)


@pytest.fixture
def in_jax(fresh):
    """Runs a program on JAX, with the modules of the scripts."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "scripts")])
    names = {"KERAS_BACKEND": "jax", "PYTHONPATH": path}
    return lambda code, *words: fresh.run(*words, code=code, env=names)


def test_a_late_part_is_cut_off_and_what_was_there_comes_back(in_jax, tmp_path):
    script = """
        import sys, time
        from pathlib import Path
        from accelerator.estimates import Rates
        from accelerator.outbox import Outbox
        from accelerator.parts import Budget, Part, Schedule
        from accelerator.running import REHEARSAL, Running

        running = Running(Budget(2.0), Rates(1e9), Outbox(Path(sys.argv[1])), REHEARSAL, {})
        some = lambda: running.outbox.put("seed0/metrics.json", {"natural_accuracy": 0.5})
        parts = [
            Part("some", lambda left: 0.1, some),
            Part("late", lambda left: 0.1, lambda: time.sleep(60)),
            Part("more", lambda left: 0.1, some),
        ]
        running.run(Schedule(parts, running.budget, running.say, running.record))
    """
    done = in_jax(script, tmp_path / "out")
    assert done.returncode == 3, done.stderr[-3000:]
    found = outbox.Returned(tmp_path / "out")
    statuses = [record["status"] for record in found.json("plan.json")["parts"]]
    assert statuses == ["done", "cut off: the time was over", "waiting"]
    assert found.json("seed0/metrics.json") == {"natural_accuracy": 0.5}
    assert "the time is over" in found.entries["log.txt"].decode()


@pytest.mark.slow(reason="compiles the attacks of an evaluation on JAX for batches of many sizes")
def test_filled_batches_give_the_figures_of_an_evaluation(in_jax):
    script = """
        import dataclasses
        import numpy as np
        from accelerator.attacking import Attacker
        from accelerator.estimates import Rates
        from keras_efgsm.recipes.presets import PRESETS
        from keras_efgsm.data import load_digits
        from keras_efgsm.evaluation import evaluate_robustness, make_attacks

        rates = Rates(1e9)
        attacker = Attacker(PRESETS["digits"], 10, 16, rates)
        train, data = load_digits("train"), load_digits("test").take(50)
        attacker.classifier.compile("adam", "mse")
        attacker.classifier.fit(
            train.pixels(), np.eye(10)[train.labels], batch_size=64, epochs=1, verbose=0
        )
        weights = attacker.classifier.get_weights()
        attacks = make_attacks("standard", 0.03, steps=3, targets=3, queries=20)
        usual = evaluate_robustness(
            attacker.classifier, data, attacks, cascade=True, batch_size=16, progress=False
        )
        assert usual.natural_accuracy > usual.worst_case_accuracy > 0
        for _ in range(2):  # the second time with what was compiled
            found = attacker.evaluate(weights, data, attacks, name="digits")
            np.testing.assert_array_equal(found.correct, usual.correct)
            for one, other in zip(found.attacks, usual.attacks, strict=True):
                np.testing.assert_array_equal(one.robust, other.robust)
                both = [{**a.to_dict(), "seconds": 0.0} for a in (one, other)]
                assert both[0] == both[1]
        assert attacker.is_compiled(attacks)
        assert attacker.natural_accuracy(weights, data) == usual.natural_accuracy
        assert {"gradients", "attack"} <= rates.measured
    """
    done = in_jax(script)
    assert done.returncode == 0, done.stderr[-3000:]


def test_an_evaluation_that_was_cut_off_leaves_the_figures_so_far(tmp_path):
    state = tmp_path / "seed0-standard.partial.npz"
    attacks = [["APGD", {"steps": 100}], ["TargetedAPGD", {"steps": 100}]]
    tally = Tally(state, {"attacks": attacks}, 2)
    tally.begin(np.array([True, True, True, False]), np.zeros(4, int))
    tally.robust[0, 0] = False
    tally.attack = 1
    tally.robust[1] = [False, True, False, False]
    tally.save()
    figures = json.loads(partial.partial_figures(state))
    assert figures["natural_accuracy"] == 0.75
    assert [a["robust_accuracy"] for a in figures["attacks"]] == [0.5, 0.25]
    assert figures["whole_attacks"] == 1
    state.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="must be readable"):
        partial.partial_figures(state)


# The whole chain: a prepared data set, what is carried, the command, what is installed.


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A prepared data set of the name that is packed, of made-up pictures."""
    base = tmp_path_factory.mktemp("data")
    folder = base / "cifar10_jpeg75" / "1.0.0"
    folder.mkdir(parents=True)
    counts = {"train": 520, "test": 64}
    for split, count in counts.items():
        offset = 1000 * (split == "test")
        write_records(
            folder / f"cifar10_jpeg75-{split}.tfrecord-00000-of-00001",
            [jpeg(offset + n) for n in range(count)],
            [n % 10 for n in range(count)],
        )
    info = {
        "name": "cifar10_jpeg75",
        "version": "1.0.0",
        "fileFormat": "tfrecord",
        "moduleName": "__main__",
        "splits": [
            {
                "name": split,
                "numBytes": "1",
                "shardLengths": [str(count)],
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
            }
            for split, count in counts.items()
        ],
    }
    features = json.loads(json.dumps(FEATURES))
    del info["moduleName"]
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (folder / "features.json").write_text(json.dumps(features))
    (folder / "label.labels.txt").write_text("\n".join(CLASSES) + "\n")
    return base


def command(script, *words, root=ROOT, **environment):
    return subprocess.run(
        [sys.executable, root / "scripts" / "accelerator" / script, *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        check=False,
    )


@pytest.fixture(scope="module")
def machine(data_dir, tmp_path_factory):
    """A folder that holds nothing but what is carried, and a Python without TensorFlow."""
    root = tmp_path_factory.mktemp("machine")
    packed = root / "runs" / "accelerator" / "carried"
    done = command("pack.py", "--to", packed, "--data-dir", data_dir, "--no-wheels")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "together:" in done.stdout
    hidden = shutil.ignore_patterns("__pycache__")
    for name in ("keras_efgsm", "scripts"):
        shutil.copytree(ROOT / name, root / name, ignore=hidden)
    absent = root / "absent"
    absent.mkdir()
    for name in ("tensorflow", "tensorflow_datasets", "sklearn", "matplotlib", "tf2onnx"):
        (absent / f"{name}.py").write_text("raise ImportError('it is not on the machine')\n")
    return root


def rehearse(machine, out, *words):
    done = command(
        "cifar10.py",
        # As long as a loaded machine needs; four minutes are enough for two cores of their own.
        *("--rehearse", "--minutes", 30, "--out", out, *words),
        root=machine,
        PYTHONPATH=str(machine / "absent"),
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return outbox.Returned(out)


@pytest.fixture(scope="module")
def returned(machine, tmp_path_factory):
    out = tmp_path_factory.mktemp("returned") / "out"
    return rehearse(machine, out)


@pytest.mark.slow(reason="rehearses the plan for an accelerator")
def test_a_rehearsal_leaves_every_output_of_the_real_run(returned):
    plan = returned.json("plan.json")
    assert {record["status"] for record in plan["parts"]} == {"done"}, plan["parts"]
    names = [record["name"] for record in plan["parts"]]
    assert names[:3] == ["measure a step", "train seed 0", "standard seed 0"]
    assert names[-1] == "adp seed 0"
    files = {f"seed0/{n}" for n in ("config.json", "history.csv", "metrics.json", "check.npz")}
    files |= {"seed0/standard.json", "seed0/adp.json", "seed0/weights.json", "profile.json"}
    assert files | {"log.txt", "plan.json"} == set(returned.entries)
    assert [a["name"] for a in returned.json("seed0/standard.json")["attacks"]] == [
        *("apgd-ce", "apgd-t", "fab-t", "square")
    ]
    assert returned.json("seed0/adp.json")["dataset"] == "cifar10_jpeg75/1.0.0:test"
    assert len(returned.json("profile.json")["methods"]) >= 7
    for row in returned.json("profile.json")["methods"].values():
        assert row["epoch_seconds"] > 0 and row["share_of_peak"] > 0
    sizes = {path.name: path.stat().st_size for path in returned.folder.iterdir()}
    assert len(sizes) <= 8 and max(sizes.values()) < 16 << 20


@pytest.mark.slow(reason="rehearses the plan for an accelerator")
def test_what_came_back_is_installed(returned, data_dir, tmp_path):
    words = ["--runs", tmp_path / "runs", "--results", tmp_path / "results", "--no-export"]
    done = command("install.py", returned.folder, *words, TFDS_DATA_DIR=str(data_dir))
    assert done.returncode == 0, done.stderr[-3000:]
    assert "16 test images classed alike" in done.stdout
    run = tmp_path / "runs" / "cifar10" / "seed0"
    assert {path.name for path in run.iterdir()} == {
        *("classifier.keras", "config.json", "curves.png", "evaluation.json"),
        *("history.csv", "metrics.json"),
    }
    results = tmp_path / "results" / "cifar10"
    assert (results / "profile.json").exists() and (results / "seed0" / "curves.png").exists()
    again = command("install.py", returned.folder, *words, TFDS_DATA_DIR=str(data_dir))
    assert again.returncode == 2
    assert "holds a run already" in again.stderr


@pytest.mark.slow(reason="rehearses the plan for an accelerator")
def test_another_call_goes_on_where_one_ended(returned, machine, tmp_path):
    cut = tmp_path / "cut"
    box = outbox.Outbox(cut)
    for name, content in returned.entries.items():
        if name not in ("seed0/adp.json", "plan.json", "log.txt"):
            box.put(name, content)
    for path in returned.folder.glob("seed0.*.npz"):
        shutil.copy(path, cut)
    found = rehearse(machine, tmp_path / "out", "--from", cut)
    assert [part["name"] for part in found.json("plan.json")["parts"]] == ["adp seed 0"]
    before, after = returned.json("seed0/adp.json"), found.json("seed0/adp.json")
    assert before["worst_case_accuracy"] == after["worst_case_accuracy"]
    assert found.weights("seed0") is not None


@pytest.mark.exhaustive(reason="rehearses the sweep; the plan itself is rehearsed above")
def test_a_sweep_is_rehearsed_and_installed(machine, tmp_path):
    found = rehearse(machine, tmp_path / "out", "--plan", "sweep", "--variants", "nuat")
    assert {record["status"] for record in found.json("plan.json")["parts"]} == {"done"}
    made = found.json("sweep.json")["variants"]
    assert list(made) == ["base", "nuat"]
    assert made["nuat"]["changes"] == "nuclear_weight 0 -> 4"
    assert all(0 <= row["robust_accuracy"] <= row["natural_accuracy"] for row in made.values())
    words = ["--runs", tmp_path / "runs", "--results", tmp_path / "results"]
    done = command("install.py", found.folder, *words)
    assert done.returncode == 0, done.stderr[-3000:]
    table = (tmp_path / "results" / "sweep" / "sweep.md").read_text()
    assert "| nuat | nuclear_weight 0 -> 4 |" in table


@pytest.mark.parametrize("words", [[], ["--network", "cifar10-wrn22-5"], ["--plan", "sweep"]])
def test_the_real_plan_is_estimated_to_fit_into_nine_minutes(words, tmp_path, capsys):
    path = ROOT / "scripts" / "accelerator" / "cifar10.py"
    spec = importlib.util.spec_from_file_location("accelerator_command", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.run(script.read_options(["--estimate", *words]), [], tmp_path)
    said = capsys.readouterr().out
    assert 400 < float(said.split(" s estimated of 540")[0].split()[-1]) <= 540
    assert "train seed 0" in said or "nuat" in said


def test_options_that_make_no_sense_are_refused(tmp_path):
    done = command("cifar10.py", "--out", tmp_path / "out", "--seeds", "0,one")
    assert done.returncode == 2
    assert "Received: '0,one'" in done.stderr
