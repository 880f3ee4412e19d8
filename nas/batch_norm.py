"""Batch norms over the images of all processes of a team: each one's share may be too few for a good mean."""

import torch
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


def synchronised(model: nn.Module, device: torch.device) -> nn.Module:
    """Let a network's batch norms use means and variances over all processes; weights and names stay as they are."""
    if device.type == "cuda":
        made: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return made  # it knows GPUs alone
    for name, module in list(model.named_modules()):
        if type(module) is nn.BatchNorm2d:
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, SynchronisedBatchNorm2d.like(module))
    return model


class SynchronisedBatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d` whose batch is that of all processes of the default group, which may hold unequal parts."""

    @classmethod
    def like(cls, norm: nn.BatchNorm2d) -> "SynchronisedBatchNorm2d":
        """Give one with the parameters, the running values and the mode of another."""
        made = cls(norm.num_features, norm.eps, norm.momentum, device="meta")
        made.weight, made.bias = norm.weight, norm.bias
        made.running_mean, made.running_var = norm.running_mean, norm.running_var
        made.num_batches_tracked = norm.num_batches_tracked
        return made.train(norm.training)

    def forward(self, images: Tensor) -> Tensor:
        """Normalise, (images, channels, height, width); in training by the mean and variance of all processes'."""
        if not self.training:
            return super().forward(images)
        variance, mean = torch.var_mean(images, (0, 2, 3), correction=0)
        mean, variance, count = self._over_all(mean.double(), variance.double(), images.numel() // self.num_features)
        with torch.no_grad():
            self._note(mean, variance * (count / (count - 1)))
        scale = self.weight * (variance + self.eps).rsqrt().to(images.dtype)
        shift = self.bias - mean.to(images.dtype) * scale
        return torch.addcmul(shift[:, None, None], images, scale[:, None, None])

    @staticmethod
    def _over_all(mean: Tensor, variance: Tensor, count: int) -> tuple[Tensor, Tensor, float]:
        """Join the processes' means and variances, (channels,); in double precision, since squares are subtracted."""
        sums = torch.cat([count * mean, count * (variance + mean.square()), mean.new_tensor([count])])
        sums = all_reduce(sums)  # type: ignore[no-untyped-call]
        mean, square = (sums[:-1] / sums[-1]).chunk(2)
        return mean, square - mean.square(), float(sums[-1])

    def _note(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running values on."""
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        for running, value in ((self.running_mean, mean), (self.running_var, variance)):
            assert running is not None
            running.lerp_(value.to(running.dtype), self.momentum)
