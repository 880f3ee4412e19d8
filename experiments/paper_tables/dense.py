"""Tables 6, 7 and 8: detection on 320 x 320 pixels, segmentation on Cityscapes' 1024 x 2048 and half of that."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from experiments.paper_tables.figures import Entry, Figure, Latency, Plain, Row
from experiments.paper_tables.phones import estimate_ms
from search_spaces import Arch, Block, Head, Op, Stem, reference
from search_spaces.arch import Skip
from search_spaces.count import count_ops
from search_spaces.detection import Detector, detection_walk, reference_detector, ssdlite
from search_spaces.segmentation import Segmenter, count_segmenter, profiled_macs, segmentation_ops

COCO_LABELS = 90
CITYSCAPES_CLASSES = 19
FULL, HALF = (1025, 2049), (513, 1025)  # the evaluation crop of DeepLab's public code: corners aligned, one pixel more
V1 = "mobilenet_v1"
Published = Mapping[str, Any]

# stride, channels of the separable convolutions: Howard et al. 2017, table 1
_V1 = [(1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), *[(1, 512)] * 5, (2, 1024), (1, 1024)]


def mobilenet_v1(resolution: int) -> Arch:
    """Give MobileNetV1 (Howard et al. 2017); the head's convolution that an `Arch` must have is none of its layers."""
    blocks = tuple(Block("separable", channels, 3, stride, activation="relu6") for stride, channels in _V1)
    return Arch(V1, resolution, COCO_LABELS, Stem(32, activation="relu6"), blocks, Head(1024))


def detector(row: Published) -> Detector:
    """Give the network of a row of table 6."""
    if row["network"] == V1:
        return ssdlite(mobilenet_v1(320), COCO_LABELS)
    return reference_detector(row["network"], row["width"], reduced=row.get("reduced", False))


def detection_row_ops(row: Published) -> list[Op]:
    """List the Ops of a row of table 6, without the last convolution of a network that has none."""
    walk = detection_walk(detector(row))
    return [op for op in walk.ops() if row["network"] != V1 or op is not walk.last]


def detection_name(row: Published) -> str:
    return f"{row['network']} {row['width']:g}" + (" †" if row.get("reduced") else "")


def detection_row(row: Published) -> Row:
    """Count a row of table 6."""
    counted, notes = count_ops(detection_row_ops(row)), row.get("notes", {})
    entries: dict[str, Entry] = {
        "MAdds, B": Figure(row["madds"], counted.macs / 1e9, notes.get("madds", "")),
        "as profiled": Plain(f"{counted.macs_profiled / 1e9:.4f}"),
        "parameters, M": Figure(row["params"], getattr(counted, row["params_as"]) / 1e6, notes.get("params", "")),
        "counted as": Plain(f"`macs`, `{row['params_as']}`"),
    }
    return Row(detection_name(row), entries)


def detection_latency_row(row: Published) -> Row:
    """Estimate a row of table 6 on a Pixel 1."""
    latency = Latency(row["pixel1"], estimate_ms("pixel1", detection_row_ops(row)))
    return Row(detection_name(row), {"pixel1, ms": latency})


def wider_row(row: Published, least: int = 16) -> Row:
    """Count and estimate a narrow row of table 6 as if no layer of its backbone had fewer channels than ``least``."""
    narrow = detector(row)
    ops = detection_walk(replace(narrow, backbone=at_least(narrow.backbone, least))).ops()
    counted = count_ops(ops)
    entries: dict[str, Entry] = {
        "MAdds, B": Plain(f"{counted.macs / 1e9:.4f}"),
        "parameters, M": Plain(f"{getattr(counted, row['params_as']) / 1e6:.4f}"),
        "pixel1, ms": Latency(row["pixel1"], estimate_ms("pixel1", ops)),
    }
    return Row(detection_name(row), entries)


def at_least(arch: Arch, least: int) -> Arch:
    """Give every layer between blocks at least so many channels; expansions keep their ratio to them."""
    blocks = []
    for block, channels in arch.with_inputs():
        received, given = max(channels, least), max(block.out_channels, least)
        skip: Skip = "identity" if block.stride == 1 and received == given else "none"
        wide = block.expanded * received // channels
        blocks.append(replace(block, out_channels=given, expanded=wide, skip=skip))
    stem = replace(arch.stem, channels=max(arch.stem.channels, least))
    return replace(arch, stem=stem, blocks=tuple(blocks))


def segmenter(row: Published, size: tuple[int, int]) -> Segmenter:
    """Give the network of a row of tables 7 and 8; the latter's are row 8's and row 11's of the former."""
    backbone = reference(row["network"], row.get("width", 1.0))
    return Segmenter(
        backbone,
        CITYSCAPES_CLASSES,
        *size,
        head=row.get("head", "lraspp"),
        filters=row.get("filters", 128),
        output_stride=row.get("output_stride", 16),
        reduced=row.get("reduced", True),
    )


def segmentation_name(row: Published) -> str:
    if "output_stride" in row:
        return f"{row['network']}, output stride {row['output_stride']}"
    head = {"lraspp": "LR-ASPP", "raspp": "R-ASPP"}[row["head"]]
    return f"{row['network']} {row['width']:g}{', RF2' if row['reduced'] else ''}, {head} {row['filters']}"


def segmentation_row(row: Published) -> Row:
    """Count a row of table 7."""
    model, notes = segmenter(row, FULL), row.get("notes", {})
    counted = count_segmenter(model)
    entries: dict[str, Entry] = {
        "MAdds, B": Figure(row["madds"], profiled_macs(model) / 1e9, notes.get("madds", "")),
        "convolutions only": Plain(f"{counted.macs / 1e9:.4f}"),
        "parameters, M": Figure(row["params"], counted.params / 1e6, notes.get("params", "")),
    }
    return Row(segmentation_name(row), entries)


def strides_row(row: Published) -> Row:
    """Count a row of table 8."""
    full, half = (profiled_macs(segmenter(row, size)) / 1e9 for size in (FULL, HALF))
    entries: dict[str, Entry] = {
        "MAdds (f), B": Figure(row["madds_full"], full),
        "MAdds (h), B": Figure(row["madds_half"], half),
    }
    return Row(segmentation_name(row), entries)


def segmentation_latency_row(row: Published) -> Row:
    """Estimate a row of tables 7 and 8 on a Pixel 3."""
    full, half = (estimate_ms("pixel3", segmentation_ops(segmenter(row, size))) for size in (FULL, HALF))
    entries: dict[str, Entry] = {
        "CPU (f), ms": Latency(row["full_ms"], full),
        "not estimated": Plain(f"{float(row['full_ms']) - full:.0f}"),
        "CPU (h), ms": Latency(row["half_ms"], half),
        "not estimated, (h)": Plain(f"{float(row['half_ms']) - half:.0f}"),
    }
    return Row(segmentation_name(row), entries)
