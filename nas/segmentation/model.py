"""Segmentation networks in torch: `build_segmenter` turns a `Segmenter` into a module, by the walk that also counts it.

Names in a ``state_dict``: ``normalise``, ``stem``, ``blocks`` and ``head`` as in `nas.network`, so that a
classification network's weights fit where nothing was reduced; ``decoder.{features,context,fuse}.{conv,norm}.*`` and
``decoder.{gate,high,low}.*``.
"""

from typing import cast

from torch import Tensor, nn

from nas.network import OUTPUT, OpModule, build, initialise
from nas.segmentation.heads import AsppHead, LightHead, resized
from search_spaces.segmentation import Segmenter, segmentation_walk

_LOGITS_DEVIATION = 0.01  # as `nas.network`'s classifier


def build_segmenter(segmenter: Segmenter, *, dropout: float = 0.0) -> "SegmentationNetwork":
    """Build a segmentation network with fresh weights, drawn from torch's global generator.

    ``dropout``: the share dropped before R-ASPP's classifier while training; LR-ASPP has none.
    """
    network = SegmentationNetwork(segmenter, dropout)
    initialise(network)
    classifiers = [getattr(network.decoder, name) for name in ("high", "low") if hasattr(network.decoder, name)]
    for classifier in classifiers:
        nn.init.normal_(classifier.weight, std=_LOGITS_DEVIATION)
    return network


class SegmentationNetwork(nn.Module):
    """From float images in [0, 1], (batch, 3, height, width), to logits, (batch, classes, height, width).

    Images may have another size than the `Segmenter`'s; its pool windows then fit the maps there are.
    """

    def __init__(self, segmenter: Segmenter, dropout: float) -> None:
        super().__init__()
        self.segmenter = segmenter
        walk = segmentation_walk(segmenter)
        backbone = build(segmenter.adapted)
        self.normalise, self.stem, self.blocks = backbone.normalise, backbone.stem, backbone.blocks
        self.head = backbone.head if segmenter.ends_in_head else nn.Identity()
        self.tapped_role = _tapped_role(segmenter, cast(OpModule, self.blocks[segmenter.low_block]))
        self.decoder = LightHead(segmenter, walk) if segmenter.head == "lraspp" else AsppHead(walk, dropout)

    def forward(self, images: Tensor) -> Tensor:
        x = low = self.stem(self.normalise(images))
        for index, block in enumerate(self.blocks):
            if index == self.segmenter.low_block:
                maps = cast(OpModule, block).maps(x)
                x, low = maps[OUTPUT], maps[self.tapped_role]
            else:
                x = block(x)
        return resized(self.decoder(self.head(x), low), images)


def _tapped_role(segmenter: Segmenter, block: OpModule) -> str:
    """Name the layer whose map gives the details: the depthwise convolution, before any squeeze-and-excite."""
    return "depthwise" if segmenter.variant == "paper" and "depthwise" in block.roles else OUTPUT
