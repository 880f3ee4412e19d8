"""`latency.agent_source`: one agent at the other end of a pipe, and what is said when it cannot do what is asked."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from latency.agent_source import AgentProcess, AgentSource, agent_text, local_agent
from latency.onnxruntime_source import onnx_agent_source, onnx_bytes
from latency.source import SourceError
from search_spaces import Op

TINY = (Op.parse("conv-8x8x4-4-k1-s1-e0-se0-relu-none"),)


@pytest.fixture
def agent() -> Iterator[AgentProcess]:
    with contextlib.closing(local_agent()) as agent:
        yield agent


def load(agent: AgentProcess, model: bytes) -> dict[str, object]:
    return agent.ask({"load": len(model), "format": "onnx", "threads": 1}, model)


def refusal(agent: AgentProcess, request: dict[str, object], payload: bytes = b"") -> str:
    with pytest.raises(SourceError) as caught:
        agent.ask(request, payload)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_agent_that_was_piped_in_serves_like_one_from_a_file() -> None:
    text = agent_text().encode()
    program = f"import sys; exec(sys.stdin.buffer.read({len(text)}), {{'__name__': '__main__'}})"
    with contextlib.closing(AgentProcess([sys.executable, "-c", program], "a board", text)) as agent:
        assert agent.ask({"drop": True}) == {"dropped": 0}


def test_an_unknown_request_is_refused(agent: AgentProcess) -> None:
    assert refusal(agent, {"dance": True}) == "this host: unknown request"


def test_a_model_that_the_runtime_refuses_gives_its_reason_in_one_line(agent: AgentProcess) -> None:
    message = refusal(agent, {"load": 4, "format": "onnx", "threads": 1}, b"meow")
    assert message.startswith("this host: InvalidProtobuf: ")


def test_a_format_that_the_agent_does_not_know_is_refused(agent: AgentProcess) -> None:
    assert refusal(agent, {"load": 4, "format": "gguf", "threads": 1}, b"meow") == "this host: KeyError: 'gguf'"


def test_a_model_that_was_never_loaded_cannot_be_timed(agent: AgentProcess) -> None:
    assert refusal(agent, {"sample": 0, "calls": 1}) == "this host: IndexError: list index out of range"


def test_an_agent_goes_on_after_what_it_refused(agent: AgentProcess) -> None:
    refusal(agent, {"dance": True})
    refusal(agent, {"load": 4, "format": "onnx", "threads": 1}, b"meow")
    assert load(agent, onnx_bytes(TINY)) == {"index": 0}
    assert agent.ask({"sample": 0, "calls": 1})["warm_ms"] > 0


def test_a_session_leaves_no_model_in_the_agent(agent: AgentProcess) -> None:
    source = onnx_agent_source(agent, "host", 1)
    with source.session([TINY, TINY]):
        pass
    assert agent.ask({"drop": True}) == {"dropped": 0}


def test_copies_of_a_chain_are_models_of_their_own(agent: AgentProcess) -> None:
    source = onnx_agent_source(agent, "host", 1)
    with source.session([TINY, TINY, TINY + TINY, TINY]) as session:
        assert all(session.sample(index, 1).warm_ms > 0 for index in range(4))
        assert agent.ask({"drop": True}) == {"dropped": 4}


def test_a_session_that_cannot_load_a_chain_leaves_no_model_either(agent: AgentProcess) -> None:
    models = iter([onnx_bytes(TINY), b"meow"])
    source = AgentSource(agent, onnx_agent_source(agent, "host", 1).facts, "onnx", lambda chain: next(models))
    with pytest.raises(SourceError, match="InvalidProtobuf"), source.session([TINY, TINY + TINY]):
        pass
    assert agent.ask({"drop": True}) == {"dropped": 0}


def test_a_closed_agent_says_so() -> None:
    agent = local_agent()
    agent.close()
    agent.close()
    assert refusal(agent, {"drop": True}) == "the agent on this host was closed"


def test_a_command_that_is_not_there_is_named() -> None:
    with pytest.raises(SourceError, match=r"cannot run 'no-such-program' to reach a board: No such file"):
        AgentProcess(["no-such-program"], "a board")


def test_a_command_that_ends_before_the_agent_starts_gives_its_last_words() -> None:
    with pytest.raises(SourceError, match=r"the agent on a board did not start: the fuse has blown$"):
        AgentProcess([sys.executable, "-c", "import sys; sys.exit('one\\nthe fuse has blown')"], "a board")


def test_an_answer_that_is_not_json_is_shown() -> None:
    program = "import sys; print('-- latency agent --', flush=True); sys.stdin.readline(); print('Low on memory')"
    with contextlib.closing(AgentProcess([sys.executable, "-c", program], "a board")) as agent:
        message = refusal(agent, {"drop": True})
    assert message == r"a board printed b'Low on memory\n' between the agent's answers"


def test_an_agent_that_writes_much_to_its_standard_error_is_not_blocked_by_it(tmp_path: Path) -> None:
    loud = f"import sys; sys.stderr.write('x' * 300_000 + chr(10)); sys.stderr.flush()\n{agent_text()}"
    (tmp_path / "agent.py").write_text(loud)
    with contextlib.closing(AgentProcess([sys.executable, str(tmp_path / "agent.py")], "a board")) as agent:
        assert agent.ask({"drop": True}) == {"dropped": 0}
