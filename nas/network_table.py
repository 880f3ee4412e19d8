"""A network for people: one line that sums it up, and a row of text for each of its Ops."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

from search_spaces import Arch, Block, Op, count_op, lower
from search_spaces.kinds import choice_name

COLUMNS = ("Stage", "Op", "Kernel", "Stride", "Expansion", "Out", "SE", "Activation", "Skip", "Output")
NOTHING = "–"


@dataclass(frozen=True, slots=True)
class NetworkRow:
    """One Op: a text for each of ``COLUMNS``, and what it costs; its time only where a table knows it."""

    cells: tuple[str, ...]
    macs: int
    params: int
    latency_ms: float | None


def describe(arch: Arch) -> str:
    """Sum a network up in one line: runs of like blocks, from stem to head."""
    parts = [f"stem {arch.stem.channels}"]
    for (name, block_text), run in groupby(
        (_op_name(block, channels), _block_text(block)) for block, channels in arch.with_inputs()
    ):
        repeats = len(list(run))
        parts.append(f"{f'{repeats}× ' if repeats > 1 else ''}{name} {block_text}")
    parts.append(f"head {arch.head.conv_channels}")
    return " · ".join(parts)


def network_rows(arch: Arch, op_ms: Callable[[Op], float] | None) -> list[NetworkRow]:
    """List a network's Ops in the order in which they run; ``op_ms`` gives the time of one."""
    stages = _stages(arch)
    ops = lower(arch)
    names = ["conv"] + [_op_name(block, channels) for block, channels in arch.with_inputs()]
    rows = []
    for index, op in enumerate(ops):
        stage = "stem" if index == 0 else str(stages[index - 1]) if index <= len(stages) else "head"
        name = names[index] if index < len(names) else {"pool": "average pool"}.get(op.kind, op.kind)
        cost = count_op(op)
        rows.append(NetworkRow(_cells(stage, name, op), cost.macs, cost.params, op_ms(op) if op_ms else None))
    return rows


def _cells(stage: str, name: str, op: Op) -> tuple[str, ...]:
    spatial = op.kind not in ("pool", "linear")
    wider = op.expanded not in (0, op.in_channels)
    return (
        stage,
        name,
        f"{op.kernel}×{op.kernel}" if spatial else NOTHING,
        str(op.stride) if spatial else NOTHING,
        str(op.expanded) if wider else NOTHING,
        str(op.out_channels),
        str(op.se.channels) if op.se else NOTHING,
        {"hswish": "h-swish", None: NOTHING}.get(op.activation, str(op.activation)),
        NOTHING if op.skip == "none" else op.skip,
        f"{op.out_height}×{op.out_width}",
    )


def _op_name(block: Block, in_channels: int) -> str:
    """Name a block as space files do: conv, dconv (no expansion) or mbconvE."""
    return choice_name(block.kind, in_channels, block.expanded)


def _block_text(block: Block) -> str:
    return f"k{block.kernel} {block.out_channels}{' se' if block.se else ''}"


def _stages(arch: Arch) -> list[int]:
    """Number the stages: a new one begins at a stride, or where the kind of block changes."""
    numbers: list[int] = []
    before: tuple[str, str, str] | None = None
    for block, channels in arch.with_inputs():
        now = (_op_name(block, channels), _block_text(block), block.activation)
        begins = now != before or block.stride > 1
        numbers.append((numbers[-1] if numbers else 0) + begins)
        before = now
    return numbers
