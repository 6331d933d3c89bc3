"""A user's own tools."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from actwise.config import EpisodesConfig
from actwise.conversation import ToolCall
from actwise.environments import Broken, Environment, Result, failed
from actwise.environments.functions import Functions, FunctionsEnvironment
from actwise.environments.opening import opens
from actwise.errors import ConfigError
from actwise.rewards.settings import JudgeConfig
from talks import calls, result, says, talk, user

LOG = talk(
    user("Order 1."),
    calls("a", name="order", number=1),
    result("ok", "a"),
    says("Done."),
    user("And?"),
    says("Well."),
    id="log",
)


@pytest.fixture(autouse=True)
def beside_the_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parent)


@pytest.fixture
def shop() -> Iterator[FunctionsEnvironment]:
    environment = FunctionsEnvironment(LOG, Functions("own_tools:Shop", call_seconds=1))
    environment.reset(0)
    yield environment
    environment.close()


def call(name: str, **arguments: object) -> ToolCall:
    return ToolCall(name=name, arguments=dict(arguments))


def test_functions_are_called_and_their_state_is_seen(shop: FunctionsEnvironment) -> None:
    assert shop.call(call("lookup", number=2)).text == "nothing in log"
    before = shop.state()
    assert shop.call(call("order", number=2)).text == '{"ordered": "lamp"}'
    assert shop.call(call("lookup", number=2)).text == "lamp"
    assert shop.state() != before


def test_what_a_tool_starts_reads_nothing_of_what_the_tools_are_asked() -> None:
    environment = FunctionsEnvironment(LOG, Functions("own_tools:Shop", call_seconds=30))
    environment.reset(0)
    assert environment.call(call("ask")).text == "''\n"
    assert environment.call(call("lookup", number=2)).text == "nothing in log"
    environment.close()


def test_reset_makes_the_tools_anew_and_calls_what_was_recorded(shop: FunctionsEnvironment) -> None:
    shop.call(call("order", number=5))
    shop.reset(1)
    assert shop.call(call("lookup", number=1)).text == "lamp"
    assert shop.call(call("lookup", number=5)).text == "nothing in log"
    assert shop.reply("Well.") is None


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        ("fail", {}, "ValueError: no such thing"),
        ("exit", {}, "SystemExit: 3"),
        ("lookup", {"wrong": 1}, "TypeError"),
        ("nothing", {}, "there is no tool nothing"),
        ("_secret", {}, "there is no tool _secret"),
        ("state", {}, "there is no tool state"),
        ("hang", {}, "takes longer than 1 s"),
        ("swallow", {}, "takes longer than 1 s"),
        ("die", {}, "the process of the tools ended"),
    ],
)
def test_what_fails_is_told_and_harms_nothing(
    shop: FunctionsEnvironment, name: str, arguments: dict[str, object], problem: str
) -> None:
    shop.call(call("order", number=7))
    found = shop.call(call(name, **arguments))
    assert found.failed
    assert problem in found.text
    # What was done before still holds, in a new process if need be.
    assert shop.call(call("lookup", number=7)).text == "lamp"


def test_a_result_of_megabytes_comes_back_cut(shop: FunctionsEnvironment) -> None:
    assert len(shop.call(call("megabyte")).text) == 1_000_000


def test_episodes_share_nothing_and_processes_are_used_again() -> None:
    functions = Functions("own_tools:Shop", call_seconds=5)
    one, other = (FunctionsEnvironment(LOG, functions) for _ in range(2))
    one.reset(0)
    other.reset(0)
    one.call(call("order", number=3))
    assert other.call(call("lookup", number=3)).text == "nothing in log"
    one.close()
    third = FunctionsEnvironment(LOG, functions)
    third.reset(0)
    assert third.call(call("lookup", number=3)).text == "nothing in log"
    other.close()
    third.close()


@pytest.mark.parametrize("end", ["hang", "die"])
def test_the_state_is_seen_after_a_call_that_ended_the_process(
    shop: FunctionsEnvironment, end: str
) -> None:
    shop.call(call("order", number=2))
    before = shop.state()
    assert shop.call(call(end)).failed
    assert shop.state() == before == '{"2": "lamp"}'


def test_a_mapping_of_functions_is_enough() -> None:
    environment = FunctionsEnvironment(LOG, Functions("own_tools:STATELESS", call_seconds=5))
    environment.reset(0)
    assert environment.call(call("lookup", number=4)).text == '{"number": 4}'
    assert environment.state() is None
    environment.close()


def keepers(name: str) -> list[FunctionsEnvironment]:
    """Return two processes of the same conversation."""
    functions = Functions("own_tools:Keeper", call_seconds=20)
    found = [FunctionsEnvironment(talk(*LOG.messages, id=name), functions) for _ in range(2)]
    for environment in found:
        environment.reset(0)
    return found


def test_equal_states_are_equal_in_other_processes() -> None:
    one, other = keepers("sets")
    assert one.state() == other.state()
    assert one.state() == '{"a": [[[1, "y"], [2, "x"]]], "b": ["a", "bb", "ccc", "dddd", "eeeee"]}'
    one.close()
    other.close()


@pytest.mark.parametrize(("name", "what"), [("object", "Order is not JSON"), ("keys", "'<'")])
def test_a_state_that_another_process_would_write_differently_is_refused(
    name: str, what: str
) -> None:
    one, other = keepers(name)
    with pytest.raises(ConfigError, match=rf"own_tools:Keeper: .*{what}.*return only dicts"):
        one.state()
    one.close()
    other.close()


def test_a_large_state_is_compared_to_its_end() -> None:
    one, other = keepers("large")
    state = one.state()
    assert state is not None
    assert state.endswith('xlarge"')
    one.close()
    other.close()


def test_a_model_reads_what_a_tool_returned_never_where_it_lies() -> None:
    one, other = keepers("sets")
    assert one.call(call("wait")).text == '{"waited": 1}'
    assert one.call(call("when")).text == '{"day": "2024-02-29", "in": ["a", "b"]}'
    refused = one.call(call("order"))
    assert refused.failed
    assert "returned Order, which is not JSON" in refused.text
    one.close()
    other.close()


def test_tools_that_cannot_be_made_break_their_episode() -> None:
    environment = FunctionsEnvironment(LOG, Functions("own_tools:cannot_be_reset", call_seconds=5))
    with pytest.raises(Broken, match="no database"):
        environment.reset(0)
    environment.close()


@pytest.mark.parametrize("path", ["own_tools:Nothing", "no_such_module:x"])
def test_what_cannot_be_imported_is_refused_at_once(path: str) -> None:
    with pytest.raises(ConfigError, match=path):
        opens(EpisodesConfig(environment=path), JudgeConfig())


SERVER = """
import time
from mcp.server.mcpserver import MCPServer

