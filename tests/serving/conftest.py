"""An export of digits, and the test double that serves it."""

import numpy as np
import pytest

from integration.serving.served_model import ServedModel
from integration.serving.test_double import ServingDouble
from keras_efgsm.serving import GrpcClient, RestClient


@pytest.fixture(scope="package")
def labels():
    return [f"digit {i}" for i in range(10)]


@pytest.fixture(scope="package")
def export(tmp_path_factory, new_classifier, labels):
    """The folder of a model of digits with one version."""
    from keras_efgsm import export_classifier

    folder = tmp_path_factory.mktemp("exported") / "digits"
    export_classifier(new_classifier(), folder, class_names=labels)
    return folder


@pytest.fixture(scope="package")
def model(export):
    return ServedModel("digits", export, labels={"stable": 1})


@pytest.fixture(scope="package")
def double(model):
    with ServingDouble(model, max_request_bytes=1 << 20) as running:
        yield running


@pytest.fixture
def rest(double):
    client = RestClient("digits", double.url, timeout=60)
    yield client
    client.close()


@pytest.fixture
def grpc(double):
    client = GrpcClient("digits", double.address, timeout=60)
    yield client
    client.close()


@pytest.fixture(scope="package")
def pixels(digits):
    _, (images, _) = digits
    return np.rint(images[:5] * 255).astype("uint8")


@pytest.fixture(scope="package")
def expected(export, pixels):
    """What Python's own loader says of `pixels`."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(export / "1"))
    image = tf.constant((pixels / 255).astype("float32"))
    return loaded.signatures["serving_default"](image=image)["probabilities"].numpy()
