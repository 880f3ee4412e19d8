"""The walk over a network: `lower` turns an Arch into Ops, and `Op.convolutions` an Op into its convolutions.

Latency, MACs, parameters and torch modules all come from here, so that no two of them can round differently.
"""

import re
from dataclasses import dataclass, replace

from search_spaces.arch import INPUT_CHANNELS, Activation, Arch, Block, Gate, Skip, SqueezeExcite
from search_spaces.kinds import BlockKind, block_kind, is_op_kind, register_kind

VECTOR_ROLES = ("squeeze", "excite", "linear")  # their maps are one pixel


@dataclass(frozen=True, slots=True)
class Conv:
    """One convolution inside an Op; a fully connected layer is a 1x1 convolution on a 1x1 map.

    ``role`` names it. ``squeeze`` reads the map's mean, and ``excite`` makes factors from that for the map's channels;
    all others take the map that the one before made, and give the next. With ``appends`` a convolution's result is put
    behind its input's channels, rather than in their place. The taps of its kernel are ``dilation`` pixels apart.
    """

    role: str
    in_channels: int
    out_channels: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    out_height: int = 1
    out_width: int = 1
    batch_norm: bool = True
    activation: Activation | Gate | None = None
    appends: bool = False
    dilation: int = 1
    biased: bool = True

    @property
    def depthwise(self) -> bool:
        """Whether each channel is convolved by itself; of a single channel its role says whether that is meant."""
        return self.role == "depthwise" or 1 < self.groups == self.in_channels == self.out_channels

    @property
    def bias(self) -> bool:
        """Convolutions that feed a batch norm have no bias; all others have one, unless ``biased`` says no."""
        return self.biased and not self.batch_norm

    @property
    def reach(self) -> int:
        """How far the kernel sees from its middle, in pixels: what the map is padded by on every side."""
        return self.kernel // 2 * self.dilation

    @property
    def weights(self) -> int:
        return self.kernel * self.kernel * self.in_channels // self.groups * self.out_channels

    @property
    def macs(self) -> int:
        return self.weights * self.out_height * self.out_width


