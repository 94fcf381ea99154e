import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_efgsm.export import WARM_UP_FILE, export_classifier, write_warm_up_requests

SHAPE = (8, 8, 3)
INPUTS = {"serving_default": "image", "serving_uint8": "image", "serving_bytes": "image_bytes"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    layers = [keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(3)]
    return export_classifier(
        keras.Sequential(layers),
        tmp_path_factory.mktemp("exported_models") / "digits",
        class_names=["a", "b", "c"],
        forms=["saved-model"],
        warm_up_batch_sizes=(1, 5),
    )


def requests_of(file):
    from tensorflow_serving.apis import prediction_log_pb2

    records = tf.data.TFRecordDataset(str(file)).as_numpy_iterator()
    logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in records]
    assert all(log.WhichOneof("log_type") == "predict_log" for log in logs)
    return [log.predict_log.request for log in logs]


def test_each_signature_is_warmed_up_with_each_batch_size(exported):
    requests = requests_of(exported.saved_model / WARM_UP_FILE)
    seen = []
    for request in requests:
        assert request.model_spec.name == "digits"
        # It is written before anyone can know which version or label it will be served as.
        assert not request.model_spec.WhichOneof("version_choice")
        ((key, tensor),) = request.inputs.items()
        assert key == INPUTS[request.model_spec.signature_name]
        seen.append((request.model_spec.signature_name, tensor.tensor_shape.dim[0].size))
    assert sorted(seen) == sorted((s, n) for s in INPUTS for n in (1, 5))


def test_the_exported_model_answers_its_warm_up_requests_alike(exported):
    loaded = tf.saved_model.load(str(exported.saved_model))
    probabilities = {}
    for request in requests_of(exported.saved_model / WARM_UP_FILE):
        ((key, tensor),) = request.inputs.items()
        values = tf.make_ndarray(tensor)
        signature = request.model_spec.signature_name
        answer = loaded.signatures[signature](**{key: tf.constant(values)})
        assert len(answer["probabilities"]) == len(values)
        probabilities[signature, len(values)] = answer["probabilities"].numpy()
    for size in (1, 5):
        files, levels = (probabilities[s, size] for s in ("serving_bytes", "serving_uint8"))
        assert np.abs(files - levels).max() <= 1e-6
        assert np.abs(probabilities["serving_default", size] - levels).max() <= 1e-2


def test_the_same_requests_are_written_each_time(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_warm_up_requests(tmp_path / name, "digits", SHAPE)
    first, second = ((tmp_path / name / WARM_UP_FILE).read_bytes() for name in ("a", "b"))
    assert first == second


@pytest.mark.parametrize("sizes", [(), (0,), (1, -2), (1.5,), range(1, 400)])
def test_batch_sizes_that_give_no_requests_are_refused(sizes, tmp_path):
    with pytest.raises(ValueError, match="Received: batch_sizes="):
        write_warm_up_requests(tmp_path, "digits", SHAPE, sizes)
    assert list(tmp_path.iterdir()) == []
