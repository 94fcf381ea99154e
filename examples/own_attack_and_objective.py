# %% [markdown]
# # An attack and an objective of one's own
#
# A training method is an attack times an objective. Both are small objects; written once and
# registered, they train, evaluate and are found by name like the others. Here an attack, momentum
# iterative FGSM of Dong et al. (2018), and an objective, MART of Wang et al. (2020).

# %%
SCALE = 1.0  # of the epochs; 0.3 is a quick look

# %%
import keras
from keras import ops

from keras_efgsm import AdversarialTrainer, evaluate_robustness, load_data
from keras_efgsm.attacks import Attack, Budget, Perturbed, register_attack
from keras_efgsm.backend import input_gradient
from keras_efgsm.equations import kl_divergence, project, rival_logits
from keras_efgsm.evaluation import make_attacks
from keras_efgsm.networks import digits_classifier
from keras_efgsm.objectives import Objective, ObjectiveResult, register_objective
from keras_efgsm.objectives.objective import weighted_mean

EPSILON = 0.15

# %% [markdown]
# ## The attack
#
# Steps along the sign of a running mean of normalised gradients:
#
# $$g_{t+1} = \mu g_t + \nabla_x L / \lVert \nabla_x L \rVert_1, \quad
#   x_{t+1} = \Pi_\epsilon(x_t + \alpha\, \mathrm{sign}(g_{t+1}))$$
#
# `perturb` is all that an attack must have; `evaluation_options` are those that a list of names
# may set.


# %%
@register_attack
@keras.saving.register_keras_serializable(package="own")
class MomentumIterative(Attack):
    """Momentum iterative FGSM of Dong et al., "Boosting adversarial attacks with momentum"."""

    kind = "mi-fgsm"
    evaluation_options = ("steps",)

    def __init__(self, *, epsilon, steps: int = 10, decay: float = 1.0):
        super().__init__(epsilon=epsilon)
        self.steps, self.decay = steps, decay

    @property
    def budget(self):
        return Budget(steps=self.steps)

    def perturb(self, logits_fn, x, labels, noise, momentum=None, gradient_scale=1.0):
        def loss_at(images):
            logits = logits_fn(images)
            return self.loss_of(logits, labels), logits

        images, mean = x, ops.zeros_like(x)
        for _ in range(self.steps):
            _, _, gradient = input_gradient(loss_at, images, gradient_scale)
            length = ops.sum(ops.abs(gradient), axis=(1, 2, 3), keepdims=True)
            mean = self.decay * mean + gradient / ops.maximum(length, 1e-12)
            step = 2.5 * self.epsilon / self.steps * ops.sign(mean)
            images = project(images + step, x, self.epsilon)
        return Perturbed(images=images)


# %% [markdown]
# ## The objective
#
# $$-\log p_y(x') - \log\bigl(1 - \max_{k \ne y} p_k(x')\bigr)
#   + \lambda\, \mathrm{KL}\bigl(p(x) \,\Vert\, p(x')\bigr)\,(1 - p_y(x))$$
#
# What is misclassified unattacked weighs more. `classifier` maps images to logits, in training
# mode.


# %%
@register_objective
@keras.saving.register_keras_serializable(package="own")
class Mart(Objective):
    """MART of Wang et al., "Improving adversarial robustness requires revisiting ..."."""

    name = "mart"
    part_names = ("boosted_loss", "divergence_loss")

    def __init__(self, weight: float = 5.0):
        self.weight = weight

    def losses(self, classifier, reconstructor, examples):
        natural, logits = classifier(examples.x), classifier(examples.x_adv)
        labels = ops.argmax(examples.labels, axis=-1)
        true = ops.sum(examples.labels * ops.softmax(natural), axis=-1)
        # The rivals of the true class, whose own logit is left out.
        rival = ops.max(rival_logits(logits, labels), axis=-1)
        share = ops.exp(rival - ops.logsumexp(logits, axis=-1))
        boosted = ops.categorical_crossentropy(examples.labels, logits, from_logits=True)
        boosted = boosted - ops.log(ops.maximum(1.0 - share, 1e-6))
        divergence = kl_divergence(natural, logits) * (1.0 - true)
        # Means that weigh samples, and count replicas, as Keras's own losses do.
        parts = {
            "boosted_loss": weighted_mean(boosted, examples.sample_weight),
            "divergence_loss": weighted_mean(divergence, examples.sample_weight),
        }
        loss = parts["boosted_loss"] + self.weight * parts["divergence_loss"]
        return ObjectiveResult(loss, parts, logits)


# %% [markdown]
# ## Train with both
#
# From a terminal `keras-efgsm train digits --attack mine:MomentumIterative --objective mine:Mart`
# does the same with the two classes in a module `mine.py`.

# %%
keras.utils.set_random_seed(0)
train, test = load_data("digits", "train"), load_data("digits", "test")
trainer = AdversarialTrainer(
    digits_classifier(), MomentumIterative(epsilon=EPSILON, steps=5), objective=Mart()
)
trainer.compile(keras.optimizers.Adam(2e-3))
history = trainer.fit(
    train.pixels(), train.labels, batch_size=64, epochs=max(6, round(30 * SCALE)), verbose=2
).history

# %% [markdown]
# ## Evaluate by name
#
# The new attack stands beside the others, in Python and in `evaluate --attacks mi-fgsm,apgd-t`.

# %%
report = evaluate_robustness(
    trainer.classifier,
    (test.pixels(), test.labels),
    make_attacks("mi-fgsm,apgd-t", EPSILON, steps=20),
    progress=False,
)
accuracies = {attack.name: attack.robust_accuracy for attack in report.attacks}
print(f"natural {report.natural_accuracy:.3f}", accuracies, report.worst_case_accuracy)

# The same classifier after ordinary training, under the new attack alone.
keras.utils.set_random_seed(0)
ordinary = digits_classifier()
ordinary.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
ordinary.fit(train.pixels(), train.labels, batch_size=64, epochs=10, verbose=0)
of_ordinary = evaluate_robustness(
    ordinary, (test.pixels(), test.labels), make_attacks("mi-fgsm", EPSILON), progress=False
).worst_case_accuracy
print(f"ordinary training: {of_ordinary:.3f}")

# %%
assert set(history) >= {"boosted_loss", "divergence_loss"}
assert accuracies["mi-fgsm"] - accuracies["apgd-t"] < 0.1, accuracies
assert report.worst_case_accuracy > of_ordinary + 0.2, (report.worst_case_accuracy, of_ordinary)
