"""One record of every foreign format, written by hand."""

import json
from typing import Any

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
ENTRIES: Any = {
    "model": "m",
    "instructions": "You help.",
    "tools": TOOLS,
    "completion_args": {"temperature": 0.3, "tool_choice": "auto"},
    "inputs": [
        {"role": "user", "content": "Rain in Bonn?", "object": "entry", "type": "message.input"},
        {
            "object": "entry",
            "type": "function.call",
            "id": "fc1",
            "created_at": "2026-01-01T00:00:00Z",
            "tool_call_id": "c1",
            "name": "weather",
            "arguments": '{"city": "Bonn"}',
        },
        {"object": "entry", "type": "function.result", "tool_call_id": "c1", "result": "rain"},
    ],
    "object": "conversation.response",
    "conversation_id": "conv1",
    "outputs": [
        {
            "object": "entry",
            "type": "message.output",
            "id": "m1",
            "role": "assistant",
            "model": "m",
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "Wet."}]},
                {"type": "text", "text": "Rain."},
            ],
        }
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
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
    "mistral": ENTRIES,
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
