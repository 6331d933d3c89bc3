"""Chat: the turns of a session, the desk's tools, and the terminal."""

import builtins
import io
import json
import shlex
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from actwise.chat.desk import DeskTools
from actwise.chat.mcp import McpTools
from actwise.chat.session import MAX_ROUNDS, Result, Session
from actwise.chat.terminal import Terminal, ask_result
from actwise.chat.toolbox import TypedResults, run_checked
from actwise.conversation import ToolCall
from actwise.desk import generate
from actwise.engine.acting import Action
from actwise.errors import RunError
from actwise.template.parse import parse_completion
from actwise.template.streaming import CompletionReader, Delta
from actwise.template.syntaxes import QWEN
from integration.conftest import actwise as actwise  # the command line, as a fixture

TOOL = {
    "type": "function",
    "function": {
        "name": "find",
        "parameters": {
            "type": "object",
            "properties": {"id": {"type": "integer"}},
            "required": ["id"],
        },
    },
}


def call(*names_and_ids: tuple[str, Any]) -> str:
    made = [json.dumps({"name": n, "arguments": {"id": i}}) for n, i in names_and_ids]
    return "<think>\nLook.\n</think>\n\n" + "\n".join(
        f"<tool_call>\n{text}\n</tool_call>" for text in made
    )


class ScriptedActor:
    """Writes what it was told to write, seven characters at a time."""

    def __init__(self, *completions: str) -> None:
        self.completions = list(completions)
        self.seen: list[list[dict[str, Any]]] = []

    def __call__(
        self, messages: Any, tools: Any, *, thinking: bool
    ) -> Generator[Delta, None, Action]:
        self.seen.append(json.loads(json.dumps(messages)))
        text = self.completions.pop(0)
        parse = partial(parse_completion, thinking=thinking, tools=tools)
        reader = CompletionReader(parse, thinking=thinking, syntax=QWEN, opened=False)
        for end in range(7, len(text), 7):
            if delta := reader.read(text[:end]):
                yield delta
        parsed, delta = reader.finish(text)
        yield delta
        return Action(text, parsed, False)


def typed(*results: str) -> TypedResults:
    left: Iterator[str] = iter(results)
    return TypedResults((TOOL,), lambda call: next(left))


def test_a_turn_goes_on_until_the_model_answers() -> None:
    actor = ScriptedActor(call(("find", 1), ("find", 2)), "<think>\nOk.\n</think>\n\nBoth there.")
    session = Session(actor, typed('{"a": 1}', '{"a": 2}'), system="Be kind.")
    events = list(session.turn("Where are 1 and 2?"))
    results = [event.text for event in events if isinstance(event, Result)]
    assert results == ['{"a": 1}', '{"a": 2}']
    deltas = [event for event in events if isinstance(event, Delta)]
    assert "".join(d.thought for d in deltas) == "Look.Ok."
    assert "".join(d.answer for d in deltas) == "Both there."
    system, user, calls, one, two, answer = session.messages
    assert system == {"role": "system", "content": "Be kind."}
    assert user == {"role": "user", "content": "Where are 1 and 2?"}
    assert [c["id"] for c in calls["tool_calls"]] == [one["tool_call_id"], two["tool_call_id"]]
    assert answer["content"] == "Both there."
    assert actor.seen[1] == session.messages[:-1]


def test_what_cannot_be_called_is_an_error_for_the_model() -> None:
    box = typed()
    for made, problem in [
        (ToolCall(name="lose", arguments={}), "there is no tool 'lose'"),
        (ToolCall(name="find", arguments={"id": "x"}), "argument 'id'"),
        (ToolCall(name="find", arguments={}), "'id' is a required property"),
    ]:
        assert problem in json.loads(run_checked(box, made))["error"]


