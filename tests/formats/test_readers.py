"""One record of every foreign format, written by hand, and what it means."""

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actwise.conversation import Conversation, tool_name
from actwise.formats import FORMATS, Rejected, read_files
from actwise.formats.record import Unusable
from actwise.formats.schema import json_schema

WEATHER = {
    "name": "weather",
    "description": "Tell the weather.",
    "parameters": {
        "type": "dict",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "unit": {"type": "string", "default": "celsius"},
            "exact": {"type": "float"},
            "spots": {"type": "array", "items": {"type": "dict", "properties": {}}},
            "options": {"type": "dict", "properties": {"lang": {"type": "String"}}},
            "raw": {"type": "any"},
        },
        "required": ["city"],
    },
}
OPENAPI = {
    "openapi": "3.0.1",
    "paths": {
        "/weather/{city}": {
            "get": {
                "operationId": "weather",
                "summary": "Tell the weather.",
                "parameters": [
                    {"name": "city", "in": "path", "required": True, "schema": {"type": "string"}}
                ],
            }
        }
    },
}
RLLA_SYSTEM = """You help.

**Available Tools**
In your response, you can use the following tools:
1. Name: weather
Description: Tell the weather.
Two lines of it.
Parameters: {"city": {"description": "Where", "type": "string", "default": ""}}
2. sun: Tell when it rises.
Parameters: {'day': {'type': 'str'}}

**Steps for Each Turn**
1. **Think:** and write <think> </think>.
"""
RLLA_HISTORY = """**Dialogue Records History**
<user> Rain in Bonn? </user>

<think> I should use the appropriate tool with proper parameters to respond to the user's need. </think>
<tool_call>
{"name": "weather", "parameters": {"city": "Bonn"}}
{"name": "sun", "parameters": {"day": "today"}}
</tool_call>
<obs> [{"name": "weather", "results": "rain"}, {"name": "sun", "results": 6}] </obs>

<response> Rain. </response>

<user> And in Ulm? </user>
"""  # noqa: E501
RLLA_OUTPUT = """<think> Ulm, then. </think>
<tool_call>
{"name": "weather", "parameters": {"city": "Ulm"}}
</tool_call>"""
SGD_TOOLS = [
    {
        "service_name": "Weather_1",
        "description": "",
        "slots": [
            {
                "name": "city",
                "description": "Where",
                "is_categorical": False,
                "possible_values": [],
            },
            {
                "name": "unit",
                "description": "",
                "is_categorical": True,
                "possible_values": ["C", "F"],
            },
        ],
        "intents": [
            {
                "name": "Get",
                "description": "Tell the weather.",
                "required_slots": ["city"],
                "optional_slots": {"unit": "dontcare"},
            }
        ],
    },
    {
        "service_name": "Weather_11",
        "description": "",
        "slots": [],
        "intents": [
            {
                "name": "Get",
                "description": "Not on offer.",
                "required_slots": [],
                "optional_slots": {},
            }
        ],
    },
]
STAR_API = {
    "input": [
        {
            "Name": "City",
            "Type": "Categorical",
            "Categories": ["Bonn", "Ulm"],
            "ReadableName": "City",
        },
        {"Name": "Pin", "Type": "ShortString", "ReadableName": "Pin"},
        {"Name": "Days", "Type": "Integer", "Min": 1, "Max": 7, "ReadableName": "Days"},
        {"Name": "Exact", "Type": "Boolean", "ReadableName": "Exact"},
    ],
    "output": [],
    "required": ["City"],
}


def star_query(*constraints: dict[str, str]) -> dict[str, Any]:
    return {
        "Agent": "Wizard",
        "Action": "query",
        "APIName": "weather",
        "Constraints": list(constraints),
    }


