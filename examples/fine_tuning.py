# %% [markdown]
# # Fine-tuning a network of `keras.applications`
#
# A network that has learned to see on other images needs few of yours. Usually its weights are
# those of ImageNet, `keras.applications:MobileNet:imagenet`, which Keras downloads. So that this
# example needs no network, MobileNet learns the digits 0 to 4 by plain Keras first, and its
# features are then fine-tuned, adversarially, for the digits 5 to 9.

# %%
SCALE = 1.0  # of the epochs; 0.3 is a quick look

# %%
import keras
import numpy as np
from sklearn.datasets import load_digits

from keras_efgsm import AdversarialTrainer, evaluate_robustness
from keras_efgsm.evaluation import make_attacks
from keras_efgsm.networks import build_classifier

SHAPE = (32, 32, 3)
EPSILON = 0.1
keras.utils.set_random_seed(0)

digits = load_digits()
images = keras.ops.image.resize(digits.images[..., None].astype("float32") / 16, SHAPE[:2])
images = np.repeat(np.clip(np.asarray(images), 0, 1), 3, axis=-1)
first, second = digits.target < 5, digits.target >= 5

# %% [markdown]
# ## Weights of features
#
# What is needed is the file of an application without its head, `include_top=False`. This part
# knows nothing of robustness.

# %%
features = keras.applications.MobileNet(
    include_top=False, weights=None, input_shape=SHAPE, pooling="avg"
)
ordinary = keras.Sequential(
    [keras.Input(SHAPE), keras.layers.Rescaling(2.0, -1.0), features, keras.layers.Dense(5)]
)
ordinary.compile(
    "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
)
epochs = max(3, round(10 * SCALE))
ordinary.fit(images[first], digits.target[first], batch_size=16, epochs=epochs, verbose=2)
features.save_weights("features.weights.h5")

# %% [markdown]
# ## Freeze and fine-tune
#
# `build_classifier` puts the preprocessing inside, so that attacks and exports see pixels in [0,
# 1], and a new last layer behind. What comes up to `conv_pw_6_relu` keeps its weights, batch
# normalization its statistics. On the command line this is `--classifier
# keras.applications:MobileNet:features.weights.h5 --freeze-until conv_pw_6_relu`.

# %%
classifier = build_classifier(
    "keras.applications:MobileNet:features.weights.h5", SHAPE, 5, freeze_until="conv_pw_6_relu"
)
frozen = {
    layer.name: layer.get_weights()
    for layer in classifier.layers
    if layer.weights and not layer.trainable
}
x, y = images[second], digits.target[second] - 5
x_train, y_train, x_test, y_test = x[:-150], y[:-150], x[-150:], y[-150:]

trainer = AdversarialTrainer(classifier, epsilon=EPSILON)
trainer.compile(keras.optimizers.Adam(1e-3))
trainer.fit(x_train, y_train, batch_size=16, epochs=2 * epochs, verbose=2)

# %% [markdown]
# ## What it withstands
#
# The same features with the same new layer, trained ordinarily, are what to compare with.

# %%
plain = build_classifier(
    "keras.applications:MobileNet:features.weights.h5", SHAPE, 5, freeze_until="conv_pw_6_relu"
)
plain.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
plain.fit(x_train, y_train, batch_size=16, epochs=epochs, verbose=2)

found = {
    name: evaluate_robustness(
        model, (x_test, y_test), make_attacks("quick", EPSILON), cascade=True, progress=False
    )
    for name, model in {"ordinary": plain, "adversarial": classifier}.items()
}
for name, report in found.items():
    print(
        f"{name}: natural {100 * report.natural_accuracy:.1f} %, "
        f"robust {100 * report.worst_case_accuracy:.1f} %"
    )

# %%
assert len(frozen) > 20
for layer in classifier.layers:
    for before, after in zip(frozen.get(layer.name, ()), layer.get_weights(), strict=False):
        assert np.array_equal(before, after), f"{layer.name} was trained"
gain = found["adversarial"].worst_case_accuracy - found["ordinary"].worst_case_accuracy
assert gain > 0.1, f"adversarial fine-tuning gained {gain}"