@dataclass(frozen=True, slots=True)
class Op:
    """The signature of one measured unit: everything its time depends on.

    ``kind`` is that of a `Block` (the stem and the head's convolution are ``conv``), or ``pool``, the global average
    pool, or ``linear``, a fully connected layer, or ``matmul``, one without a bias; on a map those two work at each
    pixel. ``height`` and ``width`` are the input's, in pixels.
    """

    kind: str
    height: int
    width: int
    in_channels: int
    out_channels: int
    kernel: int = 1
    stride: int = 1
    expanded: int = 0
    se: SqueezeExcite | None = None
    activation: Activation | None = None
    skip: Skip = "none"
    dilation: int = 1

    @property
    def out_height(self) -> int:
        return 1 if self.kind == "pool" else -(-self.height // self.stride)

    @property
    def out_width(self) -> int:
        return 1 if self.kind == "pool" else -(-self.width // self.stride)

    @property
    def is_vector(self) -> bool:
        """Whether the Op is a fully connected layer on a vector, not on the pixels of a map."""
        return self.kind in ("linear", "matmul") and (self.height, self.width) == (1, 1)

    @property
    def key(self) -> str:
        """The Op in one readable word; `Op.parse` reads it back."""
        se = f"{self.se.channels}{self.se.gate}" if self.se else "0"
        return (
            f"{self.kind}-{self.height}x{self.width}x{self.in_channels}-{self.out_channels}-k{self.kernel}"
            f"-s{self.stride}-e{self.expanded}-se{se}-{self.activation or 'linear'}-{self.skip}"
            + ("" if self.dilation == 1 else f"-d{self.dilation}")  # tables were made before there was a choice
        )

    @classmethod
    def parse(cls, key: str) -> "Op":
        """Read what `key` wrote; ``ValueError`` if it is not such a word."""
        match = _KEY.fullmatch(key)
        if match is None:
            raise ValueError(
                f"{key!r} is not an Op; an example: mbconv-56x56x24-24-k3-s1-e72-se24hard_sigmoid-relu-identity"
            )
        part = match.groupdict()
        if not is_op_kind(part["kind"]):
            block_kind(part["kind"])  # says which there are
        sizes = ("height", "width", "in_channels", "out_channels", "kernel", "stride", "expanded")
        gate = part["gate"]
        return cls(
            kind=part["kind"],
            **{name: int(part[name]) for name in sizes},
            # the pattern admits nothing else
            se=SqueezeExcite(int(part["squeeze"]), gate) if gate else None,  # type: ignore[arg-type]
            activation=None if part["activation"] == "linear" else part["activation"],  # type: ignore[arg-type]
            skip=part["skip"],  # type: ignore[arg-type]
            dilation=int(part["dilation"] or 1),
        )

    def convolutions(self) -> list[Conv]:
        """List the Op's convolutions in the order in which they run."""
        if self.kind == "pool":
            return []
        if self.kind in ("linear", "matmul"):
            return [self._linear()]
        return block_kind(self.kind).convolutions(self)

    def _linear(self) -> Conv:
        return Conv(
            "linear" if self.is_vector else "pointwise",
            self.in_channels,
            self.out_channels,
            out_height=self.height,
            out_width=self.width,
            batch_norm=False,
            activation=self.activation,
            biased=self.kind == "linear",
        )

    def squeeze_excite(self, channels: int) -> list[Conv]:
        """List the two convolutions of the Op's squeeze-and-excite, if it has one, on a map of so many channels."""
        if self.se is None:
            return []
        squeeze, gate = self.se.channels, self.se.gate
        return [
            Conv("squeeze", channels, squeeze, batch_norm=False, activation="relu"),
            Conv("excite", squeeze, channels, batch_norm=False, activation=gate),
        ]


_KEY = re.compile(
    r"(?P<kind>[a-z][a-z_]*)-(?P<height>\d+)x(?P<width>\d+)x(?P<in_channels>\d+)-(?P<out_channels>\d+)"
    r"-k(?P<kernel>\d+)-s(?P<stride>\d+)-e(?P<expanded>\d+)-se(?P<squeeze>\d+)(?P<gate>sigmoid|hard_sigmoid)?"
    r"-(?P<activation>relu|relu6|hswish|linear)-(?P<skip>none|identity|pool)(-d(?P<dilation>\d+))?"
)


def block_op(block: Block, height: int, width: int, in_channels: int) -> Op:
    """Give the Op that runs a block on an input of this size."""
    return Op(
        block.kind,
        height,
        width,
        in_channels,
        block.out_channels,
        block.kernel,
        block.stride,
        block.expanded,
        block.se,
        block.activation,
        block.skip,
        block.dilation,
    )


def lower(arch: Arch, size: tuple[int, int] | None = None) -> list[Op]:
    """Walk a network from image to logits and list its Ops: stem, one a block, head convolution, pool, linear layers.

    Every convolution pads so that its output is ceil(input / stride), TensorFlow's SAME size. ``size`` is the image's
    height and width in pixels, where it is not the square of the network's own resolution.
    """
    stem = arch.stem
    image = size or (arch.resolution, arch.resolution)
    first = Op("conv", *image, INPUT_CHANNELS, stem.channels, stem.kernel, stem.stride, activation=stem.activation)
    ops = [first]
    for block, channels in arch.with_inputs():
        ops.append(block_op(block, ops[-1].out_height, ops[-1].out_width, channels))
    height, width = ops[-1].out_height, ops[-1].out_width
    return ops + head_ops(arch, height, width, ops[-1].out_channels)


def head_ops(arch: Arch, height: int, width: int, in_channels: int) -> list[Op]:
    """List the Ops after the blocks, for a last feature map of this size."""
    head = arch.head
    features = head.conv_channels
    ops = [
        Op("conv", height, width, in_channels, features, activation=head.activation),
        Op("pool", height, width, features, features),
    ]
    if head.hidden_channels:
        ops.append(Op("linear", 1, 1, features, head.hidden_channels, activation=head.activation))
        features = head.hidden_channels
    ops.append(Op("linear", 1, 1, features, arch.classes))
    return ops


def _full_convolution(op: Op) -> list[Conv]:
    full = Conv(
        "full",
        op.in_channels,
        op.out_channels,
        op.kernel,
        op.stride,
        1,
        op.out_height,
        op.out_width,
        activation=op.activation,
        dilation=op.dilation,
    )
    return [full, *op.squeeze_excite(op.out_channels)]


def _inverted_residual(op: Op) -> list[Conv]:
    convs, wide, small = [], op.expanded, (op.out_height, op.out_width)
    if wide != op.in_channels:
        convs.append(Conv("expand", op.in_channels, wide, 1, 1, 1, op.height, op.width, activation=op.activation))
    filtering = Conv("depthwise", wide, wide, op.kernel, op.stride, wide, *small, activation=op.activation)
    convs.append(replace(filtering, dilation=op.dilation))
    convs += op.squeeze_excite(wide)
    convs.append(Conv("project", wide, op.out_channels, 1, 1, 1, *small))
    return convs


register_kind(BlockKind("conv", _full_convolution, expands=False))
register_kind(BlockKind("mbconv", _inverted_residual))