server = MCPServer("shop")
orders = {}


@server.tool()
def order(number: int) -> str:
    orders[number] = "lamp"
    return "ordered"


@server.tool()
def lookup(number: int) -> str:
    if number == 13:
        raise ValueError("bad luck")
    return orders.get(number, "nothing")


@server.tool()
async def hang() -> str:
    import anyio
    await anyio.sleep(1000)
    return ""


server.run()
"""


@pytest.fixture
def server(tmp_path: Path) -> str:
    pytest.importorskip("mcp")
    file = tmp_path / "server.py"
    file.write_text(SERVER)
    return f"{sys.executable} {file}"


def test_an_mcp_server_is_an_environment(server: str) -> None:
    open_one = opens(EpisodesConfig(mcp=server, call_seconds=60), JudgeConfig())
    environment: Environment = open_one(LOG)
    environment.reset(1)
    assert environment.call(call("lookup", number=1)).text == "lamp"
    assert environment.call(call("order", number=2)).text == "ordered"
    found = environment.call(call("lookup", number=13))
    assert found.failed
    assert "lookup" in found.text
    assert environment.call(call("nothing")).failed
    assert environment.call(call("lookup", number=2)).text == "lamp"
    environment.reset(0)
    assert environment.call(call("lookup", number=2)).text == "nothing"
    environment.close()


def test_an_mcp_server_tells_its_tools_and_is_not_waited_for(server: str) -> None:
    from actwise.environments.mcp import McpServer

    mcp = McpServer(server, call_seconds=0.5)
    assert "takes longer than 0.5 s" in mcp.call(call("hang")).text
    names = {tool["function"]["name"]: tool["function"]["parameters"] for tool in mcp.tools()}
    mcp.close()
    assert set(names) == {"order", "lookup", "hang"}
    assert names["order"]["properties"]["number"]["type"] == "integer"


class Dying:
    """A server that answers one call."""

    def __init__(self, command: str, *, call_seconds: float) -> None:
        self.lost = False
        self._answers = iter([Result("ordered")])

    def call(self, call: ToolCall) -> Result:
        answer = next(self._answers, None)
        self.lost = answer is None
        return answer or failed("McpError: Connection closed")

    def close(self) -> None:
        """Do nothing."""


def test_a_server_that_ends_breaks_its_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actwise.environments.mcp.McpServer", Dying)
    environment = opens(EpisodesConfig(mcp="server"), JudgeConfig())(LOG)
    environment.reset(0)
    assert environment.call(call("order", number=2)).text == "ordered"
    with pytest.raises(Broken, match="`server` ended"):
        environment.call(call("lookup", number=2))
    with pytest.raises(Broken, match="`server` ended"):  # what was done before cannot be done again
        environment.reset(1, (LOG.messages[1],))
    environment.close()


@pytest.mark.parametrize("command", ["no-such-program-here", f"{sys.executable} -c pass"])
def test_a_server_that_does_not_answer_breaks_its_episode(command: str) -> None:
    pytest.importorskip("mcp")
    environment = opens(EpisodesConfig(mcp=command), JudgeConfig())(LOG)
    with pytest.raises(Broken, match="does not answer"):
        environment.reset(0)
    environment.close()
