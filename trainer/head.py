"""The head: one linear layer over standardised features, which folds into timm's own classifier.

Features of a frozen body differ in scale by orders of magnitude; with each one brought to mean 0
and variance 1 over the training pictures, one learning rate suits all of them. It is a batch
normalization with exact statistics, and like it folds into the linear layer for export.
"""

import torch
from torch import Tensor, nn


class Head(nn.Module):
    """Logits `[N, num_classes]` from a body's pooled features `[N, F]` or `[N, F, 1, 1]`."""

    def __init__(self, num_features: int, num_classes: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.linear = nn.Linear(num_features, num_classes)
        bound = num_features**-0.5
        with torch.no_grad():
            self.linear.weight.uniform_(-bound, bound, generator=generator)
            self.linear.bias.zero_()
        self.register_buffer("mean", torch.zeros(num_features))
        self.register_buffer("std", torch.ones(num_features))
        self.mean: Tensor
        self.std: Tensor

    def forward(self, features: Tensor) -> Tensor:
        """In float32 also under autocast: the last layer decides, and costs nothing."""
        with torch.autocast(features.device.type, enabled=False):
            return self.linear(self.scaled(features.float().flatten(1)))  # [N, F, 1, 1] -> [N, F]

    def scaled(self, features: Tensor) -> Tensor:
        """Features `[..., F]` with the training pictures' mean taken off, over their deviation."""
        return (features - self.mean) / self.std

    @torch.no_grad()
    def standardize(self, features: Tensor) -> None:
        """Take the mean and deviation of these training features `[N, F]`; a constant one stays."""
        std, mean = torch.std_mean(features.float(), dim=0, correction=0)
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > 1e-4, std, torch.ones_like(std)))

    @torch.no_grad()
    def folded(self) -> tuple[Tensor, Tensor]:
        """The weight `[num_classes, F]` and bias that give the same logits from raw features."""
        weight = self.linear.weight.double() / self.std.double()
        bias = self.linear.bias.double() - weight @ self.mean.double()
        return weight.float(), bias.float()
