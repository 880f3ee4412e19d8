"""Tables 3, 5 and 9, and the steps of section 5: classification networks of 1001 classes, as in the authors' code."""

from collections.abc import Iterable, Mapping
from typing import Any

from experiments.paper_tables.figures import Entry, Figure, Latency, Plain, Row
from experiments.paper_tables.phones import estimate_arch_ms, left_out_ms
from search_spaces import Arch, count, reference
from search_spaces.transforms import original_last_stage, place_activation, with_squeeze, with_stem

CLASSES = 1001  # ImageNet's and a background class
LARGE = "mobilenet_v3_large"
Published = Mapping[str, Any]


def network(row: Published) -> Arch:
    """Give the network of a row of tables 3 and 9."""
    return reference(row["network"], row["width"], row.get("resolution", 224), CLASSES)


def name(arch: Arch, width: float) -> str:
    return f"{arch.name} {width:g}, {arch.resolution} px"


def count_row(row: Published) -> Row:
    """Count a network of tables 3 and 9."""
    arch, notes = network(row), row.get("notes", {})
    counted, params_as = count(arch), row.get("params_as", "params")
    entries: dict[str, Entry] = {
        "MAdds, M": Figure(row["madds"], counted.macs / 1e6, notes.get("madds", "")),
        "parameters, M": Figure(row["params"], getattr(counted, params_as) / 1e6, notes.get("params", "")),
        "counted as": Plain(f"`macs`, `{params_as}`"),
    }
    return Row(name(arch, row["width"]), entries)


def latency_row(row: Published, devices: Iterable[str]) -> Row:
    """Estimate a network of tables 3 and 9 on phones."""
    arch, note = network(row), row.get("notes", {}).get("latency", "")
    return Row(
        name(arch, row["width"]),
        {
            f"{device}, ms": Latency(row[device], estimate_arch_ms(device, arch), left_out_ms(device, arch), note)
            for device in devices
        },
    )


def placed(row: Published) -> Arch:
    """Give the network of a row of table 5."""
    return place_activation(reference(LARGE, classes=CLASSES), row["placement"])


def activation_row(row: Published) -> Row:
    """Count and estimate MobileNetV3-Large with its h-swishes elsewhere."""
    arch = placed(row)
    counted = count(arch)
    return Row(
        row["placement"],
        {
            "MAdds, M": Plain(f"{counted.macs / 1e6:.2f}"),
            "h-swish elements, M": Plain(f"{counted.hswish_elements / 1e6:.3f}"),
            "pixel1, ms": Latency(row["pixel1"], estimate_arch_ms("pixel1", arch)),
            "without an optimised h-swish": Plain(row["naive"]),
        },
    )


def orders(rows: Iterable[Published]) -> tuple[list[str], list[str]]:
    """Sort table 5's placements by their published and by their estimated latency, fastest first."""
    rows = list(rows)
    by_paper = sorted(rows, key=lambda row: float(row["pixel1"]))
    by_table = sorted(rows, key=lambda row: estimate_arch_ms("pixel1", placed(row)))
    return [row["placement"] for row in by_paper], [row["placement"] for row in by_table]


def before_step(step: str) -> Arch:
    """Give MobileNetV3-Large as it was before one of the steps of section 5.1."""
    arch = reference(LARGE, classes=CLASSES)
    return with_stem(arch, 32) if step.startswith("stem") else original_last_stage(arch)


def step_row(row: Published) -> Row:
    """Compute what one of the steps of section 5.1 saves."""
    before, after = before_step(row["step"]), reference(LARGE, classes=CLASSES)
    saved_m = (count(before).macs - count(after).macs) / 1e6
    saved_ms = estimate_arch_ms("pixel1", before) - estimate_arch_ms("pixel1", after)
    entries: dict[str, Entry] = {
        "MAdds saved, M": Figure(row["madds_saved"], saved_m, row.get("notes", {}).get("madds_saved", "")),
        "pixel1, ms saved": Latency(row["ms_saved"], saved_ms),
    }
    return Row(row["step"], entries)


def squeeze_row(of: str) -> Row:
    """Count MobileNetV3-Large with its squeezes made in one of three ways."""
    arch = with_squeeze(reference(LARGE, classes=CLASSES), of)  # type: ignore[arg-type]
    counted = count(arch)
    names = {"expansion": "a quarter of the expansion (MobileNetV3)", "input": "a quarter of the input (MnasNet)"}
    return Row(
        names.get(of, "none"),
        {
            "MAdds, M": Plain(f"{counted.macs / 1e6:.2f}"),
            "parameters, M": Plain(f"{counted.params / 1e6:.3f}"),
            "pixel1, ms (estimate)": Plain(f"{estimate_arch_ms('pixel1', arch):.1f}"),
        },
    )
