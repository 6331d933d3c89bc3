"""Episodes: a model acts on its own history, its calls are run, and it goes on.

Many episodes at once: all that are under way are completed in one batch, those of one conversation
on one trunk, and equal histories as one prompt. What was taken joins the history as a served model
would see it: rendered anew by the template, without its thought.

An episode always ends, and says why. It is never an exception: an environment that fails, a result
of a megabyte or a customer who never ends is counted like any other end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby

import torch

from actwise.config import EpisodesConfig
from actwise.conversation import Conversation, Decision, Message, ToolCall
from actwise.engine import Engine, SamplingParams
from actwise.engine.choosing import Choice
from actwise.engine.rollouts import Group, Sample
from actwise.environments import Broken, Diverged, Environment, Finished, Opens, Result
from actwise.environments.script import Turn, opening, turns_of
from actwise.errors import InputError
from actwise.template.parse import ParsedCompletion
from actwise.template.render import Template


class End(StrEnum):
    """Why a turn, and with it perhaps the episode, ended."""

    ANSWERED = "answered"
    """The model spoke to the customer."""
    FINISHED = "finished"
    """A call ended the conversation."""
    DIVERGED = "diverged"
    """The record does not say what would have followed."""
    MALFORMED = "malformed"
    """A call cannot be read, or nothing was said."""
    TRUNCATED = "truncated"
    """A completion hit its budget."""
    STEPS = "steps"
    """It called and called, up to `episodes.steps`."""
    TURNS = "turns"
    """The customer went on and on, up to `episodes.turns`."""
    CONTEXT = "context"
    """The history leaves no room for a completion."""
    UNRENDERED = "unrendered"
    """The chat template cannot show the history."""
    BROKEN = "broken"
    """The environment cannot be reset, or runs nothing any more."""


@dataclass(frozen=True)
class Step:
    """One completion on the model's own history, and what it brought about."""

    prompt: tuple[int, ...]
    sample: Sample
    text: str
    parsed: ParsedCompletion
    results: tuple[Result, ...] = ()
    """Of its calls, as far as they were run."""


@dataclass
class TakenTurn:
    """What the model did until it spoke to the customer."""

    recorded: Turn
    """What it stands against."""
    history: tuple[Message, ...]
    """Before it: as recorded, or the model's own."""
    steps: list[Step] = field(default_factory=list)
    end: End = End.ANSWERED
    needless: bool = False
    """It asked what the record does not ask, and the customer only answered that."""
    state: str | None = None
    """Of the environment after it."""

    problem: str = ""
    """What the environment said, where it failed or the record ended."""
    own: tuple[Message, ...] = ()
    """What it has added to the history."""

    @property
    def context(self) -> tuple[Message, ...]:
        """All that was said, called and returned before its answer."""
        return (*self.history, *self.own[:-1])

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """All calls that were made."""
        return tuple(call for message in self.own for call in message.tool_calls)


@dataclass(frozen=True)
class Episode:
    """What the model did in one conversation, or in one turn of it."""

    turns: list[TakenTurn]

    @property
    def problem(self) -> str:
        """What the environment said at its end, if anything."""
        return self.turns[-1].problem

    @property
    def end(self) -> End:
        """Why it ended."""
        return self.turns[-1].end


@dataclass(frozen=True)
class Start:
    """Where an episode begins, and how far it goes."""

    turn: Turn
    """All before it has gone as recorded."""
    whole: bool = False
    """Whether it goes on to the end of the conversation."""
    own: tuple[Message, ...] = ()
    """What was done in the turn already."""
    steps: int | None = None
    """Completions of a turn at most, in place of `episodes.steps`."""


