"""Short exercises that teach the base model to copy, to look up and to calculate.

They come first in its training: copying out of the context is the skill a small model learns most
slowly, and everything else rests on it. Each exercise is a little conversation whose last message
is the answer to learn. Needs neither torch nor transformers.
"""

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pydoc_data.topics import topics

from actwise.conversation import Message, Tool, ToolCall


def words(text: str) -> tuple[str, ...]:
    """Return the words of a text; a list of them reads best as one."""
    return tuple(text.split())


_CONSONANTS = words("b c d f g h j k l m n p r s t v w z br ch cl dr fl gr kl pr sh sk sp st th tr")
_VOWELS = words("a e i o u a e i o ai ea ee ie oa oo ou")
_ENDS = ("", "", "", *words("n r l s t m x nd rt ck sh"))
_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHXYZ0123456789-_.:/"
MONTHS = words(
    "January February March April May June July August September October November December"
)


@dataclass(frozen=True)
class Exercise:
    """A conversation that ends with the action to learn."""

    messages: tuple[Message, ...]
    """The last one is the assistant's; its `reasoning_content` is the thought to learn."""
    thinking: bool
    """False: rendered with an empty thought, which is context and not learned."""
    tools: tuple[Tool, ...] = ()
    prompt_weight: float = 0.0
    """Weight of the prompt's tokens in the loss; 0 where they are random and cannot be learned."""


def exercise(
    rng: random.Random,
    history: list[Message],
    *,
    thought: str,
    answer: str = "",
    calls: tuple[ToolCall, ...] = (),
    tools: tuple[Tool, ...] = (),
    prompt_weight: float = 0.0,
    thinking_share: float = 0.5,
) -> Exercise:
    """Return an exercise in thinking or in direct mode."""
    thinking = rng.random() < thinking_share
    last = Message(
        role="assistant",
        content=answer,
        tool_calls=calls,
        reasoning_content=thought if thinking else None,
    )
    return Exercise((*history, last), thinking, tools, prompt_weight)


def user(text: str) -> Message:
    """Return a user message."""
    return Message(role="user", content=text)


# Words and identifiers


@cache
def english_words() -> tuple[str, ...]:
    """Return the lower-case words of Python's own help topics, sorted."""
    return tuple(sorted(set(re.findall(r"\b[a-z]{3,10}\b", " ".join(topics.values())))))


def pseudo_word(rng: random.Random, syllables: int | None = None) -> str:
    """Return a pronounceable word that means nothing."""
    count = syllables or rng.choice([1, 1, 2, 2, 2, 3])
    parts = [rng.choice(_CONSONANTS) + rng.choice(_VOWELS) for _ in range(count)]
    return "".join(parts) + rng.choice(_ENDS)


def word(rng: random.Random) -> str:
    """Return an English word or an invented one, seldom capitalised."""
    text = rng.choice(english_words()) if rng.random() < 0.5 else pseudo_word(rng)
    return text.capitalize() if rng.random() < 0.15 else text


def digits(rng: random.Random, low: int = 1, high: int = 6) -> str:
    """Return a string of `low` to `high` digits that does not begin with 0."""
    count = rng.randint(low, high)
    return rng.choice("123456789") + "".join(rng.choices("0123456789", k=count - 1))


def identifier(rng: random.Random) -> str:
    """Return an identifier of one of many shapes: fern-3844, P4821, LX-204, 88213, a3f9."""
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"
    shape = rng.randrange(9)
    if shape <= 2:
        name = pseudo_word(rng) if rng.random() < 0.6 else word(rng).lower()
        return f"{name}-{digits(rng, 2, 5)}"
    if shape == 3:
        return rng.choice(letters) + digits(rng, 3, 6)
    if shape == 4:
        return "".join(rng.choices(letters, k=rng.randint(1, 3))) + "-" + digits(rng, 2, 6)
    if shape == 5:
        return digits(rng, 4, 8)
    if shape == 6:
        return "".join(rng.choices("0123456789abcdef", k=rng.randint(4, 8)))
    if shape == 7:
        return "#" * rng.randrange(2) + rng.choice(letters) + digits(rng, 3, 6)
    return f"{word(rng).lower()}_{word(rng).lower()}" + rng.choice(["", f"_{rng.randint(1, 99)}"])


def value(rng: random.Random) -> str:
    """Return a thing to copy: a number, a word, two words, an identifier or mixed characters."""
    kind = rng.randrange(8)
    if kind <= 1:
        return digits(rng)
    if kind == 2:
        return word(rng)
    if kind == 3:
        return f"{word(rng)} {word(rng)}"
    if kind <= 6:
        return identifier(rng)
    return "".join(rng.choices(_CHARACTERS, k=rng.randint(3, 8)))


def key(rng: random.Random) -> str:
    """Return a field name in snake_case or camelCase."""
    words = [word(rng).lower() for _ in range(rng.choice([1, 1, 1, 2, 2, 3]))]
    if rng.random() < 0.25:
        return words[0] + "".join(part.capitalize() for part in words[1:])
    return "_".join(words)


