"""A table of Op times for one device, and what it says of whole networks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date as Date  # the header has a field of that name
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, NonNegativeInt, PositiveInt

from latency.device import shipped_devices
from latency.timing import Timing
from search_spaces import Arch, InputError, Op, lower

FORMAT = 1

Milliseconds = Annotated[FiniteFloat, Field(ge=0)]
Fraction = Annotated[FiniteFloat, Field(ge=0)]
Correlation = Annotated[FiniteFloat, Field(ge=-1, le=1)]
Provenance = Literal["measured", "calibrated"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Accuracy(_Strict):
    """How well sums of the table's Ops predict whole networks that had no part in making it; errors are fractions.

    ``method`` says how the predicted networks were kept out. ``family_*`` are for whole families kept out at once.
    ``bias`` is the mean error, sign and all; ``noise_floor`` the mean difference of the same networks timed twice.
    """

    method: str
    networks: PositiveInt
    mape: Fraction
    worst: Fraction
    spearman: Correlation
    family_mape: Fraction | None = None
    family_spearman: Correlation | None = None
    bias: FiniteFloat | None = None
    within_5_percent: Fraction | None = None
    within_10_percent: Fraction | None = None
    noise_floor: Fraction | None = None

    def sentence(self) -> str:
        """Say it in words, in percent."""
        text = (
            f"mean error {self.mape:.1%}, worst {self.worst:.1%}, Spearman {self.spearman:.3f} "
            f"on {self.networks} whole networks ({self.method})"
        )
        if self.family_mape is not None and self.family_spearman is not None:
            text += f"; whole families left out: {self.family_mape:.1%}, Spearman {self.family_spearman:.3f}"
        if self.within_5_percent is not None and self.within_10_percent is not None:
            text += f"; {self.within_5_percent:.0%} within 5 %, {self.within_10_percent:.0%} within 10 %"
        if self.bias is not None:
            text += f", bias {self.bias:+.1%}"
        if self.noise_floor is not None:
            text += f"; the same networks timed twice differ by {self.noise_floor:.1%}"
        return text


class TableHeader(_Strict):
    """How a table was made.

    ``entries`` is the number of Ops, by which a cut file is known. ``overhead_ms`` is paid once a network.
    ``costs_ns`` are a calibrated device's costs per operator class (`latency.features`): they give further Ops.
    ``reference_ms`` is what the protocol's reference network took while a measured table was made; ``weights`` are
    what made its Ops' times alone into times inside a network (`latency.correction`).
    """

    format: int = FORMAT
    device: str
    provenance: Provenance
    runtime: str
    runtime_version: str
    threads: PositiveInt
    dtype: str
    clock_policy: str
    date: Date
    entries: NonNegativeInt
    overhead_ms: Milliseconds
    costs_ns: dict[str, Fraction] | None = None
    reference_ms: Milliseconds | None = None
    weights: dict[str, FiniteFloat] | None = None
    accuracy: Accuracy | None = None
    notes: str = ""

    @property
    def checked(self) -> bool:
        """Whether it was held against whole networks measured for that, or published ones it was not fitted to."""
        return self.accuracy is not None and (self.provenance == "calibrated" or self.accuracy.noise_floor is not None)

    def build_command(self, option: str) -> str:
        """Say how to make such a table with more in it."""
        shipped = self.device in shipped_devices()
        way = " --via tflite" if self.runtime == "LiteRT" and shipped else ""
        command = f"nas-build-lut --device {self.device}{way} {option} --out TABLE"
        return f"with: {command}" if shipped else f"as this one was made, and add {option}"

    def sentence(self) -> str:
        """Say in one sentence what the table is and how far to trust it."""
        trust = self.accuracy.sentence() if self.accuracy else "never checked on whole networks"
        return (
            f"{self.device}: {self.provenance}, {self.runtime} {self.runtime_version}, {self.dtype}, "
            f"{self.threads} thread{'s' if self.threads > 1 else ''}, {self.date}, {self.entries} Ops; {trust}"
        )


class MissingOpsError(LookupError, InputError):
    """A table lacks Ops that were asked for; ``missing`` holds them."""

    def __init__(self, message: str, missing: tuple[Op, ...]) -> None:
        super().__init__(message, missing)  # both, so that the error survives pickling
        self.missing = missing

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class LatencyTable:
    """Times of Ops on one device: a network's time is ``overhead_ms`` and the sum of its Ops."""

    header: TableHeader
    timings: Mapping[Op, Timing]
    _op_ms: dict[Op, float] = field(init=False, repr=False, compare=False)  # the hot path of a search reads only this

    def __post_init__(self) -> None:
        if len(self.timings) != self.header.entries:
            raise InputError(
                f"the header promises {self.header.entries} entries, but there are {len(self.timings)}: "
                "the table was cut or edited; build it again"
            )
        object.__setattr__(self, "_op_ms", {op: timing.median_ms for op, timing in self.timings.items()})

    def estimate_ms(self, arch: Arch) -> float:
        """Predict a network's time; `MissingOpsError` with every Op that the table lacks."""
        ops = lower(arch)
        try:
            return self.header.overhead_ms + sum([self._op_ms[op] for op in ops])
        except KeyError:
            raise self._missing_error(ops, f"network {arch.name!r}", "--arch FILE") from None

    def parts(self, arch: Arch) -> list[tuple[Op, float]]:
        """List a network's Ops in order with their times; the overhead is not among them."""
        ops = lower(arch)
        if self.missing(ops):
            raise self._missing_error(ops, f"network {arch.name!r}", "--arch FILE")
        return [(op, self._op_ms[op]) for op in ops]

    def op_ms(self, op: Op) -> float:
        """Look one Op up; `MissingOpsError` if the table lacks it."""
        if op not in self._op_ms:
            raise self._missing_error([op], "what was asked", "--space SPACE")
        return self._op_ms[op]

    def missing(self, ops: Iterable[Op]) -> list[Op]:
        """List the Ops that the table lacks, each once, in the order given."""
        return [op for op in dict.fromkeys(ops) if op not in self._op_ms]

    def check_ops(self, ops: Iterable[Op], space: str) -> None:
        """Raise `MissingOpsError` unless the table has all Ops of a space; ``space`` is its name or file."""
        asked = list(ops)
        if self.missing(asked):
            raise self._missing_error(asked, f"space {space!r}", f"--space {space}")

    def _missing_error(self, asked: Iterable[Op], what: str, option: str) -> MissingOpsError:
        asked = list(dict.fromkeys(asked))
        missing = self.missing(asked)
        first = ", ".join(op.key for op in missing[:3]) + (", ..." if len(missing) > 3 else "")
        return MissingOpsError(
            f"the table for {self.header.device} lacks {len(missing)} of the {len(asked)} Ops of {what}: {first}; "
            f"make a table that has them {self.header.build_command(option)}",
            tuple(missing),
        )
