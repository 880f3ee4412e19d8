"""What every source of times does, whatever its device and wire: a new one gets a line in SOURCES."""

import contextlib
import math
from collections.abc import Callable, Iterator

import pytest

from latency.agent_source import AgentSource
from latency.litert_source import litert_source
from latency.onnxruntime_source import onnxruntime_source
from latency.source import SourceError
from search_spaces import Op, lower, reference

OPS = [
    "conv-8x8x3-8-k3-s2-e0-se0-relu-none",
    "conv-8x8x8-8-k1-s1-e0-se4sigmoid-hswish-identity",
    "mbconv-8x8x8-8-k3-s1-e24-se8hard_sigmoid-hswish-identity",
    "mbconv-8x8x8-8-k5-s2-e8-se0-relu6-pool",
    "mbconv-7x7x8-12-k7-s2-e16-se0-linear-none",
    "pool-4x4x16-16-k1-s1-e0-se0-linear-none",
    "linear-1x1x16-10-k1-s1-e0-se0-hswish-none",
]
TINY = (Op.parse("conv-8x8x4-4-k1-s1-e0-se0-relu-none"),)  # a thousand multiplications
LARGE = (Op.parse("conv-56x56x32-32-k3-s1-e0-se0-relu-none"),)  # 29 million


def litert() -> AgentSource:
    pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert: pip install 'nas-mobile[tflite]'")
    return litert_source()


SOURCES = {"onnxruntime": onnxruntime_source, "litert": litert}


@pytest.fixture(params=SOURCES.values(), ids=SOURCES.keys())
def source(request: pytest.FixtureRequest) -> Iterator[AgentSource]:
    start: Callable[[], AgentSource] = request.param
    with contextlib.closing(start()) as source:
        yield source


def is_a_time(ms: float) -> bool:
    return math.isfinite(ms) and ms > 0


def test_facts_say_how_times_are_made(source: AgentSource) -> None:
    facts = source.facts
    assert all([facts.device, facts.runtime, facts.clock_policy])
    assert facts.runtime_version[0].isdecimal()
    assert (facts.threads, facts.dtype) == (1, "float32")


def test_every_kind_of_op_gets_its_times(source: AgentSource) -> None:
    with source.session([(Op.parse(key),) for key in OPS]) as session:
        samples = [session.sample(index, 2) for index in range(len(OPS))]
    assert [is_a_time(sample.cold_ms) and is_a_time(sample.warm_ms) for sample in samples] == [True] * len(OPS)


def test_a_whole_network_gets_its_times(source: AgentSource) -> None:
    network = tuple(lower(reference("mobilenet_v3_small", width=0.5, resolution=32, classes=10)))
    with source.session([network]) as session:
        sample = session.sample(0, 2)
    assert is_a_time(sample.cold_ms)
    assert is_a_time(sample.warm_ms)


def test_the_times_are_those_of_the_chain_that_was_asked_for(source: AgentSource) -> None:
    with source.session([LARGE, TINY]) as session:
        large = min(session.sample(0, 3).warm_ms for _ in range(5))
        tiny = min(session.sample(1, 3).warm_ms for _ in range(5))
    assert large > 3 * tiny  # by work it would be 28,000 times; the least of a call is milliseconds on no device


def test_chains_are_gone_after_their_session_and_the_source_takes_others(source: AgentSource) -> None:
    with source.session([TINY, LARGE]) as session:
        assert is_a_time(session.sample(1, 1).warm_ms)
    with pytest.raises(SourceError):
        session.sample(0, 1)
    with source.session([LARGE]) as session:
        assert is_a_time(session.sample(0, 1).warm_ms)
        with pytest.raises(SourceError):
            session.sample(1, 1)


def test_chains_are_gone_after_a_session_that_failed(source: AgentSource) -> None:
    with pytest.raises(ZeroDivisionError), source.session([TINY]) as session:
        session.sample(0, 1 // 0)
    with pytest.raises(SourceError):
        session.sample(0, 1)


def test_a_device_that_dies_is_named_with_what_to_do(source: AgentSource) -> None:
    with source.session([TINY]) as session:
        session.sample(0, 1)
        source._agent._process.kill()
        with pytest.raises(SourceError) as caught:
            session.sample(0, 1)
    message = str(caught.value)
    assert "\n" not in message
    assert "this host is gone" in message
    assert "killed" in message  # not the last that the runtime printed, which was about something else
    assert "again" in message


def test_a_dead_device_stays_dead_for_the_next_session(source: AgentSource) -> None:
    source._agent._process.kill()
    for _ in range(2):
        with pytest.raises(SourceError, match="this host is gone"), source.session([TINY]):
            pass
