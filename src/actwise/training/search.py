"""Search over turns, as PROPA does (arXiv:2511.10279): a tree whose nodes are completions.

A node is what the model has done in a turn so far. It is expanded by some sampled completions, each
of which is followed greedily to the end of the turn, in an environment in which the calls before
are run again; what the turn then earns is the child's value. The next node is chosen by UCT: the
best mean so far, and what was seldom tried. A group of GRPO is the children of one node, each with
its value: so a completion is compared with others on the same history, which sampling whole turns
never does after their first step.

Of PROPA are the selection, the values, and which groups are learned from; simulated are all
children, not one of them, and turns without any success are not trained on their record.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from actwise.config import SearchConfig
from actwise.conversation import Message
from actwise.engine.episodes import End, Start, TakenTurn
from actwise.training.attempts import Attempt, Compared, Judges, runner
from actwise.training.stage import Context, Training


@dataclass
class Node:
    """What was done in a turn up to some completion."""

    own: tuple[Message, ...] = ()
    """Calls and results since the turn began."""
    attempt: Attempt | None = None
    """The completion that led here, and the turn that came of it; None at the root."""
    over: bool = False
    """Whether the completion ended the turn, or was out of form."""
    visits: int = 0
    total: float = 0.0
    """Sum of what the turns through this node earned."""
    children: list["Node"] = field(default_factory=list)

    @property
    def value(self) -> float:
        """Mean of what the turns through this node earned; 0 before any."""
        return self.total / self.visits if self.visits else 0.0


def search(
    context: Context, starts: Sequence[Start], judges: Judges, training: Training
) -> list[Compared]:
    """Search each turn, and return the children of each node that was expanded."""
    config = context.config.rl.search
    roots = [Node() for _ in starts]
    for _ in range(config.iterations):
        paths = [_select(root, config.exploration) for root in roots]
        for path in paths:
            if path[-1].over and (attempt := path[-1].attempt) is not None:
                _back_up(path, attempt.reward)
        growing = [i for i, path in enumerate(paths) if not path[-1].over]
        _expand(context, starts, {i: paths[i] for i in growing}, judges, training)
    return [
        Compared(start.turn, tuple(_valued(child, config) for child in node.children))
        for start, root in zip(starts, roots, strict=True)
        for node in _expanded(root)
    ]


def _select(root: Node, exploration: float) -> list[Node]:
    """Return the path to the node that is to be expanded, or that is over."""
    path = [root]
    while path[-1].children:
        parent = path[-1]
        path.append(max(parent.children, key=lambda node: _uct(node, parent, exploration)))
    return path


def _uct(node: Node, parent: Node, exploration: float) -> float:
    if not node.visits:
        return math.inf
    return node.value + exploration * math.sqrt(2 * math.log(parent.visits) / node.visits)


def _expand(
    context: Context,
    starts: Sequence[Start],
    paths: dict[int, list[Node]],
    judges: Judges,
    training: Training,
) -> None:
    """Give the last node of each path its children, and follow each to the end of its turn."""
    config, episodes = context.config.rl, context.config.episodes
    begun = [replace(starts[i], own=path[-1].own, steps=1) for i, path in paths.items()]
    sampled = runner(context, temperature=config.temperature, top_p=config.top_p).run(
        begun,
        judges.opens,
        episodes,
        num_generations=config.search.children,
        generator=training.generator,
    )
    children: list[tuple[list[Node], TakenTurn]] = []
    for path, of_one in zip(paths.values(), sampled, strict=True):
        for episode in of_one:
            (turn,) = episode.turns
            deep = len(path) >= episodes.steps
            # What went out of form earns nothing, and nor does anything that follows it.
            ended = turn.end is not End.STEPS or deep or not judges.in_form(turn.steps)
            node = Node(turn.own, over=ended)
            path[-1].children.append(node)
            children.append(([*path, node], turn))
    follow = [
        Start(turn.recorded, own=turn.own, steps=max(1, episodes.steps - len(path) + 1))
        for path, turn in children
        if not path[-1].over
    ]
    followed = iter(runner(context, temperature=0.0).run(follow, judges.opens, episodes))
    for path, turn in children:
        end = turn
        if not path[-1].over:
            ((episode,),) = [next(followed)]
            (end,) = episode.turns
        attempt = judges.judged(end, turn.steps)
        whole = replace(end, steps=[*turn.steps, *(end.steps if end is not turn else [])])
        (attempt,) = judges.rewarded([replace(attempt, taken=whole)], paying=True)
        path[-1].attempt = attempt
        _back_up(path, attempt.reward)


def _back_up(path: Sequence[Node], reward: float) -> None:
    for node in path:
        node.visits += 1
        node.total += reward


def _expanded(root: Node) -> list[Node]:
    """Return the nodes with children, the root first."""
    if not root.children:
        return []
    return [root, *(node for child in root.children for node in _expanded(child))]


def _valued(node: Node, config: SearchConfig) -> Attempt:
    assert node.attempt is not None
    value = math.log1p(10 * node.value) / math.log(11) if config.boost else node.value
    return replace(node.attempt, reward=value)
