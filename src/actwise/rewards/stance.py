"""What the sentences of an answer affirm, deny, ask and refuse.

A text is cut into clauses. Of each are kept its content (the words that carry meaning, without
their endings), whether it is denied, and its words of which one excludes the other. Two clauses
speak of the same where the content of one holds that of the other; then they must both affirm or
both deny, and must not hold two words that exclude each other. What a word denies (`closed`) is
written as the denial of its opposite (`open`), so that "not open" is "closed".
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from actwise.rewards.facts import read
from actwise.rewards.languages import LANGUAGES, Language
from actwise.rewards.lexicon import (
    EXCLUDES,
    GENERIC,
    OPPOSITES,
    POLITE,
    REQUESTS,
    SAME,
    SOCIAL,
    SPELLINGS,
    VERBS,
    words,
)

# Phrases that hold a denial and deny nothing, and denials of several words.
_IDIOMS = re.compile(
    r"\b(?:(?:can't|cannot|can not|couldn't|could not) (?:wait|(?:thank|recommend)\b[^.!?;,]{0,40}?"
    r"enough|agree more|be (?:happier|better)|help but|go wrong|ask for more)"
    r"|no (?:problem|worries|doubt|matter|wonder|trouble)|not a problem|not only|not just|why not"
    r"|not to worry|(?:don't|do not) (?:worry|hesitate|mention it)|nothing but|never mind"
    r"|no (?:later|less|more|sooner|fewer|earlier) than|not to mention|not least"
    r"|don't forget|do not forget|never forget|not until)\b"
)
_PHRASES = (
    (re.compile(r"\b(?:sold out|out of stock|fully booked|not in stock)\b"), " not available "),
    (re.compile(r"\b(?:is|are|was|were|been|already|all) sold\b"), " is not available "),
    (re.compile(r"\b(?:in stock|on hand)\b"), " available "),
    (re.compile(r"\b(?:went|gone|going|goes|go) through\b"), " succeeded "),
    (re.compile(r"\b(?:switched|turned|switch|turn|is|are) off\b"), " not enabled "),
    (re.compile(r"\b(?:switched|turned|switch|turn|is|are) on(?=\W*$| now\b)"), " enabled "),
    (
        re.compile(r"\b(?:is|are|was|were|be|running) (?:still )?on (?:time|schedule)\b"),
        " is not delayed ",
    ),
    (re.compile(r"\bafraid not\b"), "afraid, no"),
    (re.compile(r"\bof course\b"), "certainly"),
    (re.compile(r"\bno longer\b"), " not "),
    (
        re.compile(r"\bfree of charge\b|\bfor free\b|\bat no (?:extra )?(?:cost|charge)\b"),
        " not charge ",
    ),
    (re.compile(r"\bnon-?(?=\w{3})"), " not "),
    (re.compile(r"\bcan't\b|\bcan not\b|\bcannot\b"), " can not "),
    (re.compile(r"\bwon't\b"), " will not "),
    (re.compile(r"\bshan't\b"), " shall not "),
    (re.compile(r"n't\b"), " not "),
)
_EXCLUDING = "|".join(sorted(EXCLUDES, key=len, reverse=True))
_LIST = re.compile(rf"\b(?:{_EXCLUDING})(?:(?:, (?:and |or )?| and | or )(?:{_EXCLUDING}))+\b")
_FUTURE = words("will shall going 'll would")
_CLAUSE_END = re.compile(
    r"(?<=[.!?])\s+|\n+|[;:|]|\s-\s|,\s(?:but|so|and|however|because|since|as|or|though|which)\s"
    r"|\s(?:but|because|although|and)\s|(?<=\bsorry),"
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_CONDITION = re.compile(r"\s*(?:if|unless|in case|whether|when|should you)\b")
_FIRST = re.compile(r"\W*([^\W\d_]+)([,.!;:-]\s*)?")
_MANY = 200
"""Clauses of a text that are read; all of one text are compared with all of another."""
_TOKEN = re.compile(r"[^\W_]+(?:'[^\W\d_]+)?")
_REFUSES = re.compile(
    r"\b(?<!if you )(?<!in case you )(?:can not|could not|unable|not able|not in a position"
    r"|impossible|ineligible|unavailable|not allowed|forbidden|prohibited|too late"
    r"|(?:i|we) (?:will|would) not|(?:i|we) (?:must|have to|need to) (?:decline|refuse)"
    r"|not (?:something|anything) (?:i|we) can"
    r"|against (?:our|the|company|store) \w{0,20} ?(?:policy|policies|rules|terms))\b"
    r"|\bnot (?:\w+ )?(?:possible|allowed|permitted|eligible|available|refundable)\b"
)
_REGRETS = re.compile(
    r"\b(?:sorry|apologi[sz]e|apologies|(?<!not )regret|afraid|unfortunately|sadly)\b"
)


_REGRETFUL_NO = re.compile(
    r"\W*(?:(?:i'm|i am|we're|we are) )?(?:very |so |really )?"
    r"(?:sorry|afraid|unfortunately|sadly)\W+(?:but )?(?=(?:no|nope)\s*(?:[,.!;]|$))"
)


@dataclass(frozen=True)
class Clause:
    """One part of a sentence, and what it says of it."""

    content: tuple[str, ...]
    denied: bool
    excluding: tuple[tuple[int, frozenset[str]], ...]
    """Words of which one excludes the other: the number of their group, and those of it."""
    future: bool
    asks: bool

    def against(self, other: "Clause") -> str | None:
        """Return what makes two clauses contradict each other, if anything does."""
        if not self._speaks_of(other) or self.asks is not other.asks:
            return None
        ours, theirs = dict(self.excluding), dict(other.excluding)
        both = ours.keys() & theirs.keys()
        # A clause may tell a part of a list that the other one tells whole.
        others = [
            min(ours[g] - theirs[g])
            for g in both
            if not (ours[g] <= theirs[g] or theirs[g] <= ours[g])
        ]
        if others and self.denied is other.denied:
            return others[0]
        shared = bool(self.content and other.content) or not (self.content or other.content)
        if (
            self.denied is not other.denied
            and not others
            and shared
            and self.future is other.future
        ):
            return "denies" if self.denied else "affirms"
        return None

    def shared(self, other: "Clause") -> int:
        """Return how much of what two clauses speak of is the same."""
        return len(set(self.content) & set(other.content)) + len(
            set(self.excluding) & set(other.excluding)
        )

    def _speaks_of(self, other: "Clause") -> bool:
        ours, theirs = set(self.content), set(other.content)
        return ours <= theirs or theirs <= ours


@dataclass(frozen=True)
class Stance:
    """What a text affirms, denies, asks and refuses."""

    clauses: tuple[Clause, ...]
    """Those that have a content, a denial or an excluding word."""
    refuses: bool
    opening: str | None
    """ "yes" or "no", where the text begins with it."""
    asks: bool
    """It holds a question mark."""
    only_asks: bool
    """Every sentence is a question."""
    topics: frozenset[str]
    """Content of the whole text, without facts and words of politeness."""

    @property
    def denies(self) -> bool:
        """Whether some clause is denied."""
        return any(clause.denied for clause in self.clauses)


@lru_cache(maxsize=4096)
def stance(text: str) -> Stance:
    """Read the stance of a text, English where its language is not known."""
    reading = read(text)
    language = LANGUAGES[reading.language or "en"]
    folded = _IDIOMS.sub(" ", reading.plain.casefold())
    for phrase, meaning in _PHRASES if language is LANGUAGES["en"] else ():
        folded = phrase.sub(meaning, folded)
    folded = _LIST.sub(_in_one_order, re.sub(r"[ \t]+", " ", folded))
    regret = _REGRETFUL_NO.match(folded)
    opening, folded = _opening(folded[regret.end() :] if regret else folded, language)
    sentences = [part for part in map(str.strip, _SENTENCE_END.split(folded)) if part]
    found = [
        _clause(part, language, asks=sentence.endswith("?"))
        for sentence in sentences
        for part in _CLAUSE_END.split(sentence)
        if not _CONDITION.match(part)
    ]
    clauses = tuple(c for c in found if c.content or c.denied or c.excluding)[:_MANY]
    return Stance(
        clauses=clauses,
        refuses=bool(regret) or any(_sentence_refuses(part, language) for part in sentences),
        opening=opening,
        asks="?" in folded,
        only_asks=bool(sentences) and all(part.endswith("?") for part in sentences),
        topics=_topics(reading.words, language),
    )


def _in_one_order(found: re.Match[str]) -> str:
    """Sort a list of words of one group ("green, red and blue"), whose order says nothing."""
    listed = re.findall(_EXCLUDING, found[0])
    if len({EXCLUDES[word] for word in listed}) > 1:
        return found[0]
    return ", ".join(sorted(SPELLINGS.get(word, word) for word in listed))


def _topics(words: tuple[str, ...], language: Language) -> frozenset[str]:
    known = language.function | language.negators | EXCLUDES.keys()
    stems = {stem(SAME.get(word, word)) for word in words if word not in known}
    return frozenset(stems - _SOCIAL_STEMS)


def contradiction(ours: Stance, theirs: Stance) -> str | None:
    """Return in what a text contradicts another one, sentence by sentence, if it does."""
    if ours.refuses is not theirs.refuses and not both_say_no(ours, theirs):
        return f"{'refuses' if ours.refuses else 'does not refuse'} where the record does" + (
            " not" if ours.refuses else ""
        )
    if ours.opening and theirs.opening and ours.opening != theirs.opening:
        return f"says {ours.opening} where the record says {theirs.opening}"
    if ours.refuses:
        return None  # the two refuse in other words: what they deny in doing so is no statement
    for clause in ours.clauses:
        against = [(clause.shared(other), clause.against(other)) for other in theirs.clauses]
        most = max((shared for shared, _ in against), default=0)
        of_same = [word for shared, word in against if shared == most]
        if of_same and all(of_same):
            return _told(of_same[0] or "")
    return None


def both_say_no(ours: Stance, theirs: Stance) -> bool:
    """Whether both begin with "no", and one says nothing else, which may or may not refuse."""
    bare = not (ours.clauses and theirs.clauses)
    return bare and ours.opening == theirs.opening == "no"


def _told(word: str) -> str:
    if word in ("denies", "affirms"):
        return f"{word} what the record {'affirms' if word == 'denies' else 'denies'}"
    return f"says {word} where the record does not"


def _clause(text: str, language: Language, *, asks: bool) -> Clause:
    denied = future = False
    content: list[str] = []
    rest: list[str] = []
    excluding: dict[int, frozenset[str]] = {}
    tokens = _TOKEN.findall(text)
    for token in tokens:
        word = token.removesuffix("'s")
        if word in _FUTURE:
            future = True
        if word in language.negators:
            denied = not denied
        elif word in EXCLUDES:
            before = excluding.get(EXCLUDES[word], frozenset())
            excluding[EXCLUDES[word]] = before | {SPELLINGS.get(word, word)}
        elif word in OPPOSITES:
            denied = not denied
            content.append(stem(OPPOSITES[word]))
        elif word not in language.function and word not in POLITE:
            content.append(stem(SAME.get(word, word)))
        elif word in VERBS:
            rest.append(VERBS[word])
    if not excluding:
        content = content or rest
    return Clause(tuple(content), denied, tuple(sorted(excluding.items())), future, asks)


_ENDINGS = (
    "ations",
    "ation",
    "able",
    "ible",
    "ings",
    "ing",
    "ied",
    "ies",
    "ed",
    "es",
    "s",
    "ly",
    "e",
)


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Take the ending off an English word, so that "refunds" and "refundable" are alike."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiouls":
        return word[:-1]
    return word[:-1] if len(word) > 4 and word.endswith("ll") else word


_REQUESTS = frozenset(map(stem, REQUESTS))
_SOCIAL_STEMS = frozenset(map(stem, SOCIAL | GENERIC)) | frozenset(VERBS.values())


def _opening(folded: str, language: Language) -> tuple[str | None, str]:
    """Return "yes" or "no" where a text begins with it, and the text without it."""
    first = _FIRST.match(folded)
    if first is None or first[1] not in language.yes | language.no:
        return None, folded
    opening = "no" if first[1] in language.no else "yes"
    return opening, folded[first.end() :] if first[2] else folded


def _sentence_refuses(sentence: str, language: Language) -> bool:
    if _CONDITION.match(sentence):
        sentence = sentence.partition(",")[2]
    if _REFUSES.search(sentence):
        return True
    return bool(_REGRETS.search(sentence)) and any(
        _clause(part, language, asks=False).denied for part in _CLAUSE_END.split(sentence)
    )


def topics_meet(ours: Stance, theirs: Stance) -> bool:
    """Whether two texts speak of the same thing, or one of them of nothing in particular."""
    said, recorded = _things(ours), _things(theirs)
    return not said or not recorded or not said.isdisjoint(recorded)


def same_topics(ours: Stance, theirs: Stance) -> bool:
    """Whether two questions ask for the same things, as far as their words tell.

    One thing in common is enough where one of them asks for nothing else ("Your account number?"
    and "Your phone number?" differ in both), and a third of what ours asks for has to be there, so
    that a question for everything is not the right one everywhere.
    """
    said, recorded = _things(ours) - _REQUESTS, _things(theirs) - _REQUESTS
    shared = said & recorded
    alike = len(shared) > 1 or (bool(shared) and (said <= recorded or recorded <= said))
    return alike and 3 * len(shared) >= len(said)


def _things(of: Stance) -> frozenset[str]:
    """Return the topics without "can't" and "isn't", which say nothing of what is denied."""
    return frozenset(topic for topic in of.topics if not topic.endswith("n't"))
