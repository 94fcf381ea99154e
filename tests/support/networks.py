"""Small networks whose logits and gradients are known in float64 NumPy."""

import keras
import numpy as np
from keras import ops

from keras_efgsm.attacks.logits import evaluation_logits
from keras_efgsm.noise import Noise

EPSILON = 0.1
NUM_IMAGES, NUM_CLASSES = 12, 5
SHAPE = (3, 4, 1)
ROWS = np.arange(NUM_IMAGES)
IDS = np.arange(100, 100 + NUM_IMAGES, dtype="int32")


class Net:
    """A small smooth network in Keras and, with its Jacobian in float64, in numpy."""

    def __init__(self):
        keras.utils.set_random_seed(3)
        self.model = keras.Sequential(
            [
                keras.Input(SHAPE),
                keras.layers.Flatten(),
                keras.layers.Dense(9, activation="tanh"),
                keras.layers.Dense(NUM_CLASSES, bias_initializer="normal"),
            ]
        )
        self.weights = [w.astype("float64") for w in self.model.get_weights()]
        rng = np.random.default_rng(0)
        # Some pixels at 0 and 1, where the box cuts the ball.
        self.x = rng.uniform(-0.2, 1.2, (NUM_IMAGES, *SHAPE)).clip(0, 1).astype("float32")
        self.labels = np.array(np.argmax(self.model(self.x), axis=1), "int32")
        self.labels[::4] = (self.labels[::4] + 1) % NUM_CLASSES  # some are misclassified
        self.momentum = rng.normal(size=self.x.shape).astype("float32") * 3
        self.momentum[:, 0] = 0.0  # some pixels have none yet

    def logits(self, x):
        w1, b1, w2, b2 = self.weights
        return np.tanh(x.reshape(len(x), -1) @ w1 + b1) @ w2 + b2

    def jacobian(self, x):
        """Gradients `(B, K, H, W, C)` of the logits."""
        w1, b1, w2, _ = self.weights
        hidden = np.tanh(x.reshape(len(x), -1) @ w1 + b1)
        jacobian = np.einsum("ph,bh,hk->bkp", w1, 1 - hidden**2, w2)
        return jacobian.reshape(len(x), NUM_CLASSES, *SHAPE)

    def cross_entropy(self, x):
        """Cross-entropy `(B,)` and its gradient."""
        z = self.logits(x)
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        error = p - np.eye(NUM_CLASSES)[self.labels]
        value = -np.log(p[ROWS, self.labels])
        return value, np.einsum("bk,bkhwc->bhwc", error, self.jacobian(x))

    def margins(self, x):
        """Margins `(B, K)` against every class, infinite for the true one, and gradients."""
        z, jacobian = self.logits(x), self.jacobian(x)
        margins = z[ROWS, self.labels][:, None] - z
        margins[ROWS, self.labels] = np.inf
        return margins, jacobian[ROWS, self.labels][:, None] - jacobian

    def runner_up(self, x):
        """Margin `(B,)` against the runner-up and its gradient."""
        margins, gradients = self.margins(x)
        rival = margins.argmin(axis=1)
        return margins[ROWS, rival], gradients[ROWS, rival]

    def margin_loss(self, x):
        margin, gradient = self.runner_up(x)
        return -margin, -gradient

    def loss(self, name):
        return {"ce": self.cross_entropy, "cw": self.margin_loss}[name]

    def perturb(self, attack, seed=7, step=2, momentum=None):
        momentum = self.momentum if momentum is None else momentum
        return attack.perturb(
            evaluation_logits(self.model),
            ops.convert_to_tensor(self.x),
            ops.convert_to_tensor(self.labels),
            Noise(seed, step, IDS),
            ops.convert_to_tensor(momentum) if attack.uses_momentum else None,
        )

    def project(self, x_adv, epsilon=EPSILON):
        return np.clip(np.clip(x_adv, self.x - epsilon, self.x + epsilon), 0, 1)


def linear_model(policy):
    """A network whose gradient with respect to the images is about 1e-9; float16 ends at 6e-8."""
    model = keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Flatten(),
            keras.layers.Dense(1, dtype=policy),
            keras.layers.Dense(NUM_CLASSES, dtype=policy),
        ]
    )
    rng = np.random.default_rng(0)
    first = rng.choice([-1, 1], (12, 1)) * rng.uniform(2e-5, 4e-5, (12, 1))
    second = np.array([[-4e-5, -2e-5, 2e-5, 4e-5, 6e-5]])
    model.set_weights([first, np.ones(1), second, rng.normal(size=NUM_CLASSES)])
    return model
