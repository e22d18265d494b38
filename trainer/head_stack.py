"""`HeadStack`: heads that learn side by side, as the columns of one matrix product.

Eleven rates in five folds cost about as much as two trainings one after the other.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from trainer.config import Config
from trainer.head import Head
from trainer.model import make_optimizer
from trainer.update import set_momentum


class HeadStack:
    """A head for each of C rates on each of R parts of the pictures, K classes, F features.

    Each takes the steps that it would take alone; one whose loss is not finite does not disturb
    the others.
    """

    def __init__(self, head: Head, lrs: Sequence[float], num_parts: int, config: Config) -> None:
        """Copies of `head`, which scales the features and stays as it is."""
        self.head = head
        self._smoothing = config.label_smoothing
        weight = head.linear.weight.detach().T.expand(num_parts, -1, -1)
        bias = head.linear.bias.detach().expand(num_parts, 1, -1)
        self._weights = [weight.clone().requires_grad_() for _ in lrs]  # each [R, F, K]
        self._biases = [bias.clone().requires_grad_() for _ in lrs]  # each [R, 1, K]
        groups: list[dict[str, object]] = []
        for lr, own_weight, own_bias in zip(lrs, self._weights, self._biases, strict=True):
            decay = config.weight_decay  # as `parameter_groups`: none on the bias
            groups.append({"params": [own_weight], "scale": lr, "weight_decay": decay})
            groups.append({"params": [own_bias], "scale": lr, "weight_decay": 0.0})
        self._optimizer = make_optimizer(groups, config, 1.0)

    def step(
        self, features: Tensor, labels: Tensor, *, factor: float, momentum: float | None = None
    ) -> Tensor:
        """One update of every head.

        Args:
            features: `[R, B, F]`.
            labels: `[R, B]`.
            factor: of each peak rate, now.
            momentum: where the schedule sets it.

        Returns:
            The losses before the update, `[R, C]`.
        """
        set_momentum(self._optimizer, momentum)
        for group in self._optimizer.param_groups:
            group["lr"] = group["scale"] * factor
        weights, biases = torch.cat(self._weights, 2), torch.cat(self._biases, 2)
        logits = torch.baddbmm(biases, self.head.scaled(features), weights)
        logits = logits.unflatten(2, (len(self._weights), -1))  # [R, B, C, K]
        targets = labels[..., None].expand(logits.shape[:-1])
        each = functional.cross_entropy(
            logits.flatten(0, 2),
            targets.flatten(),
            reduction="none",
            label_smoothing=self._smoothing,
        )
        losses = each.view(targets.shape).mean(1)
        self._optimizer.zero_grad(set_to_none=True)
        losses.sum().backward()
        self._optimizer.step()
        return losses.detach()

    @torch.no_grad()
    def judge(
        self, part: int, features: Tensor, labels: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Whether each head of a part is right on each picture, and its cross-entropy there.

        Args:
            part: which.
            features: `[N, F]`.
            labels: `[N]`.

        Returns:
            bool and float `[C, N]`; false and infinite where a head's numbers are not finite.
        """
        weights = torch.stack([weight[part] for weight in self._weights])  # [C, F, K]
        biases = torch.stack([bias[part] for bias in self._biases])  # [C, 1, K]
        logits = self.head.scaled(features) @ weights + biases  # [C, N, K]
        targets = torch.from_numpy(labels).to(logits.device).expand(len(logits), -1)
        losses = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
        losses = losses.view_as(targets).nan_to_num(nan=torch.inf, posinf=torch.inf)
        correct = (logits.argmax(2) == targets) & losses.isfinite()
        return correct.cpu().numpy(), losses.cpu().numpy()
