"""What the tests ask the server."""

from typing import Any

import httpx2 as httpx

from actwise.conversation import Decision
from actwise.desk import generate

CONVERSATIONS = generate("test", 3, seed=5)
DECISIONS = [decision for c in CONVERSATIONS for decision in c.decisions()]
HI = [{"role": "user", "content": "Hi"}]


def asked(decision: Decision) -> dict[str, Any]:
    """What a client sends to have a decision made."""
    return {
        "messages": [m.to_dict(thought=False) for m in decision.history],
        "tools": list(decision.conversation.tools),
    }


def metric(url: str, name: str) -> float:
    """The sum of what the server counts under names that begin so."""
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))
