"""In which scripts people write, and whether the assistant answers in the user's.

Scripts, not languages: they are told apart without a model and without doubt.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from actwise.findings.finding import Case, Finding, Tally

_ENOUGH = 20
"""Letters below which a script is not worth a judgement."""
_CLEAR = 0.8
"""Share of letters that makes a script the one a text is written in."""
_RARE, _COMMON = 0.01, 0.95
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_EAST_ASIAN = {"CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"}


class Language:
    """The script of each conversation."""

    def __init__(self, max_examples: int) -> None:
        self.scripts: Counter[str] = Counter()
        """Conversations by the script of their users; "mixed" where none prevails."""
        self._max_examples = max_examples
        self._examples: dict[str, Tally] = {}
        self._other = Tally(max_examples)

    def look(self, case: Case) -> tuple[str, str, str | None] | None:
        """See `Family.look`."""
        user, assistant = (_letters(case, role) for role in ("user", "assistant"))
        if user.total() < _ENOUGH:
            return None
        script, answered = _script(user), _script(assistant)
        differs = answered != script and "mixed" not in (script, answered)
        return case.place, script, answered if differs and assistant.total() >= _ENOUGH else None

    def note(self, seen: tuple[str, str, str | None] | None) -> None:
        """Count the scripts."""
        if seen is None:
            return
        place, script, other = seen
        self.scripts[script] += 1
        self._examples.setdefault(script, Tally(self._max_examples)).add(f"{place}: {script}")
        if other is not None:
            self._other.add(f"{place}: {other} after {script}")

    def findings(self) -> Iterator[Finding]:
        """Yield answers in another script, and conversations in a rare one."""
        yield from self._other.finding(
            "warning",
            "answer_in_other_script",
            "conversation(s) in which the assistant writes another script than the user",
            effect="The model learns to answer in a language that the user did not choose.",
            remedy="Leave them out, unless that is wanted.",
        )
        total = self.scripts.total()
        if not total or self.scripts.most_common(1)[0][1] < _COMMON * total:
            return
        rare = Tally(self._max_examples)
        for script, count in self.scripts.items():
            if count <= _RARE * total and script != "mixed":
                for example in self._examples[script].examples:
                    rare.add(example)
                rare.count += count - len(self._examples[script].examples)
        yield from rare.finding(
            "note",
            "rare_script",
            "conversation(s) whose user writes a script that hardly any other does",
            effect="They are too few to teach the language, and cost as much as others.",
            remedy="Leave them out, or add more of them.",
        )


def _letters(case: Case, role: str) -> Counter[str]:
    """Count the letters of one side's words by script."""
    counts: Counter[str] = Counter()
    for message in case.conversation.messages:
        if message.role == role:
            others = _NOT_ASCII.findall(message.content)
            counts["latin"] += sum(map(str.isalpha, message.content)) - sum(
                map(str.isalpha, others)
            )
            counts.update(script for script in map(_script_of, others) if script)
    return counts


def _script(letters: Counter[str]) -> str:
    if not letters.total():
        return "none"
    script, count = letters.most_common(1)[0]
    return script if count >= _CLEAR * letters.total() else "mixed"


@lru_cache(maxsize=8192)
def _script_of(character: str) -> str:
    """Return the script of a letter, as Unicode names it, or "" for what is no letter."""
    if not character.isalpha():
        return ""
    plain = unicodedata.normalize("NFKC", character)[0]  # of one that is half or twice as wide
    first = unicodedata.name(plain, "").split(" ")[0]
    return "east asian" if first in _EAST_ASIAN else first.lower()
