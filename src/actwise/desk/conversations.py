"""Logs of the desk: generated, reproducible, each with a world of its own.

The id of a conversation is the seed of everything in it.
"""

import re
from collections.abc import Mapping
from contextlib import closing
from random import Random

from actwise.conversation import Conversation
from actwise.desk.domains import DOMAINS
from actwise.desk.talk import Domain, Talk
from actwise.desk.world import World
from actwise.errors import ConfigError

Knowledge = Mapping[str, object]
"""What a customer knows of a request: "number", "product", "quantity" and so on."""
SPLITS = ("train", "dev", "test", "shifted")
"""`shifted` alone has other wordings, policy texts and values, goods, and names of tools."""

_LAST_START = 5
"""A third request is made only after this many decisions or fewer, so that no more than 8 occur."""


def generate(split: str, count: int, seed: int = 0) -> list[Conversation]:
    """Return conversations of customers with an expert who keeps to the policy.

    Every assistant message has the expert's thought as `reasoning_content` and as labels the
    domain, the kind of act (see `expert.ActKind`), and "reasoning" where the decision takes
    arithmetic, a comparison, or a rule applied to what a tool returned.

    Args:
        split: One of `SPLITS`.
        count: How many; the first n of a longer list are the list of n.
        seed: Lists of different seeds or splits have no conversation in common.

    Raises:
        ConfigError: The split is unknown.
    """
    if split not in SPLITS:
        raise ConfigError(f"the desk has no split {split!r}; use one of {', '.join(SPLITS)}")
    return [generate_one(f"desk-{split}-{seed}-{number}") for number in range(count)]


def is_of_the_desk(conversation_id: str) -> bool:
    """Return whether `generate` makes a conversation of this id."""
    return re.fullmatch(rf"desk-({'|'.join(SPLITS)})-\d+-\d+", conversation_id) is not None


def open_world(conversation_id: str) -> World:
    """Return the world of a conversation as it was before the first message; close it after use.

    Args:
        conversation_id: As `generate` made it.
    """
    _, split, _ = conversation_id.split("-", 2)
    business = _domain(conversation_id).business
    return World(business, Random(f"{conversation_id}/world"), shifted=split == "shifted")


def knowledge(conversation_id: str) -> list[Knowledge]:
    """Return what the customer of a conversation knows at each of her messages.

    Args:
        conversation_id: As `generate` made it.
    """
    return list(_talk(conversation_id).knowledge)


def _domain(conversation_id: str) -> Domain:
    return Random(f"{conversation_id}/domain").choice(DOMAINS)


def generate_one(conversation_id: str) -> Conversation:
    """Return one of the conversations that `generate` makes, by its id."""
    talk = _talk(conversation_id)
    tools = talk.world.tools()
    return Conversation(id=conversation_id, messages=tuple(talk.messages), tools=tools)


def _talk(conversation_id: str) -> Talk:
    """Return a whole conversation; its database is closed."""
    domain = _domain(conversation_id)
    rng = Random(f"{conversation_id}/talk")
    with closing(open_world(conversation_id)) as world:
        talk = Talk(domain, world, rng)
        scenes = [scene for scene in domain.scenes if world.offers(*scene.needs)]
        requests = rng.choice((2, 3))
        while (
            talk.requests < 2
            or talk.decisions < 3
            or (talk.requests < requests and talk.decisions <= _LAST_START)
        ):
            talk.come_for_another()
            talk.drop_a_request()
            scene = rng.choices(scenes, [scene.weight for scene in scenes])[0]
            scenes.remove(scene)
            scene.play(talk)
        return talk
