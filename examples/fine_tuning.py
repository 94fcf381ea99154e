# %% [markdown]
# # Fine-tuning a network of keras.applications
#
# A network that has learned to see on other images needs few of yours. Usually its weights are
# those of ImageNet, `keras.applications:MobileNet:imagenet`, which Keras downloads. So that this
# example needs no network, MobileNet learns the digits 0 to 4 by plain Keras first, and its
# features are then fine-tuned, adversarially, for the digits 5 to 9.

# %%
SCALE = 1.0  # of the epochs; 0.15 is a quick look

# %%
import keras
import numpy as np
from sklearn.datasets import load_digits

from keras_efgsm import PGD, AdversarialTrainer, evaluate_robustness
from keras_efgsm.networks import build_classifier

SHAPE = (32, 32, 3)
EPSILON = 0.03
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
ordinary.fit(
    images[first],
    digits.target[first],
    batch_size=32,
    epochs=max(2, round(8 * SCALE)),
    verbose=2,
)
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
trainer.compile(keras.optimizers.Adam(3e-4))
history = trainer.fit(
    x_train, y_train, batch_size=32, epochs=max(3, round(20 * SCALE)), verbose=2
).history

# %% [markdown]
# ## What it withstands
#
# `accuracy` of the training is that on attacked images. A short training leaves the averages of
# batch normalization behind the weights, so that what is measured afterwards can be lower.

# %%
number = round(150 * SCALE)
report = evaluate_robustness(
    classifier,
    (x_test[:number], y_test[:number]),
    PGD(epsilon=EPSILON, steps=20),
    progress=False,
)
print(f"natural {100 * report.natural_accuracy:.1f} %, robust {100 * report.robust.mean():.1f} %")

# %%
now = {layer.name: layer.get_weights() for layer in classifier.layers if layer.weights}
assert len(frozen) > 20 and len(now) > len(frozen)
for name, weights in frozen.items():
    assert all(map(np.array_equal, weights, now[name])), f"{name} was trained"
attacked = history["accuracy"]
assert attacked[-1] > attacked[0] + 0.05, f"accuracy on attacked images: {attacked}"
assert report.worst_case_accuracy > 0.5 or SCALE < 1.0, report.worst_case_accuracy
