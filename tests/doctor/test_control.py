import pytest

from actwise.conversation import Conversation, Message
from actwise.doctor import examine
from talks import TOOLS, calls, finding, result, says, talk, user

TOKENS = [
    "<|im_end|>",
    "<|endoftext|>",
    "<|start_header_id|>",
    "<\uff5cend\u2581of\u2581sentence\uff5c>",
    "</s>",
    "[INST]",
    "<end_of_turn>",
    "<think>",
]


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize(
    "message",
    [
        lambda token: user(f"Say {token}!"),
        lambda token: says("Fine.", thought=token),
        lambda token: calls(where=[{"a": token}]),
        lambda token: calls(**{token: 1}),
        lambda token: result(token),
        lambda token: Message(role="tool", content="x", tool_call_id="c", name=token),
    ],
)
def test_control_tokens_in_messages_are_named(token: str, message: object) -> None:
    assert callable(message)
    found = finding(examine([talk(user("Hi"), message(token), says("Yes."))]), "control_token")
    assert found is not None and found.severity == "warning"
    assert found.count == 1
    assert found.examples[0].startswith("log.jsonl:x: messages[1] holds ")
    assert token in found.examples[0]


@pytest.mark.parametrize("token", TOKENS)
def test_control_tokens_in_tools_are_named_once_for_equal_tools(token: str) -> None:
    tool = {
        "type": "function",
        "function": {
            "name": "find",
            "parameters": {"type": "object", "properties": {"a": {"enum": [token]}}},
        },
    }
    messages = (user("Hi"), says("Hello."))
    conversations = [
        Conversation(id=str(i), messages=messages, tools=(*TOOLS, tool), source=f"log.jsonl:{i}")
        for i in range(3)
    ]
    found = finding(examine(conversations), "control_token_in_tools")
    assert found is not None
    assert (found.count, found.examples) == (1, [f'log.jsonl:0: tools hold "{token}"'])


@pytest.mark.parametrize("text", ["a < b | c > d", "1 <| 2", "[x]", "<b>bold</b>", "<sss>", "|>"])
def test_other_text_is_not(text: str) -> None:
    assert finding(examine([talk(user(text), says("Yes."))]), "control_token") is None