@dataclass(frozen=True)
class EpisodeRunner:
    """Lets a policy act in many episodes at once."""

    engine: Engine
    template: Template
    thinking: bool
    params: SamplingParams
    context_length: int
    choice: Choice | None = None
    """Of each step several completions are sampled, and one is chosen, where given."""

    def run(
        self,
        starts: Sequence[Start],
        opens: Opens,
        config: EpisodesConfig,
        *,
        num_generations: int = 1,
        generator: torch.Generator | None = None,
    ) -> list[list[Episode]]:
        """Run episodes to their ends.

        Args:
            starts: Those of one conversation should lie side by side.
            opens: Opens an environment; each episode has its own.
            config: How far they may go.
            num_generations: Episodes from each start.
            generator: Source of randomness; not used at temperature 0.

        Returns:
            For each start its episodes.
        """
        found: list[list[Episode]] = []
        size = max(1, config.at_once // num_generations)
        for begin in range(0, len(starts), size):
            running: list[list[_Running]] = []
            try:
                for start in starts[begin : begin + size]:
                    running.append([])
                    for _ in range(num_generations):
                        running[-1].append(_Running(start, opens, config, self))
                self._run([r for of_one in running for r in of_one], generator)
            finally:
                for one in (r for of_one in running for r in of_one):
                    one.close()
            found += [[r.episode() for r in of_one] for of_one in running]
        return found

    def _run(self, running: Sequence["_Running"], generator: torch.Generator | None) -> None:
        while going := [r for r in running if r.prompt is not None]:
            for alike, samples in self._completed(going, generator):
                for one, sample in zip(alike, samples, strict=True):
                    one.take(sample)

    def _completed(
        self, going: Sequence["_Running"], generator: torch.Generator | None
    ) -> Iterator[tuple[list["_Running"], list[Sample]]]:
        """Yield episodes with equal histories, and a sample for each."""
        prompts: dict[tuple[str, tuple[int, ...]], list[_Running]] = {}
        for one in going:
            assert one.prompt is not None
            prompts.setdefault((one.conversation.id, one.prompt), []).append(one)
        # An engine completes all prompts equally often, so those shared by as many go together.
        by_size = sorted(prompts.values(), key=len)
        each = 1 if self.choice is None else self.choice.number
        for size, same_size in groupby(by_size, key=len):
            alike = list(same_size)
            groups = [Group(one[0].decision, one[0].prompt or ()) for one in alike]
            completed = self.engine.generate(
                groups, num_generations=size * each, params=self.params, generator=generator
            )
            if self.choice is None:
                samples = [[rollout.sample for rollout in g.rollouts] for g in completed]
            else:
                samples = self.choice.best(completed)
            yield from zip(alike, samples, strict=True)


class _Running:
    """An episode on its way; `prompt` is None once it has ended."""

    def __init__(
        self, start: Start, opens: Opens, config: EpisodesConfig, runner: EpisodeRunner
    ) -> None:
        self.conversation = start.turn.conversation
        self.decision = Decision(self.conversation, start.turn.begin)
        """Of the record: by it, episodes of one conversation are computed on one trunk."""
        self.prompt: tuple[int, ...] | None = None
        self._turns = turns_of(self.conversation)
        self._whole = start.whole
        self._config = config
        self._runner = runner
        self._messages = [*start.turn.history, *start.own]
        self._most = start.steps or config.steps
        self._calls = sum(len(message.tool_calls) for message in start.own)
        self._taken = [TakenTurn(start.turn, tuple(start.turn.history))]
        self._environment: Environment | None = None
        try:
            self._environment = opens(self.conversation)
            self._environment.reset(start.turn.number, start.own)
        except Broken as error:
            self._fail(End.BROKEN, str(error))
        except Diverged as error:
            self._fail(End.DIVERGED, str(error))
        else:
            self._look()

    def episode(self) -> Episode:
        """Return the episode, once it has ended."""
        self._keep_own()
        return Episode(self._taken)

    def take(self, sample: Sample) -> None:
        """Let the model do what it wrote."""
        template = self._runner.template
        text = template.decode(list(sample.token_ids))
        parsed = template.parse(text, thinking=self._runner.thinking, tools=self.conversation.tools)
        step = Step(self.prompt or (), sample, text, parsed)
        self.prompt = None
        if sample.stop_reason == "length":
            self._add(step, End.TRUNCATED)
        elif parsed.broken_calls or not (parsed.calls or parsed.answer):
            self._add(step, End.MALFORMED)
        else:
            try:
                self._act(step)
            except Finished:
                self._fail(End.FINISHED)
            except Diverged as error:
                self._fail(End.DIVERGED, str(error))
            except Broken as error:
                self._fail(End.BROKEN, str(error))

    def close(self) -> None:
        """Give the environment back."""
        if self._environment is not None:
            self._environment.close()

    def _act(self, step: Step) -> None:
        calls = tuple(
            call.model_copy(update={"id": f"call{self._calls + number:05d}"})
            for number, call in enumerate(step.parsed.calls)
        )
        self._calls += len(calls)
        self._messages.append(
            Message(role="assistant", content=step.parsed.answer, tool_calls=calls)
        )
        if calls:
            self._run_calls(step, calls)
        else:
            self._add(step)
            self._speak(step.parsed.answer)

    def _run_calls(self, step: Step, calls: Sequence[ToolCall]) -> None:
        assert self._environment is not None
        results: list[Result] = []
        try:
            for call in calls:
                result = self._cut(self._environment.call(call))
                results.append(result)
                self._messages.append(
                    Message(role="tool", content=result.text, tool_call_id=call.id)
                )
        finally:
            self._add(Step(step.prompt, step.sample, step.text, step.parsed, tuple(results)))
        if len(self._taken[-1].steps) >= self._most:
            self._fail(End.STEPS)
        else:
            self._look()

    def _speak(self, answer: str) -> None:
        assert self._environment is not None
        turn = self._taken[-1]
        self._keep_own()
        turn.state = self._environment.state()
        if not self._whole:
            return
        said = self._environment.reply(answer)
        number = self._environment.turn
        turn.needless = number == turn.recorded.number
        if said is None:
            return
        if len(self._taken) == self._config.turns:
            self._fail(End.TURNS)
            return
        between = opening(self._turns, number) if not turn.needless else ()
        self._messages += [m for m in between if m.role != "user"]
        self._messages.append(Message(role="user", content=said))
        self._taken.append(TakenTurn(self._turns[number], tuple(self._messages)))
        self._look()

    def _keep_own(self) -> None:
        turn = self._taken[-1]
        turn.own = tuple(self._messages[len(turn.history) :])

    def _look(self) -> None:
        """Render what the model sees, where it is to act."""
        own = self.conversation.model_copy(update={"messages": tuple(self._messages)})
        decision = Decision(own, len(self._messages))
        try:
            prompt = self._runner.template.prompt(decision, thinking=self._runner.thinking)
        except InputError as error:
            self._fail(End.UNRENDERED, error.problem)
            return
        if len(prompt) + self._runner.params.max_tokens > self._runner.context_length:
            self._fail(End.CONTEXT)
            return
        self.prompt = tuple(prompt)

    def _cut(self, result: Result) -> Result:
        limit = self._config.result_characters
        if len(result.text) <= limit:
            return result
        more = len(result.text) - limit
        return Result(f"{result.text[:limit]} ... ({more} more characters)", result.failed)

    def _add(self, step: Step, end: End = End.ANSWERED) -> None:
        self._taken[-1].steps.append(step)
        self._taken[-1].end = end

    def _fail(self, end: End, problem: str = "") -> None:
        self.prompt = None
        self._taken[-1].end = end
        self._taken[-1].problem = problem


def starts_of(conversation: Conversation, *, whole: bool) -> list[Start]:
    """Return where the episodes of a conversation begin: at each turn, or at the first alone."""
    turns = turns_of(conversation)
    if whole:
        return [Start(turns[0], whole=True)] if turns else []
    return [Start(turn) for turn in turns if turn.measured]
