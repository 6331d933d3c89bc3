"""What a chat template is given where it cannot express what is trained here.

Text before and after the template's own, in Jinja, kept in the tokenizer that is saved with the
model: what is trained is what is served, by whatever server. The template's own text stays as it
is, and so do its renderings of everything that it could express.
"""

import datetime
import re

from actwise.template.syntaxes import QWEN

_PINNED = datetime.datetime(2024, 7, 26)
"""The day that Llama's own template falls back to where it is not told today's."""
_CLOCK = re.compile(r"strftime_now\(\s*([\"'])(.*?)\1\s*\)")

_WRITE_QWEN = (
    '{%- for call in calls -%}{{ "" if loop.first else "\\n" }}'
    '{{ "<tool_call>\\n" }}{"name": "{{ call.function.name }}", '
    '"arguments": {{ call.function.arguments | tojson }}}{{ "\\n</tool_call>" }}{%- endfor -%}'
)


def pin_date(template: str) -> str:
    """Replace today's date by a fixed one: prompts would change overnight."""
    return _CLOCK.sub(lambda found: repr(_PINNED.strftime(found[2])), template)


def show_tools(template: str) -> str:
    """Hand the tools to a template that knows them by the name of `xml_tools`."""
    return "{%- set xml_tools = tools +%}" + template


def write_calls(template: str) -> str:
    """Make calls part of the content, for a template that knows nothing of calls."""
    content = "{{ message.content + '\n' if message.content else '' }}" + _WRITE_QWEN
    kept = "role=message.role, reasoning_content=message.reasoning_content or none"
    return _rewrite("message.tool_calls", content, kept) + template


def fold_thoughts(template: str, write: str) -> str:
    """Make the thought of the last turn part of its content.

    Args:
        template: It knows nothing of thoughts.
        write: Jinja that writes `calls` behind the thought; empty where the template writes them
            behind any content.
    """
    begin, end = QWEN.think
    content = (
        f"{{{{ {begin + chr(10)!r} + message.reasoning_content + {chr(10) + end!r} }}}}"
        "{{ '\n\n' + message.content if message.content else '' }}"
    )
    if write:
        content += f"{{%- if message.tool_calls -%}}{{{{ '\n\n' }}}}{write}{{%- endif -%}}"
    kept = "role=message.role" if write else "message, reasoning_content=none, thinking=none"
    return _rewrite("loop.last and message.reasoning_content", content, kept) + template


def open_thought(template: str, opener: str) -> str:
    """Let the generation prompt open the thought in thinking mode, by which the modes differ."""
    own = template.removesuffix("\n")  # Jinja drops it at the end, and would keep it in the middle
    return (
        own + "{%+ if add_generation_prompt and enable_thinking is defined and enable_thinking -%}"
        f"{{{{ {opener!r} }}}}{{%- endif %}}"
    )


def _rewrite(condition: str, content: str, kept: str) -> str:
    """Return Jinja that gives the messages which meet a condition another content.

    Args:
        condition: A condition on a `message`.
        content: Writes the content.
        kept: Arguments of `dict` for what else is in the message.
    """
    return (
        "{%- set rewritten = namespace(messages=[]) -%}"
        "{%- for message in messages -%}"
        f"{{%- if {condition} -%}}"
        "{%- set calls = message.tool_calls -%}"
        f"{{%- set content -%}}{content}{{%- endset -%}}"
        f"{{%- set message = dict({kept}, content=content) -%}}"
        "{%- endif -%}"
        "{%- set rewritten.messages = rewritten.messages + [message] -%}"
        "{%- endfor -%}"
        "{%- set messages = rewritten.messages +%}"
    )
