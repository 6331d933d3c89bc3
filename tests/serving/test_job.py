"""A request on its way, with tokens that come when nobody reads."""

import asyncio
from typing import Any

import pytest

from actwise.engine.batch import Token
from actwise.serving.job import Job
from actwise.serving.protocol import ChatRequest
from serving.test_choice import END, TEMPLATE, make_prompt, make_request

PATIENCE = 60.0  # of a test that would else wait for ever


class Told:
    """A request for some choices, in each of which a model writes what it is told to."""

    def __init__(self, choices: int, *, thinking: bool = False, budget: int | None = None) -> None:
        prompt = make_prompt(thinking=thinking)
        ask = ChatRequest(model="m", messages=[{"role": "user", "content": "Hi"}], n=choices)
        self.job = Job(
            ask,
            prompt,
            [make_request(prompt) for _ in range(choices)],
            budget=budget,
            on_stop=lambda requests: None,
            on_cut=lambda job, old, new: job.deliver(Token(new, END, 0.0, "stop")),
        )
        self.chunks = self.job.chunks(usage=False)
        self.content = [""] * choices
        self.reasons: list[str] = []

    async def write(self, text: str, *, ends: bool = False) -> None:
        """Write the same in each choice, a token at a time."""
        ids = TEMPLATE.encode(text)
        for number, i in enumerate([*ids, END] if ends else ids):
            reason = "stop" if number == len(ids) else None
            for request in self.job.requests:
                self.job.deliver(Token(request, i, 0.0, reason))
            await asyncio.sleep(0)

    def take(self, chunk: dict[str, Any]) -> None:
        """Take a piece."""
        choice = chunk["choices"][0]
        self.content[choice["index"]] += choice["delta"].get("content", "")
        self.reasons += [choice["finish_reason"]] if choice["finish_reason"] else []

    async def read_all(self) -> None:
        """Take all pieces that are left."""
        async for chunk in self.chunks:
            self.take(chunk)


@pytest.mark.parametrize(("choices", "taken"), [(1, 1), (1, 2), (3, 3), (3, 4), (3, 5), (3, 6)])
def test_a_client_that_reads_slowly_gets_the_whole_answer(choices: int, taken: int) -> None:
    async def scene() -> Told:
        told = Told(choices)
        await told.write("One two")
        for _ in range(taken):  # there is a first piece and one of text for each choice
            told.take(await anext(told.chunks))
        await told.write(" three, and four.", ends=True)
        await asyncio.wait_for(told.read_all(), PATIENCE)
        return told

    told = asyncio.run(scene())
    assert told.content == ["One two three, and four."] * choices
    assert told.reasons == ["stop"] * choices


@pytest.mark.parametrize("budget", range(18))
def test_a_cut_that_leaves_as_many_tokens_as_were_read_is_read(budget: int) -> None:
    async def scene() -> Told:
        told = Told(1, thinking=True, budget=budget)
        reading = asyncio.ensure_future(told.read_all())
        await told.write("<think>\nabcdefghijklmnopqrstuvwxyz so")  # cut behind the long word
        await asyncio.wait_for(reading, PATIENCE)
        return told

    assert asyncio.run(scene()).reasons == ["stop"]
