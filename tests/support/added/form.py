"""A form of an export of someone else's: the weights of a linear classifier in an `.npz` file."""

import numpy as np

from keras_efgsm.export import Form, Runner


class LinearRunner(Runner):
    """Answers with NumPy alone."""

    def __init__(self, path):
        with np.load(path) as weights:
            self.kernel, self.bias = weights["kernel"], weights["bias"]
            self.image_shape = tuple(int(size) for size in weights["shape"])
        self.num_classes = len(self.bias)

    def logits(self, images):
        return (images.reshape(len(images), -1) @ self.kernel + self.bias).astype("float32")


class Weights(Form):
    """The kernel and the bias."""

    name, ending, what = "weights", "-weights.npz", "weights of a linear classifier"
    limits = ("The weights check nothing.",)

    def write(self, classifier, path, given):
        kernel, bias = classifier.get_weights()
        np.savez(path, kernel=kernel, bias=bias, shape=given.contract.image_shape)

    def load(self, path):
        return LinearRunner(path)

    def loading(self, file, contract, name, others=()):
        return f'With NumPy:\n\n```python\nweights = np.load("{file}")\n```'