TOOL = {
    "name": "weather",
    "description": "Tell the weather.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
TOOLS = [{"type": "function", "function": TOOL}]
CALL = {
    "id": "c1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Bonn"}'},
}
ASKED = [{"role": "system", "content": "You help."}, {"role": "user", "content": "Rain in Bonn?"}]
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
CHOICE = {"choices": [{"index": 0, "finish_reason": "tool_calls", "message": CALLING}]}
BLOCKS: Any = {
    "model": "m",
    "max_tokens": 100,
    "system": [{"type": "text", "text": "You help.", "cache_control": {"type": "ephemeral"}}],
    "tools": [
        {"name": "weather", "description": "Tell the weather.", "input_schema": TOOL["parameters"]}
    ],
    "messages": [
        {"role": "user", "content": "Rain in Bonn?"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Look.", "signature": "x"},
                {"type": "text", "text": "One moment."},
                {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Bonn"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t1",
                    "content": [{"type": "text", "text": "rain"}],
                },
                {"type": "text", "text": "Hurry."},
            ],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "Rain."}]},
    ],
}
ITEMS: Any = {
    "model": "m",
    "instructions": "You help.",
    "tools": [{"type": "function", **TOOL, "strict": True}],
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Rain in Bonn?"}]},
        {"type": "reasoning", "id": "r1", "summary": [{"type": "summary_text", "text": "Look."}]},
        {
            "type": "function_call",
            "call_id": "c1",
            "name": "weather",
            "arguments": '{"city": "Bonn"}',
            "status": "completed",
        },
        {"type": "function_call_output", "call_id": "c1", "output": "rain"},
    ],
    "output": [
        {
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Rain.", "annotations": []}],
        }
    ],
}
CONTENTS: Any = {
    "systemInstruction": {"parts": [{"text": "You help."}]},
    "contents": [
        {"role": "user", "parts": [{"text": "Rain in Bonn?"}]},
        {
            "role": "model",
            "parts": [
                {"text": "Look.", "thought": True},
                {
                    "functionCall": {"name": "weather", "args": {"city": "Bonn"}},
                    "thoughtSignature": "x",
                },
            ],
        },
        {
            "role": "user",
            "parts": [{"functionResponse": {"name": "weather", "response": {"sky": "rain"}}}],
        },
        {"role": "model", "parts": [{"text": "Rain."}]},
    ],
    "tools": [
        {
            "functionDeclarations": [
                {
                    "name": "weather",
                    "description": "Tell the weather.",
                    "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}},
                }
            ]
        }
    ],
}
SPAN: Any = {
    "traceId": "t1",
    "spanId": "s1",
    "name": "chat m",
    "attributes": {
        "gen_ai.operation.name": "chat",
        "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "You help."}]),
        "gen_ai.input.messages": json.dumps(
            [
                {"role": "user", "parts": [{"type": "text", "content": "Rain in Bonn?"}]},
                {
                    "role": "assistant",
                    "parts": [
                        {"type": "reasoning", "content": "Look."},
                        {
                            "type": "tool_call",
                            "id": "c1",
                            "name": "weather",
                            "arguments": {"city": "Bonn"},
                        },
                    ],
                },
                {
                    "role": "tool",
                    "parts": [{"type": "tool_call_response", "id": "c1", "response": "rain"}],
                },
            ]
        ),
        "gen_ai.output.messages": json.dumps(
            [
                {
                    "role": "assistant",
                    "parts": [{"type": "text", "content": "Rain."}],
                    "finish_reason": "stop",
                }
            ]
        ),
        "gen_ai.tool.definitions": json.dumps([{"type": "function", **TOOL}]),
    },
}

