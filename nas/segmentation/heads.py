"""R-ASPP and LR-ASPP in torch: from feature maps to logits at a coarser size than the image's."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas.convolution import Convolution
from nas.network import ConvNorm
from search_spaces import Op
from search_spaces.segmentation import Segmenter, Walk, pool_window


class LightHead(nn.Module):
    """LR-ASPP: features, gated by coarse means, and details from stride 8 (Howard et al. 2019, figure 10)."""

    def __init__(self, segmenter: Segmenter, walk: Walk) -> None:
        super().__init__()
        assert walk.gate is not None  # every LR-ASPP has both
        assert walk.low is not None
        self.segmenter = segmenter
        self.features = ConvNorm(*walk.features.convolutions())
        self.gate = _pointwise(walk.gate)
        self.high, self.low = _pointwise(walk.high), _pointwise(walk.low)

    def forward(self, last: Tensor, low: Tensor) -> Tensor:
        window, stride = pool_window(self.segmenter, last.shape[2], last.shape[3])
        gate = torch.sigmoid(self.gate(F.avg_pool2d(last, window, stride)))
        features = self.features(last)
        features = features * resized(gate, features)
        return cast(Tensor, self.high(resized(features, low)) + self.low(low))


class AsppHead(nn.Module):
    """R-ASPP: a 1x1 convolution and the image's mean, fused (Sandler et al. 2018, section 6.3)."""

    def __init__(self, walk: Walk, dropout: float) -> None:
        super().__init__()
        assert walk.context is not None  # every R-ASPP has both
        assert walk.fuse is not None
        self.features = ConvNorm(*walk.features.convolutions())
        self.context = ConvNorm(*walk.context.convolutions())
        self.fuse = ConvNorm(*walk.fuse.convolutions())
        self.dropout = nn.Dropout(dropout)
        self.high = _pointwise(walk.high)

    def forward(self, last: Tensor, low: Tensor) -> Tensor:
        features = self.features(last)
        context = resized(self.context(F.adaptive_avg_pool2d(last, 1)), features)
        return cast(Tensor, self.high(self.dropout(self.fuse(torch.cat([features, context], dim=1)))))


def resized(x: Tensor, like: Tensor) -> Tensor:
    """Resize a map to the size of another, bilinear, corner on corner as in DeepLab's public code."""
    if x.shape[2:] == like.shape[2:]:
        return x
    if x.shape[2:] == (1, 1):  # the same, and its gradient costs next to nothing
        return x.expand(-1, -1, like.shape[2], like.shape[3])
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=True)


def _pointwise(op: Op) -> Convolution:
    (conv,) = op.convolutions()
    return Convolution(conv.in_channels, conv.out_channels, 1, bias=conv.bias)
