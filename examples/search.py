# %% [markdown]
# # A search of lambda and sigma
#
# Which weight of the classification loss (lambda) and which noise of the start (sigma) give the
# most robust model? keras-tuner searches, each trial is judged by an attack on images that were
# held out of the train split, the best are repeated with other seeds, and the winner is trained
# in full and attacked on the test split. In a terminal: `keras-efgsm tune digits --parameters
# lambda,sigma`.

# %%
SCALE = 1.0  # of trials and epochs; 0.3 is a quick look

# %%
import dataclasses

from rich import print as show

from keras_efgsm import tune
from keras_efgsm.recipes import PRESETS
from keras_efgsm.tuning import SearchOptions, make_ranges

# %% [markdown]
# ## What is searched
#
# The preset's own values are the first trial, so the search can only find better ones or leave
# them.

# %%
epochs = max(4, round(20 * SCALE))
config = dataclasses.replace(PRESETS["digits"], epochs=epochs)
options = SearchOptions(
    config,
    make_ranges(config, ["lambda", "sigma"], {"lambda": (0.01, 3.0), "sigma": (0.0, 0.3)}),
    tuner="bayesian",
    trials=max(3, round(10 * SCALE)),
    epochs=epochs,
    validation_images=round(200 * SCALE),
)

# %% [markdown]
# ## Search
#
# Interrupted and called again with the same options, it goes on where it was.

# %%
result = tune(
    options,
    "searches/digits",
    finalists=2,
    seeds=2,
    final_attacks="quick",
    verbose=0,
)

# %% [markdown]
# ## What came out

# %%
for trial in result.trials:
    show(trial.values, f"robust {100 * trial.robust_accuracy:.1f} %")
chosen = result.finalists["finalists"][0]
show("chosen:", chosen["values"])
show(f"on the test split: {100 * result.evaluation['worst_case_accuracy']:.1f} % robust")

# %%
first, *others = result.trials
assert len(result.trials) == options.trials and all(trial.completed for trial in result.trials)
assert first.values == {name: config.method_option(name) for name in ("lambda", "sigma")}
assert all(trial.values != first.values for trial in others)
# The winner has the best mean over its seeds, and was trained with its values.
means = [finalist["robust_accuracy"] for finalist in result.finalists["finalists"]]
assert means[0] == max(means), means
assert all(result.config.method_option(k) == v for k, v in chosen["values"].items())
assert result.evaluation["worst_case_accuracy"] > 0.15, result.evaluation