SAMPLES: dict[str, Any] = {
    "bedrock": {
        "modelId": "m",
        "system": [{"text": "You help."}],
        "messages": [
            {"role": "user", "content": [{"text": "Rain in Bonn?"}]},
            {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "Look."}}},
                    {"toolUse": {"toolUseId": "t1", "name": "weather", "input": {"city": "Bonn"}}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"toolResult": {"toolUseId": "t1", "content": [{"json": {"sky": "rain"}}]}}
                ],
            },
            {"role": "assistant", "content": [{"text": "Rain."}]},
        ],
        "toolConfig": {
            "tools": [
                {
                    "toolSpec": {
                        "name": "weather",
                        "description": "Tell the weather.",
                        "inputSchema": {"json": TOOL["parameters"]},
                    }
                }
            ]
        },
    },
    "anthropic": BLOCKS,
    "responses": ITEMS,
    "gemini": CONTENTS,
    "otel": SPAN,
    "vercel": {
        "system": "You help.",
        "tools": {
            "weather": {
                "description": "Tell the weather.",
                "inputSchema": {"jsonSchema": TOOL["parameters"]},
            }
        },
        "messages": [
            {"id": "m1", "role": "user", "parts": [{"type": "text", "text": "Rain in Bonn?"}]},
            {
                "id": "m2",
                "role": "assistant",
                "parts": [
                    {"type": "step-start"},
                    {"type": "reasoning", "text": "Look."},
                    {
                        "type": "tool-weather",
                        "toolCallId": "c1",
                        "state": "output-available",
                        "input": {"city": "Bonn"},
                        "output": {"sky": "rain"},
                    },
                    {"type": "step-start"},
                    {"type": "text", "text": "Rain.", "state": "done"},
                ],
            },
        ],
    },
    "langchain": {
        "tools": TOOLS,
        "messages": [
            {
                "lc": 1,
                "type": "constructor",
                "id": ["langchain", "schema", "messages", "HumanMessage"],
                "kwargs": {"content": "Rain in Bonn?", "type": "human"},
            },
            {
                "type": "ai",
                "content": "",
                "additional_kwargs": {"reasoning_content": "Look."},
                "tool_calls": [
                    {"name": "weather", "args": {"city": "Bonn"}, "id": "c1", "type": "tool_call"}
                ],
                "invalid_tool_calls": [],
            },
            {"type": "tool", "data": {"content": "rain", "tool_call_id": "c1"}},
            {"type": "ai", "content": "Rain."},
        ],
    },
    "swift": {
        "tools": json.dumps(TOOLS),
        "messages": [
            {"role": "user", "content": "Rain in Bonn?"},
            {"role": "tool_call", "content": '{"name": "weather", "arguments": {"city": "Bonn"}}'},
            {"role": "tool_response", "content": "rain"},
            {"role": "assistant", "content": "Rain.", "loss": True},
        ],
    },
    "gateway": {
        "id": "g1",
        "request": {"model": "m", "messages": ASKED, "tools": TOOLS},
        "response": {"id": "r", "object": "chat.completion", **CHOICE},
    },
    "litellm": {
        "id": "l1",
        "trace_id": "t1",
        "call_type": "acompletion",
        "messages": ASKED,
        "response": CHOICE,
        "model_parameters": {"temperature": 0, "tools": TOOLS},
    },
    "langfuse": {
        "id": "o1",
        "traceId": "t1",
        "type": "GENERATION",
        "name": "chat",
        "input": json.dumps({"messages": ASKED, "tools": TOOLS}),
        "output": CALLING,
    },
    "langsmith": {
        "id": "r1",
        "run_type": "llm",
        "trace_id": "t1",
        "session_id": "project",
        "inputs": {
            "messages": [
                [
                    {
                        "lc": 1,
                        "type": "constructor",
                        "id": ["langchain", "schema", "messages", "HumanMessage"],
                        "kwargs": {"content": "Rain in Bonn?", "type": "human"},
                    }
                ]
            ]
        },
        "outputs": {
            "generations": [
                [
                    {
                        "text": "",
                        "message": {
                            "lc": 1,
                            "type": "constructor",
                            "id": ["langchain", "schema", "messages", "AIMessage"],
                            "kwargs": {
                                "content": "",
                                "type": "ai",
                                "tool_calls": [
                                    {"name": "weather", "args": {"city": "Bonn"}, "id": "c1"}
                                ],
                            },
                        },
                    }
                ]
            ]
        },
        "extra": {"invocation_params": {"tools": TOOLS}, "metadata": {"thread_id": "th1"}},
    },
    "trl": {
        "prompt": ASKED,
        "chosen": [CALLING],
        "rejected": [{"role": "assistant", "content": "No idea."}],
        "tools": TOOLS,
    },
    "xlam": {
        "id": 7,
        "query": "Rain in Bonn?",
        "answers": '[{"name": "weather", "arguments": {"city": "Bonn"}}]',
        "tools": json.dumps(
            [
                {
                    "name": "weather",
                    "description": "Tell the weather.",
                    "parameters": {
                        "city": {"type": "str", "description": "x"},
                        "days": {"type": "int, optional"},
                    },
                }
            ]
        ),
    },
    "openai": {
        "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    },
    "tau_bench": {
        "task_id": 1,
        "trial": 0,
        "traj": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}],
    },
    "taskmaster4": {
        "utterances": [
            {"speaker": "user", "text": "hi", "annotations": []},
            {"speaker": "assistant", "text": "hello"},
        ]
    },
    "sharegpt": {
        "conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]
    },
    "toolrl": {"instruction": RLLA_SYSTEM, "input": RLLA_HISTORY, "output": RLLA_OUTPUT},
    "sgd": {
        "dialogue_id": "d1",
        "services": ["Weather_1"],
        "turns": [
            {
                "speaker": "USER",
                "utterance": "Rain in Bonn?",
                "frames": [{"service": "Weather_1", "state": {}}],
            },
            {
                "speaker": "SYSTEM",
                "utterance": "Rain.",
                "frames": [
                    {
                        "service": "Weather_1",
                        "service_call": {
                            "method": "Get",
                            "parameters": {"city": "Bonn", "unit": "C"},
                        },
                        "service_results": [{"sky": "rain"}],
                    }
                ],
            },
        ],
    },
    "star": {
        "DialogueID": 7,
        "Scenario": {"WizardTask": "Help.", "WizardCapabilities": [{"Task": "weather"}]},
        "Events": [
            {"Agent": "UserGuide", "Action": "instruct", "Text": "Ask for rain."},
            {"Agent": "User", "Action": "utter", "Text": "Rain in Bonn?"},
            {"Agent": "Wizard", "Action": "request_suggestions", "Text": "look it up"},
            {"Agent": "Wizard", "Action": "pick_suggestion", "Text": "One moment."},
            star_query(
                {"City": '"Bonn"'},
                {"Pin": "0314"},
                {"Exact": "True"},
                {"Pin": "0314"},
                {"Days": "api.is_at_least(2)"},
                {"Days": "api.is_less_than(5)"},
            ),
            {
                "Agent": "KnowledgeBase",
                "Action": "return_item",
                "Item": {"Sky": "rain"},
                "TotalItems": 1,
            },
            {"Agent": "Wizard", "Action": "utter", "Text": "Rain."},
            {"Agent": "User", "Action": "complete"},
        ],
    },
    "api_bank": {
        "file": "level-1/x.jsonl",
        "turns": [
            {"role": "User", "text": "What day is it?"},
            {"role": "AI", "text": "Let me see."},
            {
                "role": "API",
                "api_name": "GetToday",
                "param_dict": {},
                "result": {
                    "api_name": "GetToday",
                    "input": {},
                    "output": "2023",
                    "exception": None,
                },
            },
            {"role": "AI", "text": "2023."},
        ],
    },
    "functionchat": {
        "dialog_num": 3,
        "tools": [WEATHER | {"parameters": {"type": "object"}}],
        "turns": [
            {
                "query": [{"role": "user", "content": "비?"}],
                "type_of_output": "slot",
                "ground_truth": {"role": "assistant", "content": "어디?"},
            },
            {
                "query": [
                    {"role": "user", "content": "비?"},
                    {"role": "assistant", "content": "어디?"},
                    {"role": "user", "content": "본"},
                ],
                "type_of_output": "call",
                "ground_truth": {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "random_id",
                            "type": "function",
                            "function": {"name": "weather", "arguments": '{"city": "본"}'},
                        }
                    ],
                },
            },
        ],
    },
    "bfcl": {
        "id": "live_multiple_3-1-0",
        "function": [WEATHER],
        "question": [[{"role": "user", "content": "Rain in Bonn?"}]],
        "ground_truth": [
            {
                "weather": {
                    "city": ["Bonn", "Bonn, Germany"],
                    "days": ["one", 1],
                    "unit": ["", "celsius"],
                    "exact": [1],
                    "spots": [[{"name": ["Rhein", "Rhine"]}]],
                    "options": [{"lang": ["en", "English"], "more": ["", "x"]}],
                    "raw": [["a", "b"]],
                }
            }
        ],
    },
    "acebench": {
        "id": "normal_multi_turn_user_adjust_4_1",
        "time": "Today is Friday.",
        "function": [WEATHER],
        "question": "user: Rain?\nsystem: Where?\nuser: In Bonn,\nand in Ulm.\n",
        "ground_truth": {"weather_1": {"city": "Bonn"}, "weather_2": {"city": "Ulm"}},
    },
    "when2call": {
        "uuid": "u1",
        "question": "Rain?",
        "correct_answer": "request_for_info",
        "answers": {"tool_call": "{}", "request_for_info": "Where?"},
        "tools": [json.dumps(WEATHER)],
    },
    "toolalpaca": {
        "Name": "Sky",
        "Documentation": json.dumps(OPENAPI),
        "Instructions": ["Rain in Bonn?", "In Bonn and Ulm?"],
        "Golden_Answers": [
            [{"Action": "weather", "Action_Input": '{"city": "Bonn"}'}],
            [{"Action": "weather", "Action_Input": "{}"}] * 2,
        ],
    },
}


