"""API-Bank (github.com/AlibabaResearch/DAMO-ConvAI, api-bank), levels 1 and 2.

Upstream's dialogues are files of turns with the roles User, AI and API; joined, one record is one
file. What API returned repeats its name and input, which the call holds, and is dropped.
"""

import json
import re
from typing import Any

from actwise.conversation import Conversation, Tool
from actwise.formats.fields import list_at, object_at, text_at
from actwise.formats.keys import BOOKKEEPING, Keys, known
from actwise.formats.record import Unusable, clip
from actwise.formats.schema import function_tool
from actwise.formats.turns import Turns

# Upstream's table all_apis.csv describes another version of the APIs: most dialogues contradict it.
# These hold the arguments that the dialogues' calls contain (texts, all of them); required is what
# no call lacks.
_SIGNATURES = """
AddAgenda token content time location
AddAlarm token time
AddMeeting token meeting_topic start_time end_time location attendees
AddReminder token content time
AppointmentRegistration patient_name date doctor_name
BookHotel hotel_name check_in_time check_out_time room_count adult_count child_count
Calculator formula
CancelRegistration appointment_id
CancelTimedSwitch device_id time
DeleteAccount token
DeleteAgenda token content time location
DeleteAlarm token time
DeleteMeeting token meeting_topic start_time end_time location attendees
DeleteReminder token content time
DeleteScene name
Dictionary keyword
DocumentQA url question
EmergencyKnowledge symptom
ForgotPassword status username? email? verification_code? new_password?
GetToday
GetUserToken username password
ImageCaption url
ModifyAgenda token content time location
ModifyAlarm token from_time to_time
ModifyMeeting token meeting_topic start_time end_time location attendees
ModifyPassword token old_password new_password
ModifyRegistration appointment_id new_appointment_date new_appointment_doctor
ModifyReminder token content time
OpenBankAccount account password name
PlayMusic music_name
QueryAgenda token content time location
QueryAlarm token time
QueryBalance token
QueryHealthData user_id start_time end_time
QueryHistoryToday date
QueryMeeting token meeting_topic start_time end_time location attendees
QueryRegistration patient_name date
QueryReminder token content time
QueryScene name
QueryStock stock_code date
RecordHealthData user_id time health_data
RegisterUser username password email
SearchEngine keyword
SendEmail receiver subject content
SpeechRecognition url
SymptomSearch symptom
TimedSwitch device_id time on
ToolSearcher keywords
Translate src tgt_lang
Wiki keyword
"""


def _tool(signature: str) -> Tool:
    name, *arguments = signature.split()
    parameters = {
        "type": "object",
        "properties": {argument.rstrip("?"): {"type": "string"} for argument in arguments},
        "required": [argument for argument in arguments if not argument.endswith("?")],
        "additionalProperties": False,
    }
    return function_tool(name, re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name), parameters)


TOOLS: tuple[Tool, ...] = tuple(_tool(line) for line in _SIGNATURES.strip().splitlines())
KEYS: Keys = BOOKKEEPING | known("file turns")


def recognises(record: Any) -> bool:
    """Return whether a record looks like a dialogue of API-Bank."""
    return isinstance(record, dict) and {"file", "turns"} <= record.keys()


def read(record: Any, *, default_id: str, tools: tuple[Tool, ...]) -> Conversation:
    """Read one dialogue; `tools`, where given, replaces the reader's own. See `openai.read`."""
    out = Turns()
    for index, turn in enumerate(list_at(record, "turns", "the record")):
        _add_turn(out, turn, f"turn {index}")
    file = record.get("file")
    return Conversation(
        id=file.removesuffix(".jsonl") if isinstance(file, str) and file else default_id,
        messages=tuple(out.messages),
        tools=tools or TOOLS,
    )


def _add_turn(out: Turns, turn: Any, place: str) -> None:
    role = text_at(turn, "role", place)
    if role == "API":
        name, result = text_at(turn, "api_name", place), object_at(turn, "result", place)
        told = {key: result[key] for key in ("output", "exception") if key in result}
        call_id = out.call(name, object_at(turn, "param_dict", place))
        out.result(call_id, name, json.dumps(told, ensure_ascii=False))
    elif role in ("User", "AI"):
        out.say("user" if role == "User" else "assistant", text_at(turn, "text", place))
    else:
        raise Unusable(
            "unknown_role", f"{place} has the role {clip(repr(role), 40)}; use User, AI or API"
        )
