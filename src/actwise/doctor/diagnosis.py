"""One pass over conversations: all families of findings, and what the conversations consist of."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from actwise.conversation import Conversation
from actwise.data.fit import unrendered
from actwise.doctor import personal, secrets
from actwise.doctor.answers import Answers
from actwise.doctor.conflicts import Conflicts
from actwise.doctor.control import Control
from actwise.doctor.copies import Copies
from actwise.doctor.language import Language
from actwise.doctor.nulls import Nulls
from actwise.doctor.reachable import Reachable
from actwise.doctor.remarks import Remarks, counted
from actwise.doctor.results import ToolResults
from actwise.doctor.sizes import Lengths, Sizes
from actwise.doctor.tools import Tools
from actwise.doctor.written_calls import WrittenCalls
from actwise.findings.finding import Family, Finding, Tally, by_severity, case_of
from actwise.formats import Rejected

if TYPE_CHECKING:  # most logs are examined without a model, and so without transformers
    from actwise.template.render import Template


@dataclass(frozen=True)
class Diagnosis:
    """What the conversations consist of, and the findings about them."""

    conversations: int
    rejected: dict[str, int]
    """Records that cannot be used, by reason."""
    decisions: dict[str, int]
    """Points at which the assistant acts, by kind: "call" or "answer"."""
    calls_per_tool: dict[str, int]
    """Recorded calls of every declared tool, most frequent first; 0 for one never called."""
    unchecked_answers: int
    """Recorded answers that claim nothing that can be checked (`rewards.answers.is_checkable`)."""
    unreachable_decisions: int
    """Call decisions with an argument value that occurs nowhere before them."""
    thoughts: int
    """Assistant messages with a recorded thought."""
    results: int
    """Results of tools."""
    error_results: int
    """Those of them that say that the call failed."""
    scripts: dict[str, int]
    """Conversations by the script in which the user writes; those with few words are left out."""
    messages: Lengths
    """Messages per conversation."""
    characters: Lengths
    """Characters per conversation: contents and calls, without tools' schemas and thoughts."""
    findings: list[Finding]
    """Errors first, then warnings, then notes."""
    not_examined: list[str] = field(default_factory=list)
    """What was not looked for, and why."""

    @property
    def unreachable_share(self) -> float:
        """Share of call decisions that are unreachable, in [0, 1]; 0 when there is no call."""
        return self.unreachable_decisions / max(1, self.decisions["call"])

    @property
    def unchecked_share(self) -> float:
        """Share of recorded answers that cannot be checked, in [0, 1]; 0 without answers."""
        return self.unchecked_answers / max(1, self.decisions["answer"])

    @property
    def thought_share(self) -> float:
        """Share of assistant messages with a recorded thought, in [0, 1]."""
        return self.thoughts / max(1, sum(self.decisions.values()))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON values, the shares included."""
        return asdict(self) | {
            "unchecked_share": self.unchecked_share,
            "unreachable_share": self.unreachable_share,
            "thought_share": self.thought_share,
        }


def examine(
    items: Iterable[Conversation | Rejected],
    *,
    max_examples: int = 3,
    held_out: Iterable[Conversation | Rejected] = (),
    template: "Template | None" = None,
) -> Diagnosis:
    """Look through what `actwise.formats.read_files` yields.

    Args:
        items: Conversations and rejections, read once.
        max_examples: How many places each finding names.
        held_out: The other side of a split: conversations that must not occur among `items`.
            Nothing else is said about them; read once, and first.
        template: A model's template; what it cannot render counts as rejected.
    """
    examination = Examination(max_examples, template)
    for item in held_out:
        examination.note_held_out(examination.look_held_out(item))
    for item in items:
        examination.note(examination.look(examination.rendered(item)))
    return examination.diagnosis()


class Seen(NamedTuple):
    """What one record shows."""

    rejected: Rejected | None = None
    decisions: Sequence[str] = ()
    """The kind of each."""
    thoughts: int = 0
    by_family: Sequence[Any] = ()
    """What each family has seen: all families, or those that look at such a record."""
    failure: str | None = None
    """Why the families could not look at it."""


class Examination:
    """The families of one pass.

    Looking at a record depends on no other record, so other processes may do it, each with an
    examination of its own. What they have seen is noted by one, in the order of the records, those
    of held-out conversations first.
    """

    def __init__(self, max_examples: int = 3, template: "Template | None" = None) -> None:
        """Begin; see `examine`."""
        self.max_examples = max_examples
        self._template = template
        for_secrets, for_personal = secrets.installed_detectors(), personal.installed_detectors()
        self.not_examined = [
            what
            for what, detectors in ((_SECRETS, for_secrets), (_PERSONAL, for_personal))
            if detectors is None
        ]
        self.rejected: dict[str, Tally] = {}
        self.rejected_places: Counter[str] = Counter()
        self.rejected_tools: dict[str, Counter[str]] = {}
        self.failed = Tally(max_examples)
        self.decisions: Counter[str] = Counter()
        self.thoughts = 0
        self.conversations = 0
        self.copies = Copies(max_examples)
        self.tools = Tools(max_examples)
        self.reachable = Reachable(max_examples)
        self.nulls = Nulls(max_examples)
        self.results = ToolResults(max_examples)
        self.sizes = Sizes(max_examples)
        self.answers = Answers(max_examples)
        self.language = Language(max_examples)
        self.families: tuple[Family, ...] = (
            self.copies,
            Remarks(max_examples),
            WrittenCalls(max_examples),
            Conflicts(max_examples),
            self.nulls,
            self.results,
            self.reachable,
            self.answers,
            self.language,
            Control(max_examples),
            secrets.family(max_examples, for_secrets),
            personal.family(max_examples, for_personal),
            self.tools,
            self.sizes,
        )

    def rendered(self, item: Conversation | Rejected) -> Conversation | Rejected:
        """Return a conversation, or its rejection where the template cannot render it."""
        if self._template is None or isinstance(item, Rejected):
            return item
        problem = unrendered(self._template, item)
        if problem is None:
            return item
        file, _, line = item.source.rpartition(":")
        detail = f"{problem}; mend it, or --set model.template=actwise"
        return Rejected(file, int(line), "not_rendered", detail)

    def look(self, item: Conversation | Rejected) -> Seen:
        """Return what a record shows."""
        if isinstance(item, Rejected):
            # Stray nulls are often why a call does not fit its schema.
            seen, failure = _looks(item.conversation, [self.nulls])
            return Seen(replace(item, conversation=None), by_family=seen, failure=failure)
        decisions = item.decisions()
        thoughts = sum(bool(decision.gold.reasoning_content) for decision in decisions)
        seen, failure = _looks(item, self.families)
        return Seen(None, [decision.kind for decision in decisions], thoughts, seen, failure)

    def look_held_out(self, item: Conversation | Rejected) -> Seen:
        """Return what of a record on the other side of a split is compared."""
        conversation = item if isinstance(item, Conversation) else None
        seen, failure = _looks(conversation, [self.copies])
        return Seen(by_family=seen, failure=failure)

    def note_held_out(self, seen: Seen) -> None:
        """Note what a record on the other side of a split has shown."""
        for of_copies in seen.by_family:
            self.copies.note_held_out(of_copies)
        self._note_failure(seen)

    def note(self, seen: Seen) -> None:
        """Note what a record has shown."""
        if seen.rejected is None:
            self.conversations += 1
            self.decisions.update(seen.decisions)
            self.thoughts += seen.thoughts
            looked: Sequence[Family] = self.families
        else:
            self._note_rejected(seen.rejected)
            looked = [self.nulls]
        for family, of_family in zip(looked, seen.by_family, strict=False):
            family.note(of_family)
        self._note_failure(seen)

    def _note_rejected(self, rejected: Rejected) -> None:
        tally = self.rejected.setdefault(rejected.reason, Tally(self.max_examples))
        tally.add(str(rejected))
        self.rejected_places[rejected.reason] += rejected.count
        if rejected.about is not None:
            self.rejected_tools.setdefault(rejected.reason, Counter())[rejected.about] += 1

    def _note_failure(self, seen: Seen) -> None:
        if seen.failure is not None:
            self.failed.add(seen.failure)

    def diagnosis(self) -> Diagnosis:
        """Return what was found in all of them."""
        rejected = sorted(self.rejected.items(), key=lambda item: -item[1].count)
        return Diagnosis(
            conversations=self.conversations,
            rejected={reason: tally.count for reason, tally in rejected},
            decisions={kind: self.decisions[kind] for kind in ("call", "answer")},
            calls_per_tool=dict(self.tools.calls.most_common()),
            unchecked_answers=self.answers.unchecked,
            unreachable_decisions=self.reachable.unreachable.count,
            thoughts=self.thoughts,
            results=self.results.results,
            error_results=self.results.errors,
            scripts=dict(self.language.scripts.most_common()),
            messages=self.sizes.messages,
            characters=self.sizes.characters,
            findings=by_severity(self._findings()),
            not_examined=self.not_examined,
        )

    def _findings(self) -> Iterator[Finding]:
        for reason, tally in self.rejected.items():
            places = self.rejected_places[reason]
            where = f", in {places} places" if places > tally.count else ""
            tools = self.rejected_tools.get(reason)
            by_tool = f"; by tool: {counted(tools)}" if tools else ""
            yield from tally.finding(
                "error",
                reason,
                f"record(s) that cannot be used and are left out{where}{by_tool}",
                effect="Nothing is learned from them.",
                remedy="Each example says what to do.",
            )
        yield from self.failed.finding(
            "warning",
            "not_examined",
            "conversation(s) that could not be looked through",
            effect="What else is wrong with them is not known.",
            remedy="Look at them by hand, or leave them out.",
        )
        if self.conversations:
            yield from self._missing_kinds()
        else:
            yield Finding(
                "error",
                "no_conversation",
                0,
                "there is no conversation",
                "There is nothing to learn from.",
                "Give other logs, or mend these.",
            )
        for family in self.families:
            yield from family.findings()

    def _missing_kinds(self) -> Iterator[Finding]:
        for kind, lesson in (("call", "when to call a tool"), ("answer", "when to answer")):
            if not self.decisions[kind]:
                yield Finding(
                    "warning",
                    f"no_{kind}",
                    0,
                    f"no decision of kind {kind}",
                    f"Nothing teaches {lesson}; the model will always do the other.",
                    f"Add conversations in which the right thing is to {kind}.",
                )


def _looks(
    conversation: Conversation | None, families: Sequence[Family]
) -> tuple[list[Any], str | None]:
    """Return what families see; a conversation that makes that fail, however, costs no other."""
    if conversation is None:
        return [], None
    try:
        case = case_of(conversation)
        return [family.look(case) for family in families], None
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # the panics of extensions are no Exceptions
        place = conversation.source or conversation.id
        problem = " ".join(str(error).split())[:80]
        return [], f"{place}: {type(error).__name__}: {problem}"


_SECRETS = "secrets, for which detect-secrets is needed (pip install 'actwise[private]')"
_PERSONAL = (
    "personal data, for which phonenumbers and python-stdnum are needed "
    "(pip install 'actwise[private]')"
)