def read_sample(folder: Path, record: Any, tools: Any = None) -> list[Conversation | Rejected]:
    path = folder / "log.json"
    path.write_text(json.dumps([record]), encoding="utf-8")
    if tools is None:
        return list(read_files([path]))
    (folder / "weather.json").write_text(json.dumps(tools), encoding="utf-8")
    return list(read_files([path], tools=folder / "weather.json"))


def one(folder: Path, record: Any, tools: Any = None) -> Conversation:
    (item,) = read_sample(folder, record, tools)
    assert isinstance(item, Conversation), item
    return item


def refused(folder: Path, record: Any, tools: Any = None) -> Rejected:
    (item,) = read_sample(folder, record, tools)
    assert isinstance(item, Rejected), item
    return item


def outline(conversation: Conversation) -> list[tuple[Any, ...]]:
    """Return (role, content) of every message, and (name, arguments) of its calls."""
    return [
        (m.role, m.content, *((call.name, call.arguments) for call in m.tool_calls))
        for m in conversation.messages
    ]


def test_every_format_has_a_sample() -> None:
    assert SAMPLES.keys() == FORMATS.keys()


@pytest.mark.parametrize("name", SAMPLES)
def test_exactly_one_reader_recognises_a_record(name: str) -> None:
    assert [key for key, reader in FORMATS.items() if reader.recognises(SAMPLES[name])] == [name]