def test_a_turn_that_is_broken_off_leaves_a_conversation_that_can_go_on() -> None:
    def ask(call: ToolCall) -> str:
        if call.arguments["id"] == 2:
            raise KeyboardInterrupt
        return "here"

    actor = ScriptedActor(call(("find", 1), ("find", 2)), "Hello there, you.", "Hi.")
    session = Session(actor, TypedResults((TOOL,), ask), thinking=False)
    with pytest.raises(KeyboardInterrupt):
        list(session.turn("Where?"))
    user, calls, one, two = session.messages
    assert one["content"] == "here" and json.loads(two["content"]) == {"error": "interrupted"}
    events = session.turn("And now?")
    next(events)
    events.close()
    assert session.messages == [user, calls, one, two]
    list(session.turn("Hello?"))
    assert session.messages[-1]["content"] == "Hi."


def test_a_model_that_only_calls_is_stopped() -> None:
    actor = ScriptedActor(*[call(("find", 1))] * (MAX_ROUNDS + 1))
    session = Session(actor, TypedResults((TOOL,), lambda call: "again"))
    list(session.turn("Where?"))
    assert len(actor.completions) == 1
    assert session.messages[-1]["role"] == "tool"


def test_what_cannot_be_read_stays_in_the_conversation_as_it_was_written() -> None:
    session = Session(ScriptedActor("<tool_call>\n{"), typed(), thinking=False)
    list(session.turn("Where?"))
    assert session.messages[-1]["content"] == "<tool_call>\n{"


def test_the_desk_answers_as_it_did_in_its_conversation() -> None:
    for number, conversation in enumerate(generate("test", 4)):
        desk = DeskTools(number)
        assert desk.system == conversation.messages[0].content
        assert desk.tools == conversation.tools
        assert conversation.messages[1].content in desk.introduction
        results = {m.tool_call_id: m.content for m in conversation.messages if m.role == "tool"}
        for message in conversation.messages:
            for made in message.tool_calls:
                assert run_checked(desk, made) == results[made.id]


def test_the_desk_survives_what_no_database_can_hold() -> None:
    for number in range(6):
        desk = DeskTools(number)
        for tool in desk.tools:
            function = tool["function"]
            kinds = function["parameters"]["properties"]
            for odd in (10**30, "\ud800"):
                arguments = {
                    name: odd
                    if (kind["type"] == "integer") == isinstance(odd, int)
                    else ("x" if kind["type"] == "string" else 1)
                    for name, kind in kinds.items()
                }
                result = run_checked(desk, ToolCall(name=function["name"], arguments=arguments))
                assert isinstance(json.loads(result), dict)


SERVER = '''
import os
import sys
import time
from mcp.server.mcpserver import MCPServer

server = MCPServer("shelf")
print("the shelf is open", file=sys.stderr, flush=True)


@server.tool()
def find(id: int) -> str:
    """Find a thing."""
    if id == 0:
        raise ValueError("no such thing")
    if id == 99:
        print("out of order", file=sys.stderr, flush=True)
        os._exit(3)
    if id < 0:
        time.sleep(1000)
    return f"shelf {id}"


server.run("stdio")
'''


def test_an_mcp_server_answers_or_an_error_does(tmp_path: Path) -> None:
    pytest.importorskip("mcp", reason="the MCP client is not installed")
    (tmp_path / "server.py").write_text(SERVER)
    command = shlex.join([sys.executable, str(tmp_path / "server.py")])
    with closing(McpTools(command, seconds=60)) as box:
        assert [tool["function"]["name"] for tool in box.tools] == ["find"]
        actor = ScriptedActor(call(("find", 7), ("find", 0), ("find", "x")), "Done.")
        events = list(Session(actor, box, thinking=False).turn("Where is 7?"))
        right, failed, refused = (e.text for e in events if isinstance(e, Result))
        assert right == "shelf 7"
        assert "Error executing tool find" in failed
        assert "argument 'id'" in json.loads(refused)["error"]
    with closing(McpTools(command, seconds=0.5)) as box:
        late = box.run(ToolCall(name="find", arguments={"id": -1}))
        assert json.loads(late) == {"error": "takes longer than 0.5 s"}


