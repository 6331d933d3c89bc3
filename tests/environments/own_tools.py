"""Tools such as a user might write, good and bad."""

import asyncio
import datetime
import os
import subprocess
import sys
import time
from typing import Any

STATELESS = {"lookup": lambda number: {"number": number}}


class Shop:
    def __init__(self, conversation_id: str) -> None:
        self.orders: dict[int, str] = {}
        self._conversation = conversation_id

    def lookup(self, number: int) -> str:
        print("looking up", number)
        return self.orders.get(number, f"nothing in {self._conversation}")

    def order(self, number: int, thing: str = "lamp") -> dict[str, Any]:
        self.orders[number] = thing
        return {"ordered": thing}

    def ask(self) -> str:
        read = "import sys; print(repr(sys.stdin.read()))"
        return subprocess.run([sys.executable, "-c", read], stdout=-1, text=True).stdout

    def hang(self) -> None:
        time.sleep(1000)

    def swallow(self) -> None:
        while True:
            try:
                time.sleep(1000)
            except BaseException:  # such code exists
                continue

    def fail(self) -> None:
        raise ValueError("no\nsuch thing")

    def exit(self) -> None:
        raise SystemExit(3)

    def die(self) -> None:
        os._exit(1)

    def megabyte(self) -> str:
        return "x" * 5_000_000

    def _secret(self) -> str:
        return "secret"

    def state(self) -> dict[int, str]:
        return self.orders


class Order:
    def __init__(self, number: int) -> None:
        self.number = number


class Keeper:
    """Its state is what the conversation is called."""

    def __init__(self, conversation_id: str) -> None:
        words = ["a", "bb", "ccc", "dddd", "eeeee"]
        order = words if os.getpid() % 2 else words[::-1]
        self._state: Any = {
            "sets": {"b": set(order), "a": [frozenset({(2, "x"), (1, "y")})]},
            "object": {"orders": [Order(1)]},
            "keys": {"a": 1, 2: 3},
            "large": "x" * 2_000_000 + conversation_id,
        }[conversation_id]

    def state(self) -> Any:
        return self._state

    def order(self) -> Order:
        return Order(1)

    def when(self) -> dict[str, Any]:
        return {"day": datetime.date(2024, 2, 29), "in": {"b", "a"}}

    async def wait(self) -> dict[str, int]:
        await asyncio.sleep(0)
        return {"waited": 1}


def cannot_be_reset(conversation_id: str) -> object:
    raise RuntimeError("no database")