def test_toolrl(tmp_path: Path) -> None:
    item = one(tmp_path, SAMPLES["toolrl"])
    assert outline(item) == [
        ("system", "You help."),
        ("user", "Rain in Bonn?"),
        ("assistant", "", ("weather", {"city": "Bonn"}), ("sun", {"day": "today"})),
        ("tool", '{"name": "weather", "results": "rain"}'),
        ("tool", '{"name": "sun", "results": 6}'),
        ("assistant", "Rain."),
        ("user", "And in Ulm?"),
        ("assistant", "", ("weather", {"city": "Ulm"})),
    ]
    # The canned thought of the history is none; the distilled one of the action is kept.
    assert [m.reasoning_content for m in item.messages if m.role == "assistant"] == [
        None,
        None,
        "Ulm, then.",
    ]
    assert [tool_name(tool) for tool in item.tools] == ["weather", "sun"]
    assert item.tools[0]["function"]["description"] == "Tell the weather.\nTwo lines of it."
    assert item.tools[1]["function"]["parameters"]["properties"] == {"day": {"type": "string"}}


def test_the_three_spellings_of_toolrl(tmp_path: Path) -> None:
    system, user = RLLA_SYSTEM, "**Dialogue Records History**\n<user> Rain in Ulm? </user>"
    prompt = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    call = {"name": "weather", "parameters": {"city": "Ulm"}}
    rows = [
        {"instruction": system, "input": user, "output": RLLA_OUTPUT},
        {"prompt": prompt, "reward_model": {"style": "rule", "ground_truth": RLLA_OUTPUT}},
        {"system": system, "user": user, "answer": call},
        {"system": system, "user": user, "answer": [call]},
    ]
    for item in [one(tmp_path, row) for row in rows]:
        assert outline(item) == [
            ("system", "You help."),
            ("user", "Rain in Ulm?"),
            ("assistant", "", ("weather", {"city": "Ulm"})),
        ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"output": "<think> So: <tool_call> </think>\n<response> x </response>"}, "control_tag"),
        ({"output": "Rain."}, "unread_text"),
        ({"output": "<tool_call>\n{weather}\n</tool_call>"}, "broken_json"),
        ({"input": "<obs> 1 </obs>"}, "unpaired_results"),
        ({"instruction": RLLA_SYSTEM.replace("{'day'", "{day")}, "bad_tools"),
    ],
)
def test_unusable_rows_of_toolrl(tmp_path: Path, change: dict[str, str], reason: str) -> None:
    assert refused(tmp_path, SAMPLES["toolrl"] | change).reason == reason


