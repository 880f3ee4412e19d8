"""ONNX Runtime on this host as a source."""

import contextlib
import platform
import re
from collections.abc import Iterator, Sequence

from latency.agent_source import AgentProcess, AgentSession, AgentSource, local_agent
from latency.onnx_model import onnx_model, random_layers
from latency.source import Chain, SourceFacts

_PLACE = re.compile(r"(?:pool\.|flatten\.)?(?P<place>\d+)(?:\.|$)")


class OnnxRuntimeSource(AgentSource):
    """ONNX Runtime, wherever its agent runs; it can profile."""

    @contextlib.contextmanager
    def profiled_session(self, chains: Sequence[Chain]) -> Iterator["_Profiled"]:
        """Load chains, each with a copy whose nodes are timed."""
        with self._session(chains, profile=True) as session:
            yield _Profiled(session, chains)


class _Profiled:
    def __init__(self, session: AgentSession, chains: Sequence[Chain]) -> None:
        self._session, self._chains = session, chains
        self.sample = session.sample

    def shares(self, index: int) -> list[float]:
        return op_shares(self._session.nodes(index), len(self._chains[index]))


def op_shares(nodes: Sequence[tuple[str, float]], ops: int) -> list[float]:
    """Share a chain's time out over its Ops by the times of its nodes, in the order in which they run.

    Nodes are named after their Op's place in the chain (`random_layers`). Those that ONNX Runtime put in itself, to
    change the layout of a map, have names of its own: they count to the Op whose node ran last.
    """
    totals, current = [0.0] * ops, 0
    for name, ms in nodes:
        named = _PLACE.match(name)
        current = int(named["place"]) if named else current
        totals[current] += ms
    return [ms / sum(totals) for ms in totals]


def onnxruntime_source(threads: int = 1) -> OnnxRuntimeSource:
    """Time chains on this host's CPU by ONNX Runtime, in a process of its own; one thread stays on one core."""
    return onnx_agent_source(local_agent(), "host", threads)


def onnx_agent_source(agent: AgentProcess, device: str, threads: int) -> OnnxRuntimeSource:
    """Time chains by ONNX Runtime, wherever the agent runs; ``device`` is the name for the table."""
    told = agent.ask({"facts": "onnx"})
    cores = "one core" if threads == 1 else f"{threads} threads"
    facts = SourceFacts(
        device=device,
        runtime="ONNX Runtime",
        runtime_version=told["version"],
        threads=threads,
        dtype="float32",
        clock_policy=f"as found, {cores} of {told['cores']}: {told['cpu'] or platform.machine()}",
    )
    return OnnxRuntimeSource(agent, facts, "onnx", onnx_bytes)


def onnx_bytes(chain: Chain) -> bytes:
    """Write a chain as an ONNX model with random weights."""
    model: bytes = onnx_model(chain, random_layers()).SerializeToString()
    return model
