import tracemalloc

import keras
import numpy as np
import pytest

from keras_efgsm.evaluation import EvaluatedModel, evaluate_robustness
from keras_efgsm.evaluation.image_set import check_data
from keras_efgsm.evaluation.streams import is_stream
from support.channels import EPSILON, LABELS, PIXELS, Raise, channel_classifier

pytestmark = pytest.mark.usefixtures("uncompiled")

MODEL = EvaluatedModel(lambda x: x, (2, 2, 3), 3, "channels")


class Batches(keras.utils.PyDataset):
    def __init__(self, endless=False):
        super().__init__()
        self.endless = endless

    @property
    def num_batches(self):
        return None if self.endless else 2

    def __getitem__(self, index):
        part = slice(4 * (index % 2), 4 * (index % 2) + 4)
        return PIXELS[part], LABELS[part]


def in_batches(size=4):
    for start in range(0, len(PIXELS), size):
        yield PIXELS[start : start + size], np.eye(3)[LABELS[start : start + size]]


def tf_data():
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((PIXELS, LABELS))


STREAMS = {
    "tf.data": lambda: tf_data().batch(4),
    "PyDataset": Batches,
    "list": lambda: list(in_batches(2)),
    "generator": in_batches,
}


@pytest.mark.parametrize("kind", STREAMS)
def test_batches_hold_the_same_images_as_arrays(kind):
    num_images = len(PIXELS) if kind == "generator" else None
    images = check_data(STREAMS[kind](), MODEL, num_images)
    arrays = check_data((PIXELS, LABELS), MODEL, None)
    assert images.labels.tolist() == LABELS.tolist() and images.labels.dtype == "int32"
    chosen = np.array([5, 0, 3, 3])
    assert (images.pixels(chosen) == PIXELS[chosen]).all()
    assert images.contents() == arrays.contents() == images.digest()
    assert images.selection == "first" and images.missing == ""


def test_the_first_images_are_taken_and_the_rest_is_not_asked_for():
    asked = []

    def endless():
        while True:
            asked.append(len(asked))
            yield PIXELS[:2], LABELS[:2]

    images = check_data(endless(), MODEL, 3)
    assert len(images.labels) == 3 and asked == [0, 1]
    assert "2 of 3 classes have no image among the 3: 1, 2" in images.missing
    assert len(check_data(tf_data().repeat().batch(4), MODEL, 10).labels) == 10
    assert len(check_data(Batches(endless=True), MODEL, 10).labels) == 10
    # As a diagnosis asks, for which fewer will do.
    assert len(check_data(in_batches(), MODEL, 99, or_all=True).labels) == len(PIXELS)


@pytest.mark.parametrize(
    "make",
    [in_batches, lambda: tf_data().repeat().batch(4), lambda: Batches(endless=True)],
    ids=["generator", "tf.data", "PyDataset"],
)
def test_what_may_have_no_end_needs_a_number_of_images(make):
    with pytest.raises(ValueError, match=r"may have no end\. Received: num_images=None"):
        check_data(make(), MODEL, None)


def nan(x):
    x = x.copy()
    x[0, 0, 0, 0] = np.nan
    return x


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ((nan(PIXELS), LABELS), "Batch 1 of `data`, counted from 0: `x` must be finite"),
        ((PIXELS * 255, LABELS), "divide 0..255 pixels by 255"),
        ((np.uint8(PIXELS), LABELS), "must be floating-point pixels"),
        ((PIXELS, LABELS + 1), r"`y` must lie in \[0, 3\)"),
        ((PIXELS, LABELS[1:]), r"`y` must have shape \(6,\)"),
        ((PIXELS[:, :1], LABELS), r"shape \(2, 2, 3\)\. Received: batch 1 with x.shape"),
        ((PIXELS[0], LABELS[0]), r"not single ones.*dataset.batch\(250\)"),
        ((PIXELS, LABELS, np.ones(6)), r"without weights.*batch 1=tuple of 3"),
        ({"image": PIXELS}, r"pairs \(x, y\).*batch 1=dict"),
    ],
)
def test_a_wrong_batch_is_refused_with_its_number(second, message):
    with pytest.raises(ValueError, match=message):
        check_data([(PIXELS, LABELS), second, (PIXELS, LABELS)], MODEL, None)


def test_too_few_images_and_no_batch_are_refused():
    with pytest.raises(ValueError, match="must be at most 6.*Received: num_images=7"):
        check_data(in_batches(), MODEL, 7)
    with pytest.raises(ValueError, match="a batch of images or more. Received: data=list of 0"):
        check_data([], MODEL, None)


def test_pairs_and_texts_are_no_streams():
    assert not any(is_stream(data) for data in ((PIXELS, LABELS), [PIXELS, LABELS], "mnist", {}))
    with pytest.raises(ValueError, match="generator or iterable of such pairs. Received: data=int"):
        check_data(5, MODEL, None)


def test_memory_holds_one_batch_at_a_time():
    size = (64, 64, 16)
    wide = EvaluatedModel(lambda x: x, size, 3, "wide")

    def batches():
        for _ in range(40):
            yield np.full((4, *size), 0.5, "float32"), np.zeros(4, int)

    batch = 4 * 4 * np.prod(size)
    tracemalloc.start()
    try:
        images = check_data(batches(), wide, 160)
        read = images.pixels(np.array([159]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read.min() == 0.5
    # The batch that is made, that before it, and copies of a few images; all are 40.
    assert peak < 4 * batch


def test_an_evaluation_of_batches_gives_what_one_of_arrays_gives_and_goes_on(tmp_path):
    model, attack = channel_classifier(), Raise(epsilon=EPSILON, channel=1)
    options = {"progress": False, "batch_size": 2, "state": tmp_path / "state.npz"}
    arrays = evaluate_robustness(model, (PIXELS, LABELS), attack, progress=False)
    report = evaluate_robustness(model, tf_data().batch(4), attack, **options)
    assert report.robust.tolist() == arrays.robust.tolist()
    assert report.images == arrays.images
    assert (
        evaluate_robustness(model, list(in_batches(2)), attack, **options).images == report.images
    )
    # The same images in another order are other ones to the state.
    with pytest.raises(ValueError, match="They differ in: data"):
        evaluate_robustness(model, [(PIXELS[::-1], LABELS[::-1])], attack, **options)