def test_sgd(tmp_path: Path) -> None:
    item = one(tmp_path, SAMPLES["sgd"], SGD_TOOLS)
    assert item.id == "d1"
    assert outline(item) == [
        ("user", "Rain in Bonn?"),
        ("assistant", "", ("Weather_1_Get", {"city": "Bonn", "unit": "C"})),
        ("tool", '[{"sky": "rain"}]'),
        ("assistant", "Rain."),
    ]
    # Weather_11 is another service, and not one of the dialogue's.
    (tool,) = item.tools
    assert tool["function"]["name"] == "Weather_1_Get"
    assert tool["function"]["parameters"] == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Where"},
            "unit": {"type": "string", "enum": ["C", "F", "dontcare"], "default": "dontcare"},
        },
        "required": ["city"],
        "additionalProperties": False,
    }


def test_star(tmp_path: Path) -> None:
    item = one(tmp_path, SAMPLES["star"], STAR_API)
    arguments = {
        "City": "Bonn",
        "Pin": "0314",
        "Exact": True,
        "Days": {"is_at_least": 2, "is_less_than": 5},
    }
    assert outline(item) == [
        ("system", "Help."),
        ("user", "Rain in Bonn?"),
        ("assistant", "One moment.", ("weather", arguments)),
        ("tool", '{"Item": {"Sky": "rain"}, "TotalItems": 1}'),
        ("assistant", "Rain."),
    ]
    assert [tool_name(tool) for tool in item.tools] == ["weather"]


@pytest.mark.parametrize(
    ("constraints", "expected"),
    [
        ([{"City": 'api.is_equal_to("Ulm")'}], {"City": "Ulm"}),
        ([{"City": 'api.is_one_of(["Ulm","Bonn"])'}], {"City": {"is_one_of": ["Ulm", "Bonn"]}}),
        ([{"City": '"Ulm"'}, {"Days": "api.is_equal_to()"}, {"Pin": "null"}], {"City": "Ulm"}),
        ([{"City": '"Ulm"'}, {"City": '"Bonn"'}], "conflicting_arguments"),
        ([{"City": '"Rome"'}], "bad_arguments"),
        ([{"City": '"Ulm"'}, {"Days": "two"}], "bad_call"),
        ([{"Pin": '"1"'}], "bad_arguments"),
    ],
)
def test_constraints_of_star(tmp_path: Path, constraints: list[Any], expected: Any) -> None:
    record = copy.deepcopy(SAMPLES["star"])
    record["Events"][4] = star_query(*constraints)
    (item,) = read_sample(tmp_path, record, STAR_API)
    if isinstance(item, Rejected):
        assert item.reason == expected
    else:
        assert item.messages[2].tool_calls[0].arguments == expected


