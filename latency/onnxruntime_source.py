"""ONNX Runtime on this host as a source."""

import platform

from latency.agent_source import AgentProcess, AgentSource, local_agent
from latency.onnx_model import onnx_model, random_layers
from latency.source import Chain, SourceFacts


def onnxruntime_source(threads: int = 1) -> AgentSource:
    """Time chains on this host's CPU by ONNX Runtime, in a process of its own; one thread stays on one core."""
    return onnx_agent_source(local_agent(), "host", threads)


def onnx_agent_source(agent: AgentProcess, device: str, threads: int) -> AgentSource:
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
    return AgentSource(agent, facts, "onnx", onnx_bytes)


def onnx_bytes(chain: Chain) -> bytes:
    """Write a chain as an ONNX model with random weights."""
    model: bytes = onnx_model(chain, random_layers()).SerializeToString()
    return model
