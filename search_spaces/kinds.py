"""Kinds of block: what a name such as ``mbconv`` stands for, and the one place where a user adds an own kind.

A kind says which convolutions a block runs, in order. Counting, torch modules, ONNX and TFLite files, measuring and
tables all follow from those: nothing else knows kinds by name. docs/own-blocks.md shows how to add one.
"""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search_spaces.errors import InputError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint, EntryPoints

    from search_spaces.op import Conv, Op

ENTRY_POINTS = "nas.blocks"
SEPARABLE = "dconv"  # in space files: an inverted residual that expands nothing
_OTHER_OPS = ("pool", "linear", "matmul")  # Ops of the head, which are no blocks
_NAME = re.compile(r"[a-z][a-z_]*")
_CHOICE = re.compile(r"(?P<name>[a-z][a-z_]*)(?P<ratio>\d+(\.\d+)?)?")


class KindError(InputError):
    """There is no such kind of block, or what it is made of does not fit together."""


@dataclass(frozen=True, slots=True)
class BlockKind:
    """A kind of block.

    ``name``: lower-case letters and ``_``; in a space file a ratio follows it if the kind ``expands`` (``mbconv6``).
    ``convolutions``: from an `Op`, with its sizes, to its convolutions; roles are unique in an Op and name its layers.
    ``in_spaces``: whether a space file may choose it; what is part of a head is not to be searched.
    """

    name: str
    convolutions: Callable[["Op"], list["Conv"]]
    expands: bool = True
    in_spaces: bool = True


_kinds: dict[str, BlockKind] = {}


def register_kind(kind: BlockKind) -> BlockKind:
    """Add a kind for this process; `KindError` if its name is taken or its convolutions do not fit together.

    A package's entry point in the group ``nas.blocks`` adds one for every process, Ray workers and commands among them.
    """
    if not _NAME.fullmatch(kind.name) or kind.name in (SEPARABLE, *_OTHER_OPS):
        raise KindError(
            f"block kind {kind.name!r}: a name has lower-case letters and _ only, and is none of "
            f"{', '.join((SEPARABLE, *_OTHER_OPS))}"
        )
    if _kinds.get(kind.name, kind) is not kind:
        raise KindError(f"block kind {kind.name!r} is there already; give yours another name")
    _check(kind)
    _kinds[kind.name] = kind
    return kind


def block_kind(name: str) -> BlockKind:
    """Find a kind: one that was registered, else one of an installed package; `KindError` lists those there are."""
    if name not in _kinds:
        _load(name)
    return _kinds[name]


def known_kinds() -> list[str]:
    """List the names of all kinds, registered and installed."""
    return sorted({*_kinds, *_installed().names})


def is_op_kind(name: str) -> bool:
    """Tell whether an Op may be of this kind: a block's, a pool or a linear layer."""
    return name in _OTHER_OPS or _exists(name)


@functools.cache
def parse_choice(text: str) -> tuple[BlockKind, float]:
    """Read a choice of a space file, such as ``conv``, ``dconv`` or ``mbconv2.5``: a kind and its expansion ratio.

    The ratio is 0 for a kind that expands nothing. ``InputError`` says what is allowed.
    """
    match = _CHOICE.fullmatch(text)
    if text == SEPARABLE:
        return block_kind("mbconv"), 1.0
    if match and _exists(match["name"]):
        kind, ratio = block_kind(match["name"]), float(match["ratio"] or 0)
        if kind.in_spaces and (ratio >= 1 if kind.expands else match["ratio"] is None):
            return kind, ratio
    kinds = [kind for kind in map(block_kind, known_kinds()) if kind.in_spaces]
    plain = sorted([SEPARABLE, *(kind.name for kind in kinds if not kind.expands)])
    ratios = " or ".join(f"{kind.name}E" for kind in kinds if kind.expands)
    raise KindError(
        f"op must be {', '.join(plain)} or {ratios} with E of at least 1 (mbconv3, mbconv2.5), got {text!r}"
    )


def choice_name(name: str, in_channels: int, expanded: int) -> str:
    """Write what `parse_choice` reads."""
    if not block_kind(name).expands:
        return name
    if name == "mbconv" and expanded == in_channels:
        return SEPARABLE
    return f"{name}{round(expanded / in_channels, 1):g}"


def _installed() -> "EntryPoints":
    from importlib.metadata import entry_points  # slow to import, and slow to ask: only for a name that is not known

    return entry_points(group=ENTRY_POINTS)


def _exists(name: str) -> bool:
    return name in _kinds or name in _installed().names


def _load(name: str) -> None:
    found = [point for point in _installed() if point.name == name]
    if not found:
        raise KindError(f"unknown block kind {name!r}; known are {', '.join(known_kinds())} (docs/own-blocks.md)")
    kind = _loaded(found[0])
    if not isinstance(kind, BlockKind) or kind.name != name:
        raise KindError(f"block kind {name!r}: {found[0].value} must be a BlockKind of that name")
    register_kind(kind)


def _loaded(point: "EntryPoint") -> object:
    try:
        return point.load()
    except Exception as error:  # it is a stranger's module: anything may be wrong with it
        where = f"block kind {point.name!r}: {point.value} cannot be loaded"
        raise KindError(f"{where}: {type(error).__name__}: {error}") from error


def _check(kind: BlockKind) -> None:
    """Run a kind on some Ops, and follow the feature map through its convolutions."""
    from search_spaces.arch import SqueezeExcite
    from search_spaces.op import Op

    expansions = (16, 48) if kind.expands else (0,)
    for expanded in expansions:
        for stride, se in ((1, None), (2, SqueezeExcite(8, "hard_sigmoid"))):
            op = Op(kind.name, 10, 10, 16, 24, 3, stride, expanded, se, "relu")
            _check_chain(op, kind.convolutions(op))


def _check_chain(op: "Op", convs: list["Conv"]) -> None:
    where = f"block kind {op.kind!r}, as {op.key}"
    roles = [conv.role for conv in convs]
    if not convs or len(set(roles)) < len(roles) or not all(_NAME.fullmatch(role) for role in roles):
        raise KindError(f"{where}: it needs convolutions, each with a role of its own, got roles {', '.join(roles)}")
    size = (op.in_channels, op.height, op.width)
    for conv in convs:
        if conv.role == "excite":
            continue  # it reads the squeeze, and scales what the squeeze read
        if conv.in_channels != size[0]:
            raise KindError(f"{where}: {conv.role} takes {conv.in_channels} channels, and is given {size[0]}")
        if conv.role == "squeeze":
            continue
        after = (-(-size[1] // conv.stride), -(-size[2] // conv.stride))
        if (conv.out_height, conv.out_width) != after:
            raise KindError(
                f"{where}: {conv.role} makes {after[0]}x{after[1]} pixels, and says {conv.out_height}x{conv.out_width}"
            )
        size = (conv.out_channels + (conv.in_channels if conv.appends else 0), *after)
    if size != (op.out_channels, op.out_height, op.out_width):
        raise KindError(f"{where}: it makes {size}, and must make {(op.out_channels, op.out_height, op.out_width)}")