def test_api_bank(tmp_path: Path) -> None:
    item = one(tmp_path, SAMPLES["api_bank"])
    assert item.id == "level-1/x"
    assert outline(item) == [
        ("user", "What day is it?"),
        ("assistant", "Let me see.", ("GetToday", {})),
        ("tool", '{"output": "2023", "exception": null}'),
        ("assistant", "2023."),
    ]


def test_functionchat(tmp_path: Path) -> None:
    item = one(tmp_path, SAMPLES["functionchat"])
    assert outline(item) == [
        ("user", "비?"),
        ("assistant", "어디?"),
        ("user", "본"),
        ("assistant", "", ("weather", {"city": "본"})),
    ]
    assert [m.labels for m in item.messages] == [(), ("slot",), (), ("call",)]


def test_every_wording_and_list_of_tools_of_functionchat_is_a_conversation(tmp_path: Path) -> None:
    tool = WEATHER | {"parameters": {"type": "object"}}
    queries = [{"serial_num": n, "content": f"q{n}"} for n in (5, 6)]
    gold = json.dumps({"name": "weather", "arguments": "{}"})
    record = {
        "function_num": 2,
        "query": queries,
        "ground_truth": [{"serial_num": n, "content": gold} for n in (5, 6)],
        "tools": [{"type": "exact", "content": [tool]}, {"type": "close", "content": [tool]}],
    }
    items = [i for i in read_sample(tmp_path, record) if isinstance(i, Conversation)]
    assert [(i.id, i.group, i.messages[0].content, i.messages[1].labels) for i in items] == [
        ("singlecall-5-exact", "singlecall-2", "q5", ("exact",)),
        ("singlecall-5-close", "singlecall-2", "q5", ("close",)),
        ("singlecall-6-exact", "singlecall-2", "q6", ("exact",)),
        ("singlecall-6-close", "singlecall-2", "q6", ("close",)),
    ]
    assert refused(tmp_path, record | {"query": queries[:1]}).reason == "bad_field"


def test_bfcl(tmp_path: Path) -> None:
    item = one(tmp_path, SAMPLES["bfcl"])
    # "one" is no integer; the empty text stands for leaving out what is not required; of an
    # array of strings, the array is the value.
    arguments = {
        "city": "Bonn",
        "days": 1,
        "exact": 1,
        "spots": [{"name": "Rhein"}],
        "options": {"lang": "en"},
        "raw": ["a", "b"],
    }
    assert outline(item) == [("user", "Rain in Bonn?"), ("assistant", "", ("weather", arguments))]
    assert item.messages[-1].labels == ("live_multiple",)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ground_truth": None}, "no_gold"),
        ({"ground_truth": [{"weather": {"city": []}}]}, "no_gold"),
        ({"question": [[], []]}, "needs_execution"),
        ({"function": None}, "needs_execution"),
    ],
)
def test_items_of_bfcl_without_a_recorded_call(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    assert refused(tmp_path, SAMPLES["bfcl"] | change).reason == reason


@pytest.mark.parametrize("name", ["bfcl", "acebench"])
def test_answers_beside_the_file_are_joined_by_id(tmp_path: Path, name: str) -> None:
    record = dict(SAMPLES[name])
    gold = {"id": record["id"], "ground_truth": record.pop("ground_truth")}
    path = tmp_path / "items.json.gz"
    path.write_bytes(gzip.compress(json.dumps(record).encode()))
    (tmp_path / "possible_answer").mkdir()
    (without,) = read_files([path])
    assert isinstance(without, Rejected)
    assert without.reason == "no_gold"
    beside = tmp_path / "possible_answer" / path.name
    beside.write_bytes(gzip.compress(json.dumps(gold).encode()))
    (item,) = read_files([path])
    assert isinstance(item, Conversation)
    assert item.messages == one(tmp_path, SAMPLES[name]).messages


def test_acebench(tmp_path: Path) -> None:
    item = one(tmp_path, SAMPLES["acebench"])
    assert outline(item) == [
        ("system", "Today is Friday."),
        ("user", "Rain?"),
        ("assistant", "Where?"),
        ("user", "In Bonn,\nand in Ulm."),
        ("assistant", "", ("weather", {"city": "Bonn"}), ("weather", {"city": "Ulm"})),
    ]
    assert item.group == "normal_multi_turn_user_adjust_4"
    assert item.messages[-1].labels == ("normal_multi_turn_user_adjust",)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"ground_truth": "It cannot be done."}, ("assistant", "It cannot be done.")),
        (
            {"ground_truth": [{"weather": {"city": "Bonn"}}, {"weather": {"city": "Ulm"}}]},
            ("assistant", "", ("weather", {"city": "Bonn"})),
        ),
        ({"id": "special_incomplete_1", "ground_truth": {"weather": ["city"]}}, "no_gold"),
        ({"question": 'user: a\nsystem: [weather(city="x")]\nuser: b'}, "no_results"),
        ({"question": "Rain?"}, "unknown_role"),
        ({"initial_config": {}}, "needs_execution"),
    ],
)
def test_kinds_of_acebench(tmp_path: Path, change: dict[str, Any], expected: Any) -> None:
    (item,) = read_sample(tmp_path, SAMPLES["acebench"] | change)
    got = item.reason if isinstance(item, Rejected) else outline(item)[-1]
    assert got == expected


