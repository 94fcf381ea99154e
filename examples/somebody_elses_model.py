# %% [markdown]
# # Somebody else's model
#
# A classifier that was made by plain Keras, with a softmax at its end as most have, comes as a
# `.keras` file or as a SavedModel. How robust is it, and does it only seem so?

# %%
SCALE = 1.0  # of the images that are attacked; 0.3 is a quick look

# %%
import keras
from rich import print as show
from sklearn.datasets import load_digits

from keras_efgsm import diagnose, evaluate_robustness, load_classifier
from keras_efgsm.evaluation import make_attacks

EPSILON = 0.1

# %% [markdown]
# ## Theirs
#
# Nothing in this cell knows of this library.

# %%
keras.utils.set_random_seed(0)
digits = load_digits()
images, labels = digits.images[..., None].astype("float32") / 16, digits.target
theirs = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(16, 3, activation="relu"),
        keras.layers.Conv2D(32, 3, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
theirs.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
theirs.fit(images[:1400], labels[:1400], batch_size=32, epochs=15, verbose=2)
theirs.save("theirs.keras")
theirs.export("theirs_saved_model", verbose=False)

# %% [markdown]
# ## Read as a classifier
#
# Attacks need logits: gradients of probabilities near 0 and 1 vanish, and an attack that stands
# still for it would flatter the model. `output="probabilities"` says that a softmax is at the
# end. In a `.keras` file it is taken off; of a SavedModel no layers are known, so the logarithm
# of its probabilities is taken and the report says what that may hide. Without the option both
# are refused. In a terminal: `keras-efgsm evaluate theirs.keras --dataset digits --output
# probabilities --epsilon 0.1`.
#
# Load only what you trust: a SavedModel runs the graph of whoever made it.

# %%
number = round(397 * SCALE)
data = images[1400:][:number], labels[1400:][:number]
models = {
    path: load_classifier(path, output="probabilities")
    for path in ("theirs.keras", "theirs_saved_model")
}
found = {
    path: evaluate_robustness(
        model, data, make_attacks("quick", EPSILON), cascade=True, progress=False
    )
    for path, model in models.items()
}
for report in found.values():
    show(report.table())
    show("\n".join(report.doubts))

# %% [markdown]
# ## Does it mask its gradients?
#
# `diagnose` tries what would betray that: random points or a black box that beat the gradients,
# one step that beats many, an attack without bounds that fails, and more.

# %%
diagnosis = diagnose(
    models["theirs.keras"],
    data,
    EPSILON,
    num_images=round(150 * SCALE),
    steps=20,
    queries=200,
    samples=100,
    restarts=2,
    progress=False,
)
show(diagnosis.table())

# %%
robust = [report.worst_case_accuracy for report in found.values()]
natural = [report.natural_accuracy for report in found.values()]
assert natural[0] == natural[1] > 0.9, natural
# An ordinary model withstands little, whichever file it comes in.
assert max(robust) < natural[0] - 0.2 and abs(robust[0] - robust[1]) < 0.05, robust
assert not found["theirs.keras"].doubts and found["theirs_saved_model"].doubts
assert not diagnosis.masked, diagnosis.verdict