@pytest.mark.slow
def test_a_call_has_the_seconds_that_it_was_given(tmp_path: Path) -> None:
    pytest.importorskip("mcp")
    server = tmp_path / "server.py"
    server.write_text(SERVER.replace("time.sleep(1000)", "time.sleep(31)"))  # a start has 30
    with closing(McpTools(f"{sys.executable} {server}", seconds=120)) as tools:
        assert tools.run(ToolCall(name="find", arguments={"id": -1})) == "shelf -1"


def test_what_a_server_says_of_itself_is_in_a_file_that_is_named_when_it_ends(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("mcp", reason="the MCP client is not installed")
    (tmp_path / "server.py").write_text(SERVER)
    command = shlex.join([sys.executable, str(tmp_path / "server.py")])
    with closing(McpTools(command, seconds=60)) as box:
        assert box.run(ToolCall(name="find", arguments={"id": 1})) == "shelf 1"
        log = box._server.log
        assert log.read_text().startswith("the shelf is open")
    assert not log.exists() and capfd.readouterr().err == ""
    with closing(McpTools(command, seconds=60)) as box:
        for _ in range(2):
            assert "Connection closed" in box.run(ToolCall(name="find", arguments={"id": 99}))
    told = capfd.readouterr().err
    assert (
        told.startswith("the MCP server has ended; what it said is in ") and told.count("\n") == 1
    )
    kept = Path(told.split()[-1])
    assert "out of order" in kept.read_text()
    kept.unlink()
    (tmp_path / "broken.py").write_text("raise SystemExit('no shelf here')")
    with pytest.raises(RunError, match=r"does not answer: .*; what it said is in ") as caught:
        McpTools(shlex.join([sys.executable, str(tmp_path / "broken.py")]), seconds=60)
    kept = Path(str(caught.value).split()[-1])
    assert kept.read_text() == "no shelf here\n" and capfd.readouterr().err == ""
    kept.unlink()


def test_a_server_that_is_none_is_told_in_one_line(actwise: Any, tiny_model_dir: Path) -> None:
    pytest.importorskip("mcp", reason="the MCP client is not installed")
    told = actwise("chat", tiny_model_dir, "--mcp", "no-such-program-at-all").complaint
    assert told.startswith("--mcp: the MCP server `no-such-program-at-all` does not answer")


Talk = Callable[..., str]


@pytest.fixture
def talk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Talk:
    """Types lines into a terminal and returns what it shows."""

    def type_in(session: Session, *lines: str | type[BaseException]) -> str:
        left = iter(lines)

        def read(prompt: str) -> str:
            line = next(left, EOFError)
            if isinstance(line, str):
                return line
            raise line

        monkeypatch.setattr(builtins, "input", read)
        Terminal(session).talk()
        return capsys.readouterr().out

    return type_in


def test_the_terminal_shows_thought_call_result_and_answer(talk: Talk) -> None:
    actor = ScriptedActor(call(("find", 1)), "<think>\nOk.\n</think>\n\nHere it is.")
    shown = talk(Session(actor, typed('{"place": "shelf\\u001b[2J"}')), "Where is 1?")
    assert shown.splitlines() == [
        "mode: thinking; /help lists the commands",
        "thought  Look.",
        'call     find {"id": 1}',
        'result   {"place": "shelf\\u001b[2J"}',
        "thought  Ok.",
        "answer   Here it is.",
        "",
    ]


def test_a_model_that_is_stopped_is_told_of(talk: Talk) -> None:
    actor = ScriptedActor(*[call(("find", 1))] * MAX_ROUNDS, "<think>\nOk.\n</think>\n\nHere.")
    session = Session(actor, TypedResults((TOOL,), lambda call: "again"))
    shown = talk(session, "Where is 1?", "Well?")
    _, said = shown.split(f"(stopped after {MAX_ROUNDS} actions that all called tools; ")
    assert said.startswith("what you say next lets it go on)\nthought  Ok.\nanswer   Here.\n")


def test_nothing_that_a_model_writes_steers_the_terminal(talk: Talk) -> None:
    actor = ScriptedActor("Gone\x1b[2J\x07")
    shown = talk(Session(actor, typed(), thinking=False), "Hi")
    assert "\x1b" not in shown and "\x07" not in shown and "answer   Gone\\x1b[2J\\x07" in shown


def test_commands(talk: Talk) -> None:
    actor = ScriptedActor("<think>\nHm.\n</think>\n\nHi.", "<think>", "Hello.")
    session = Session(actor, typed())
    shown = talk(
        session, "/raw", "Hi", "/raw", "Hi", "/mode direct", "/mode fast", "/tools", "/x", "/reset"
    )
    for line in [
        "nothing has been said",
        "<think>\nHm.\n</think>",
        "(unclosed thought, empty; /raw shows it as it was written)",
        "mode: direct",
        "there are the modes direct and thinking",
        'find: \n  {"type": "object"',
        "no such command: /x; /help",
    ]:
        assert line in shown
    assert session.messages == [] and not session.thinking


def test_ctrl_c_at_the_prompt_does_not_leave(talk: Talk) -> None:
    shown = talk(Session(ScriptedActor("Hi."), typed(), thinking=False), KeyboardInterrupt, "Hi")
    assert "/quit or Ctrl-D leaves" in shown and "answer   Hi." in shown


def test_ctrl_c_breaks_a_turn_off(talk: Talk) -> None:
    class Interrupted(ScriptedActor):
        def __call__(self, *given: Any, **how: Any) -> Generator[Delta, None, Action]:
            yield Delta(answer="I was about")
            raise KeyboardInterrupt

    session = Session(Interrupted(), typed(), thinking=False)
    shown = talk(session, "Hi", "/quit", "never read")
    assert "answer   I was about\n(broken off)\n" in shown and session.messages == []


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_a_line_that_is_no_utf8_is_asked_for_again(
    errors: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed_in = io.BytesIO(b"caf\xe9\nHi\n\xff\nshelf 1\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(typed_in, "utf-8", errors))
    actor = ScriptedActor(call(("find", 1)), "Here.")
    session = Session(actor, TypedResults((TOOL,), ask_result), thinking=False)
    Terminal(session).talk()
    assert [m["content"] for m in session.messages if m["role"] != "assistant"] == ["Hi", "shelf 1"]
    assert capsys.readouterr().out.count("that is no UTF-8; type it again") == 2


@pytest.mark.parametrize("lines", ["", "Hi\n"])
def test_the_end_of_the_input_leaves_wherever_it_comes(
    lines: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    actor = ScriptedActor(call(("find", 1)))
    session = Session(actor, TypedResults((TOOL,), ask_result), thinking=False)
    Terminal(session).talk()
    if lines:  # it ended where the result was asked for
        assert json.loads(session.messages[-1]["content"]) == {"error": "interrupted"}


def test_an_input_that_is_closed_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    Terminal(Session(ScriptedActor(), typed())).talk()


def test_the_verb_talks_about_the_desk(
    actwise: Any, talk: Talk, tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = iter(["Hello", "/quit"])
    monkeypatch.setattr(builtins, "input", lambda prompt: next(lines))
    done = actwise("chat", tiny_model_dir, "--desk", "--max-tokens", 5)
    assert done.code == 0, done.err
    assert "World 0 of the desk" in done.out and "cut at the limit of tokens" in done.out


def test_mistakes_are_told_in_one_line(actwise: Any, tmp_path: Path, tiny_model_dir: Path) -> None:
    tools = tmp_path / "tools.json"
    tools.write_text("[]")
    both = actwise("chat", tiny_model_dir, "--desk", "--tools", tools)
    assert both.complaint == "--desk and --tools: choose one"
    assert "no such folder" in actwise("chat", tmp_path / "absent").complaint
    stage = actwise("chat", tiny_model_dir, "--stage", "rl").complaint
    assert f"has no model 'rl'; there are {tiny_model_dir.name}" in stage
