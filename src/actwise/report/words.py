"""What the figures of a report are called, what they mean, and how they are written."""

from dataclasses import dataclass

from actwise.report.folder import Paired, Range
from actwise.results.failures import KINDS
from actwise.results.summary import FEWEST
from actwise.training.stages import label_of, stage_named


@dataclass(frozen=True)
class Word:
    """The title of a figure and one line on its meaning."""

    title: str
    meaning: str
    share: bool = True
    """Whether the figure is between 0 and 1 and is written in per cent."""


METRICS = {
    "action_accuracy": Word(
        "action accuracy",
        "Share of decisions that are right: exactly the recorded tool calls, or an answer with "
        "every fact of the recorded answer and none contradicted. Decisions that cannot be checked "
        "do not count.",
    ),
    "tool_names": Word(
        "tool names",
        "Where tools had to be called: share of decisions with exactly the recorded tools.",
    ),
    "arguments": Word(
        "arguments", "Where tools had to be called: share of the recorded arguments that are right."
    ),
    "recall": Word(
        "recall", "Share of the recorded calls that came; where an answer was due, 1 if one came."
    ),
    "answer_correctness": Word(
        "answer score",
        "Where an answer was due: agreement with the recorded one, facts before wording.",
    ),
    "missed_calls": Word(
        "missed calls", "Where tools had to be called: how often none was. Lower is better."
    ),
    "needless_calls": Word(
        "needless calls",
        "Where an answer was due: how often a tool was called instead. Lower is better.",
    ),
    "not_checkable": Word(
        "left open",
        "Share of decisions whose answer is not checkable: neither right nor wrong, because the "
        "record states no fact and is worded otherwise. Kept out of action accuracy.",
    ),
    "format": Word("format", "Share of completions that can be read without an error."),
    "truncated": Word(
        "cut off", "Share of completions that ran into the length limit. Lower is better."
    ),
    "thought_tokens": Word("thought tokens", "Mean length of the thought, in tokens.", share=False),
}

CURVES = {
    "loss": Word(
        "loss", "What training lowers; in RL its level says little, the reward does.", share=False
    ),
    "reward": Word("reward", "Mean reward of the sampled completions.", share=False),
    "right": Word("right while training", "Share of the sampled completions that are right."),
    "dev_action_accuracy": Word(
        "dev accuracy", "Action accuracy on conversations kept back; the best step is the one kept."
    ),
    "live_groups": Word(
        "live groups", "Decisions whose completions differ in reward; the others teach nothing."
    ),
    "entropy": Word("entropy", "How undecided the model is; near 0 it tries nothing new.", False),
    "kl": Word("KL", "How far the model has moved from where the stage began.", share=False),
    "completion_tokens": Word("completion length", "Mean tokens, thought included.", share=False),
    "thought_words": Word("thought length", "Mean words of the thought.", share=False),
    "not_checkable": Word(
        "not checkable",
        "Share of decisions whose answer can be called neither right nor wrong, because the record "
        "states no fact and is worded otherwise. Kept out of action accuracy.",
    ),
    "format": Word("format", "Share of the sampled completions that can be read."),
    "truncated": Word("cut off", "Share of the sampled completions that hit the length limit."),
    "mismatch_kl": Word(
        "mismatch", "Divergence of what samples from what is trained, in nats a token.", share=False
    ),
    "importance_capped": Word("capped", "Share of tokens that count no more than they may."),
    "clipped_low": Word("clipped below", "Share of tokens held back from becoming rarer still."),
    "clipped_high": Word(
        "clipped above", "Share of tokens held back from becoming likelier still."
    ),
    "grad_norm": Word("gradient norm", "Size of the update before it is limited.", share=False),
}
"""What is drawn of a stage's steps, in this order; other columns of the file are not."""


OUTCOMES = {
    "right": "the recorded action, or an answer with all its facts",
    **KINDS,
    "not checkable": "an answer that can be called neither right nor wrong, because the record "
    "states no fact and is worded otherwise; kept out of action accuracy",
}
"""What can become of a decision; see `results.failures.outcome`."""

SPLITS = {
    "test": "Conversations of the same kind as those that were trained on, and none of them.",
    "shifted": "Conversations of another kind than those that were trained on: the same tasks with "
    "other wordings, tools and names. What was learned has to carry over.",
}
"""What is measured on, by name."""


def metric(name: str) -> Word:
    """Return a metric's words; one we do not know is shown under its own name."""
    return METRICS.get(name) or Word(name.replace("_", " "), "", share=False)


def model_title(name: str) -> str:
    """Return the title of a model; one we do not know stands for itself."""
    return label_of(name)


def stage_title(name: str) -> str:
    """Return what a stage teaches; the name of one that we do not know."""
    stage = stage_named(name)
    return name if stage is None else stage.title


def model_and_mode(name: str) -> tuple[str, str]:
    """Take apart a name such as "rl (thinking)"; the mode is empty where none is named."""
    model, found, mode = name.removesuffix(")").rpartition(" (")
    return (model, mode) if found and mode in ("direct", "thinking") else (name, "")


def number(value: float | None, *, share: bool, unit: bool = True) -> str:
    """Write a figure: a share in per cent with one decimal, else about three digits."""
    if value is None:
        return "–"
    if share:
        # Adding 0 turns the "-0.0" of a rounded bound into "0.0".
        return f"{round(100 * value, 1) + 0.0:.1f}" + ("\u202f%" if unit else "")
    if value == round(value):
        return f"{value:.0f}".replace("-", "−")
    return (f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}").replace("-", "−")


def span(interval: Range, *, share: bool) -> str:
    """Write the range of a figure; empty when there is none."""
    if interval.low is None or interval.high is None:
        return ""
    return f"{number(interval.low, share=share, unit=False)}–" + number(
        interval.high, share=share, unit=False
    )


def points(value: float | None) -> str:
    """Write a difference of shares in percentage points, with its sign."""
    return "–" if value is None else f"{round(100 * value, 1) + 0.0:+.1f}".replace("-", "−")


def judgement(pair: Paired) -> str:
    """Say what a paired difference shows: "better", "worse" or "no clear difference"."""
    difference = pair.difference
    if pair.conversations is not None and pair.conversations < FEWEST:
        return "no clear difference"
    if difference.low is not None and difference.low > 0:
        return "better"
    if difference.high is not None and difference.high < 0:
        return "worse"
    return "no clear difference"


def duration(seconds: float) -> str:
    """Write a time, such as "12 s", "3 min 20 s" or "2 h 5 min"."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def size(count: float) -> str:
    """Write a number of bytes, such as "1.5 GB"."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 999.5:  # what is rounded to 1000 is written in the next unit
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
