"""FGSM-RS on PyTorch's public functions, as a user of it would write it for a CPU."""

import time

import keras
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.torch_network import PreActivationResNet
from keras_efgsm.data import ImageData
from keras_efgsm.recipes.config import TrainingConfig
from keras_efgsm.records.environment import allowed_cores

# Largest difference of two float32 logits of the same image in TensorFlow and PyTorch.
TOLERANCE = 1e-4


class TorchTraining:
    """FGSM-RS of Wong et al., 2020, on a copy of a Keras network, in the memory order of a CPU.

    A uniform start in the ball, one step of 1.25 epsilon along the sign of the gradient, clipped
    to the ball and to pixels; then an update by SGD with Nesterov momentum and weight decay. As in
    the published code, the running statistics of batch norm follow every pass in training mode.

    Args:
        network: the Keras network, in float32.
        config: the run, for its radius, batches, views and rates.
        data: the images.
        bfloat16: whether passes are made under autocast to bfloat16.

    Raises:
        ValueError: if PyTorch has no such network here.
    """

    def __init__(
        self, network: keras.Model, config: TrainingConfig, data: ImageData, bfloat16: bool
    ):
        torch.set_num_threads(allowed_cores())
        self.network = PreActivationResNet(network).to(memory_format=torch.channels_last)
        self._config, self._bfloat16 = config, bfloat16
        self._radius = config.epsilon * config.epsilon_factor
        self._optimizer = torch.optim.SGD(
            self.network.parameters(),
            config.learning_rate,
            momentum=config.optimizer_momentum,
            weight_decay=config.weight_decay,
            nesterov=True,
        )
        pad = config.crop_padding
        # Padded once, so that a random crop is a window of it.
        edges = ((0, 0), (pad, pad), (pad, pad), (0, 0))
        self._images = torch.from_numpy(np.pad(data.images, edges))
        self._shape = data.image_shape
        self._labels = torch.from_numpy(data.labels.astype("int64"))
        torch.manual_seed(config.seed)

    def round(self, steps: int) -> float:
        """Images a second of so many steps.

        Args:
            steps: at most those of an epoch.
        """
        size = self._config.batch_size
        begun = time.perf_counter()
        order = torch.randperm(len(self._images))
        for step in range(steps):
            ids = order[step * size : (step + 1) * size]
            self.step(self.views(ids), self._labels[ids])
        return steps * size / (time.perf_counter() - begun)

    def views(self, ids: torch.Tensor) -> torch.Tensor:
        """Pixels in [0, 1] `(B, C, H, W)` of these images, cropped and mirrored at random."""
        height, width, _ = self._shape
        shifts = torch.randint(2 * self._config.crop_padding + 1, (2, len(ids), 1))
        rows, columns = shifts[0] + torch.arange(height), shifts[1] + torch.arange(width)
        if self._config.flip:
            columns = torch.where(torch.rand(len(ids), 1) < 0.5, columns.flip(1), columns)
        windows = self._images[ids[:, None, None], rows[:, :, None], columns[:, None, :]]
        return windows.permute(0, 3, 1, 2).float() / 255

    def step(self, x: torch.Tensor, labels: torch.Tensor) -> None:
        """A training step on images `(B, C, H, W)` in [0, 1]."""
        start = (x + torch.empty_like(x).uniform_(-self._radius, self._radius)).clamp(0, 1)
        self.update(self.perturb(start, x, labels), labels)

    def perturb(self, start: torch.Tensor, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Adversarial images by one step from a start within the ball around `x`."""
        self.network.train(self._config.attack_in_training_mode)
        start.requires_grad_()
        loss = functional.cross_entropy(self._logits(start), labels, reduction="sum")
        (slope,) = torch.autograd.grad(loss, start)
        moved = start.detach() + 1.25 * self._radius * slope.sign()
        return moved.clamp(x - self._radius, x + self._radius).clamp(0, 1)

    def update(self, x_adv: torch.Tensor, labels: torch.Tensor) -> None:
        """One step of the optimizer on the cross-entropy of adversarial images."""
        self.network.train()
        loss = functional.cross_entropy(self._logits(x_adv), labels)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()

    def _logits(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
            return self.network(x).float()


def check_same_logits(network: keras.Model, images: np.ndarray) -> float:
    """The largest difference of a Keras network's float32 logits and those of its copy in PyTorch.

    Args:
        network: the Keras network, in float32.
        images: `(B, H, W, C)` in [0, 1].

    Raises:
        ValueError: if it is more than `TOLERANCE`.
    """
    expected = keras.ops.convert_to_numpy(network(images, training=False))
    copy: nn.Module = PreActivationResNet(network).to(memory_format=torch.channels_last).eval()
    with torch.no_grad():
        found = copy(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()
    difference = float(np.abs(found - expected).max())
    if not difference <= TOLERANCE:
        raise ValueError(
            f"The logits of the network in PyTorch must be those in Keras to {TOLERANCE:g}. "
            f"Received: classifier={network.name!r}, which differs by {difference:.3g}"
        )
    return difference
