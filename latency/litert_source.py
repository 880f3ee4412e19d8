"""LiteRT (TensorFlow Lite) on this host as a source, with XNNPACK's kernels, as its own tools time models."""

import platform

from latency.agent_source import AgentProcess, AgentSource, local_agent
from latency.onnx_model import random_layers
from latency.source import Chain, SourceFacts
from latency.tflite_file import tflite_schema
from latency.tflite_model import tflite_model


def litert_source(threads: int = 1) -> AgentSource:
    """Time chains on this host's CPU by LiteRT, in a process of its own; one thread stays on one core.

    ``InputError`` if ai-edge-litert is not installed.
    """
    tflite_schema()  # before a process is started in vain, and with the command that installs it here
    agent = local_agent()
    try:
        return litert_agent_source(agent, "host", threads)
    except BaseException:
        agent.close()
        raise


def litert_agent_source(agent: AgentProcess, device: str, threads: int) -> AgentSource:
    """Time chains by LiteRT, wherever the agent runs; ``device`` is the name for the table."""
    told = agent.ask({"facts": "tflite"})
    cores = "one core" if threads == 1 else f"{threads} threads"
    facts = SourceFacts(
        device=device,
        runtime="LiteRT",
        runtime_version=told["version"],
        threads=threads,
        dtype="float32",
        clock_policy=f"as found, {cores} of {told['cores']}: {told['cpu'] or platform.machine()}",
    )
    return AgentSource(agent, facts, "tflite", tflite_bytes)


def tflite_bytes(chain: Chain) -> bytes:
    """Write a chain as a TFLite model with random weights, padded as networks made in TensorFlow are."""
    return tflite_model(chain, random_layers())
