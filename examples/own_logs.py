"""From a file of logs to a verdict, with the Python API.

    python examples/own_logs.py LOGS.jsonl        your logs, and the shipped base
    python examples/own_logs.py                   conversations of the desk in their place

With a model of your choice in place of "base", this is all that a run takes. The settings below are
so small that it ends in about a minute on two cores; leave them out for a real one.
"""

import sys
import tempfile
from pathlib import Path

import actwise
from actwise.desk import generate

QUICK = {
    "sft": {"steps": 10, "evaluate_every": 10},
    "think": {"steps": 10, "evaluate_every": 10},
    "rl": {"steps": 3, "evaluate_every": 3},
    "evaluate": {"dev_conversations": 5},
}


def main(logs: Path, out: Path) -> None:
    """Check the logs, train on them, and let the best model act."""
    diagnosis = actwise.check(logs)
    print(f"{diagnosis.conversations} conversations, {sum(diagnosis.decisions.values())} decisions")
    for finding in diagnosis.findings:
        print(f"  {finding.severity} {finding.code}: {finding.sentence}")

    prepared = actwise.prepare(logs, QUICK)
    splits = prepared.splits
    print(f"{len(splits.train)} to train on, {len(splits.tests['test'])} to measure on")

    run = actwise.train(prepared, out, model="base", config=QUICK)
    print(run.table)
    print(run.verdict)

    decisions = run.evaluations()  # a data frame, where pandas is installed
    print(f"{len(decisions)} judged decisions")

    conversation = splits.tests["test"][0]
    decision = conversation.decisions()[0]
    messages = [message.to_dict(thought=False) for message in decision.history]
    action = run.model().act(messages, conversation.tools)
    print("customer:", messages[-1]["content"])
    print("thought: ", action.thought)
    print("action:  ", action.calls or action.answer)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "desk.jsonl"
        file.write_text("".join(c.to_json() + "\n" for c in generate("train", 60)))
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else file, Path(folder) / "run")
