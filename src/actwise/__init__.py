"""actwise: a small model that thinks before it acts, trained from conversation logs.

The Python API, whose functions are imported when they are first used:

    check(files)            look through logs for what would poison training
    prepare(files)          what a run trains and measures on
    train(data, out)        base, SFT, thinking and RL, to a table and a report
    evaluate(model, files)  measure a model on logs
    evaluate_episodes(model)  let a model act on its own history, and measure that
    load_run(folder)        what a run found
    load_model(name)        a model that acts in a conversation
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actwise.api import check, evaluate, evaluate_episodes, load_model, load_run, prepare, train

__version__ = "0.1.0"

__all__ = [
    "check",
    "evaluate",
    "evaluate_episodes",
    "load_model",
    "load_run",
    "prepare",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'actwise' has no attribute {name!r}")
    from actwise import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