def test_when2call(tmp_path: Path) -> None:
    item = one(tmp_path, SAMPLES["when2call"])
    assert outline(item) == [("user", "Rain?"), ("assistant", "Where?")]
    assert (item.id, item.messages[1].labels) == ("u1", ("request_for_info",))
    call = {"name": "weather", "arguments": {"city": "Bonn"}}
    change = {"correct_answer": "tool_call", "answers": {"tool_call": json.dumps(call)}}
    item = one(tmp_path, SAMPLES["when2call"] | change)
    assert outline(item)[1] == ("assistant", "", ("weather", {"city": "Bonn"}))


def test_every_instruction_of_toolalpaca_is_a_conversation(tmp_path: Path) -> None:
    item, rejected = read_sample(tmp_path, SAMPLES["toolalpaca"])
    assert isinstance(item, Conversation)
    assert isinstance(rejected, Rejected)
    assert outline(item) == [
        ("user", "Rain in Bonn?"),
        ("assistant", "", ("weather", {"city": "Bonn"})),
    ]
    assert (item.id, item.group, rejected.reason) == ("log-1.1", "Sky", "no_results")


def test_foreign_types() -> None:
    assert json_schema(
        {
            "type": "dict",
            "properties": {
                "type": {"type": "str"},
                "rows": {"type": "ArrayList", "items": {"type": "long"}},
                "any": {"type": "any", "required": True},
            },
            "required": ["type"],
        }
    ) == {
        "type": "object",
        "properties": {
            "type": {"type": "string"},
            "rows": {"type": "array", "items": {"type": "integer"}},
            "any": {},
        },
        "required": ["type", "any"],
    }


# --- Whatever else a record holds -------------------------------------------------------------

JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, 1.5, "", "x", "{}", "[1]", [], [None], [[]], {}, {"id": 1}]
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values inside a JSON value."""
    if not isinstance(value, dict | list):
        return [path]
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    return [path, *(p for key, member in inner for p in places(member, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    out = value.copy()
    out[path[0]] = replaced(value[path[0]], path[1:], new)
    return out


@settings(deadline=None, max_examples=60)
@pytest.mark.parametrize("name", SAMPLES)
@given(data=st.data())
def test_a_damaged_record_is_read_or_refused_in_words(name: str, data: st.DataObject) -> None:
    """No reader fails otherwise than by `Unusable`, whatever stands anywhere in a record."""
    sample, reader = SAMPLES[name], FORMATS[name]
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(places(sample)))
        sample = replaced(sample, path, data.draw(JUNK))
    reader.recognises(sample)
    try:
        for part in reader.parts(sample) if reader.parts else [sample]:
            reader.read(part, default_id="x", tools=())
    except Unusable as error:
        assert error.detail