def distinct(rng: random.Random, make: Callable[[random.Random], str], count: int) -> list[str]:
    """Return `count` different results of `make`."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[make(rng)] = None
    return list(found)


# Copying and looking up


def repeat(rng: random.Random) -> Exercise:
    """Repeat a random string or list of words."""
    text = " ".join(value(rng) for _ in range(rng.choice([1, 2, 3, 4, 5, 8])))
    ask = rng.choice(["Repeat: {}", "Say: {}", "Copy this text: {}", "{}\nWrite that again."])
    return exercise(rng, [user(ask.format(text))], thought="Copy it.", answer=text)


def look_up(rng: random.Random) -> Exercise:
    """Answer one or several keys out of a list of pairs."""
    count = rng.choice([2, 2, 3, 3, 4, 4, 6, 8, 12])
    keys, values = distinct(rng, key, count), distinct(rng, value, count)
    pairs = list(zip(keys, values, strict=True))
    if rng.random() < 0.5:
        text = json.dumps(dict(pairs))
    else:
        between, after = rng.choice([(": ", ", "), (" = ", "\n"), (" is ", ". "), (" -> ", "; ")])
        text = after.join(k + between + v for k, v in pairs)
    asked = rng.sample(pairs, rng.randint(1, min(4, count)))
    if rng.random() < 0.25:
        return exercise(
            rng,
            [user(f"{text}\nWhich has {asked[0][1]}?")],
            thought=f"{asked[0][0]} has {asked[0][1]}.",
            answer=asked[0][0],
        )
    ask = rng.choice(["{}?", "What is {}?", "Give {}.", "Look up {}."])
    return exercise(
        rng,
        [user(f"{text}\n{ask.format(', '.join(k for k, _ in asked))}")],
        thought=" ".join(f"{k} is {v}." for k, v in asked),
        answer=", ".join(v for _, v in asked),
    )


def to_json(rng: random.Random) -> Exercise:
    """Write values told in words as a JSON object."""
    keys = distinct(rng, key, rng.randint(1, 4))
    fields: dict[str, str | int | bool | list[str]] = {}
    told = []
    for name in keys:
        kind = rng.randrange(6)
        if kind == 0:
            number = rng.randint(1, 200)
            fields[name] = number
            told.append(f"{name} {number}")
        elif kind == 1:
            fields[name] = rng.random() < 0.5
            told.append(f"{name} {'yes' if fields[name] else 'no'}")
        elif kind == 2:
            items = distinct(rng, value, rng.randint(1, 3))
            fields[name] = items
            told.append(f"{name} {' and '.join(items)}")
        else:
            text = value(rng)
            fields[name] = text
            told.append(f"{name} {rng.choice(['', 'is ', '= '])}{text}")
    answer = json.dumps(fields)
    ask = rng.choice(["As JSON: {}", "Write JSON with {}", "{}. JSON?"]).format(", ".join(told))
    return exercise(rng, [user(ask)], thought="; ".join(told) + ".", answer=answer)


def record(rng: random.Random) -> Exercise:
    """Pick a field of one record out of a JSON list of records."""
    count = rng.choice([2, 2, 3, 4, 5])
    name, *others = distinct(rng, key, rng.randint(2, 4))
    records = [
        {name: a} | {other: value(rng) for other in others} for a in distinct(rng, value, count)
    ]
    rng.shuffle(others)
    chosen, wanted = rng.choice(records), others[0]
    if rng.random() < 0.5:
        records = [dict(reversed(r.items())) for r in records]
    ask = rng.choice(["{w} of {v}?", "What is the {w} of {v}?", "I mean {v}. Its {w}?"])
    return exercise(
        rng,
        [user(f"{json.dumps(records)}\n{ask.format(w=wanted, v=chosen[name])}")],
        thought=f"{chosen[name]} has {wanted} {chosen[wanted]}.",
        answer=chosen[wanted],
    )


_MENTIONS = [
    "Hello, my {k} is {v} and I have a question.",
    "Hi! I am {n}. The {k} is {v}, thank you.",
    "It concerns {v}, that is the {k} I was given by {n}.",
    "{n} told me to mention {k} {v} when I write to you.",
    "Could you look at {v} for me? It is a {k}. My name is {n}.",
    "I need help with {k} {v}. {n} sent me.",
    "My number is {d} and the {k} I have here says {v}.",
]


def mention(rng: random.Random) -> Exercise:
    """Copy a value out of a sentence."""
    k, v, n = key(rng).replace("_", " "), value(rng), pseudo_word(rng).capitalize()
    text = rng.choice(_MENTIONS).format(k=k, v=v, n=n, d=rng.randint(10, 9999))
    whole = rng.random() < 0.5
    task = f"Find the {k} in what the user writes.{' Answer in a sentence.' if whole else ''}"
    answer = f"The {k} is {v}." if whole else v
    history = [Message(role="system", content=task), user(text)]
    return exercise(rng, history, thought=f"The {k} is {v}.", answer=answer, prompt_weight=0.05)


# Small sums

_MOSTLY = 0.85
"""Share in thinking mode of exercises that a small model hardly does without writing the sum."""


def compare(a: int, b: int) -> str:
    """Return "15 > 14" and the like."""
    return f"{a} {'>' if a > b else '<' if a < b else '='} {b}"


def difference(a: int, b: int) -> str:
    """Return "27 - 12 = 15" for a >= b."""
    return f"{a} - {b} = {a - b}"


def total(a: int, b: int) -> str:
    """Return "48 + 19 = 67"."""
    return f"{a} + {b} = {a + b}"


def operands(rng: random.Random) -> tuple[int, int]:
    """Return two numbers from 1 to 150, the larger first, small ones more often."""
    top = rng.choice([12, 31, 31, 31, 31, 60, 100, 150])
    a, b = rng.randint(1, top), rng.randint(1, top)
    return max(a, b), min(a, b)


def drill(rng: random.Random) -> Exercise:
    """Work out a column of sums and comparisons."""
    asked, answers = [], []
    for _ in range(rng.choice([1, 1, 2, 4, 8, 12, 16])):
        a, b = operands(rng)
        kind = rng.randrange(10)
        if kind < 4:
            asked.append(f"{a} - {b}")
            answers.append(difference(a, b))
        elif kind < 7:
            a, b = (a, b) if rng.random() < 0.5 else (b, a)
            asked.append(f"{a} + {b}")
            answers.append(total(a, b))
        else:
            b = rng.choice([b, b, a, max(1, a - rng.randint(1, 3)), a + rng.randint(1, 3)])
            a, b = (a, b) if rng.random() < 0.5 else (b, a)
            asked.append(f"{a} or {b}")
            answers.append(compare(a, b))
    ask = rng.choice(["{}", "Work out:\n{}", "{}\nHow much?"]).format("\n".join(asked))
    done = "\n".join(answers)
    if len(answers) > 1:
        return exercise(rng, [user(ask)], thought="One by one.", answer=done)
    result = answers[0].split(" = ")[-1]
    return exercise(rng, [user(ask)], thought=f"{done}.", answer=result, thinking_share=_MOSTLY)


_SPANS = [
    ("Today is {m} {a}. It came on {m} {b}.", "days ago"),
    ("It is {m} {a} now and the last visit was on {m} {b}.", "days ago"),
    ("date: {y}-{mm:02d}-{a:02d}\nstarted: {y}-{mm:02d}-{b:02d}", "days ago"),
    ("Today is {m} {b}. It begins on {m} {a}.", "days left"),
    ("today {y}-{mm:02d}-{b:02d}, due {y}-{mm:02d}-{a:02d}", "days left"),
]


def days(rng: random.Random) -> Exercise:
    """Compare the days between two dates with a limit."""
    b, a = sorted(rng.choices(range(1, 31), k=2))
    month = rng.randrange(12)
    gap, limit = a - b, rng.choice([3, 5, 7, 10, 14, 20, 21])
    if rng.random() < 0.5:
        limit = max(1, gap + rng.randint(-2, 2))
    facts, what = rng.choice(_SPANS)
    text = facts.format(m=MONTHS[month], a=a, b=b, y=rng.randint(2021, 2029), mm=month + 1)
    at_most = rng.random() < 0.5
    fine = gap <= limit if at_most else gap >= limit
    rule = f"{'at most' if at_most else 'at least'} {limit} days"
    ask = rng.choice(["Is that {}?", "The rule: {}. Is it met?", "We allow {}. Is it fine?"])
    thought = f"{difference(a, b)} {what}. {compare(gap, limit)}: {'yes' if fine else 'no'}."
    answer = f"{'Yes' if fine else 'No'}, it is {gap} {what}."
    return exercise(
        rng,
        [user(f"{text} {ask.format(rule)}")],
        thought=thought,
        answer=answer,
        prompt_weight=0.05,
        thinking_share=_MOSTLY,
    )


_STORIES = [
    ("{n} has {a} {t} and gives {b} away. How many are left?", "-"),
    ("There were {a} {t}, {b} are gone. How many now?", "-"),
    ("The {t} cost {a} in March and {b} in May. How much cheaper?", "-"),
    ("{n} may use {a} {t} and has used {b}. What remains?", "-"),
    ("{n} has {a} {t} and finds {b} more. How many together?", "+"),
    ("One costs {a}, the other {b}. What do both cost?", "+"),
    ("{a} {t} on Monday, {b} on Tuesday. In total?", "+"),
]


def story(rng: random.Random) -> Exercise:
    """Add or subtract two numbers told in a sentence."""
    a, b = operands(rng)
    text, sign = rng.choice(_STORIES)
    done = difference(a, b) if sign == "-" else total(a, b)
    things = word(rng).lower() + "s"
    ask = text.format(n=pseudo_word(rng).capitalize(), a=a, b=b, t=things)
    answer = rng.choice(["{}", "It is {}.", "{} it is."]).format(done.split(" = ")[-1])
    return exercise(
        rng,
        [user(ask)],
        thought=f"{done}.",
        answer=answer,
        prompt_weight=0.05,
        thinking_share=_MOSTLY,
    )
