"""What runs and evaluations found, as values to work with."""

import importlib.util
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actwise.config import Mode, dotted
from actwise.errors import RunError
from actwise.report import write_episodes, write_table
from actwise.report.charts import standalone
from actwise.report.folder import Results
from actwise.report.sections import budget_charts
from actwise.results.failures import failures_sentence
from actwise.run.files import damaged, read_records
from actwise.run.folder import CONVERSATIONS

if TYPE_CHECKING:
    from actwise.api.acting import Model

Record = dict[str, Any]


@dataclass(frozen=True)
class Evaluation:
    """A model measured on logs."""

    results: dict[str, Any]
    """Rows of the table, and what was skipped, as in `results.json`; where the model was trained on
    some of the conversations, how many: "seen", "held_out", "conversations"."""
    records: dict[str, list[Record]]
    """Judged decisions by mode: "decision", "kind", "text", "thought", "verdict" and more; and by
    mode and name what else was measured, such as "thinking-thought-of-8"."""

    @property
    def table(self) -> str:
        """The table as text."""
        return write_table(self.results)

    @property
    def warning(self) -> str | None:
        """Why the figures flatter, if they do: the model was trained on what it is measured on."""
        return _flattering(self.results)

    def budget_curve(self) -> str | None:
        """Return action accuracy by budget of thought as SVG; None where none was measured."""
        curves = budget_charts(Results.model_validate(self.results))
        return standalone(curves[0]["svg"]) if curves else None

    def decisions(self) -> Any:
        """Return the judged decisions: a data frame where pandas is installed, else records."""
        return as_frame(
            dotted({"mode": mode, **record})
            for mode, records in self.records.items()
            for record in records
            if "verdict" in record
        )


@dataclass(frozen=True)
class EpisodeEvaluation:
    """A model that acted on its own history."""

    results: dict[str, Any]
    """Rows of the table under "episodes", and what was skipped."""
    records: dict[str, list[Record]]
    """Episodes by mode: "conversation", "unit", "success", "end", "steps" and more."""

    @property
    def table(self) -> str:
        """The table as text."""
        return write_episodes(self.results["episodes"])

    @property
    def warning(self) -> str | None:
        """As of an `Evaluation`."""
        return _flattering(self.results)


def _flattering(results: dict[str, Any]) -> str | None:
    if "seen" not in results:
        return None
    return (
        f"{results['seen']} of {results['conversations']} conversations "
        f"({results['seen'] / results['conversations']:.0%}) are among those that the model was "
        f"trained on or chosen by, so the figures flatter; --split test measures the "
        f"{results['held_out']} that were held out"
    )


@dataclass(frozen=True)
class LoadedRun:
    """A run folder."""

    folder: Path

    @cached_property
    def results(self) -> dict[str, Any]:
        """What `results.json` holds.

        Raises:
            RunError: The run is not finished, or the file is damaged.
        """
        results = read_results(self.folder)
        if results is None:
            raise RunError(f"{self.folder}: not finished; run its command again to go on with it")
        return results

    @property
    def table(self) -> str:
        """The table of the models as text."""
        return write_table(self.results)

    @property
    def verdict(self) -> str:
        """What the run found, in a sentence."""
        return str(self.results["verdict"])

    @property
    def promoted(self) -> str:
        """Name of the model that was best on the development split; "base" if nothing helped."""
        return str(self.results["promoted"])

    @property
    def promoted_mode(self) -> Mode | None:
        """The mode in which it was best there; None where the run is of a version without it."""
        mode: Mode | None = self.results.get("promoted_mode")
        return mode

    @property
    def split(self) -> str:
        """Name of the first test split, of which the verdict is."""
        return str(self.results["rows"][0]["split"])

    @property
    def failures(self) -> str:
        """How much the promoted model gets wrong on that split, and of what kinds."""
        row = next(
            row
            for row in reversed(self.results["rows"])
            if row["model"] == self.promoted
            and row["split"] == self.split
            and self.promoted_mode in (None, row["mode"])
        )
        file = f"evaluations/{row['model']}-{row['mode']}-{row['split']}.jsonl"
        return failures_sentence(read_records(self.folder / file))

    @property
    def models(self) -> dict[str, Path]:
        """Folders of the trained models by name."""
        return {path.name: path for path in sorted(self.folder.glob("models/[!.]*"))}

    @property
    def conversations(self) -> list[Record]:
        """The conversations that were measured on, with their split, in OpenAI's shape."""
        file = self.folder / CONVERSATIONS
        return read_records(file) if file.exists() else []

    def evaluations(self) -> Any:
        """Return every judged decision of every model, mode and split.

        Returns:
            A data frame where pandas is installed, else a list of records; verdicts are flattened
            to "verdict.right" and so on.
        """
        rows = []
        for file in sorted(self.folder.glob("evaluations/[!.]*.jsonl")):
            model, mode, split = file.stem.split("-", 2)
            named = {"model": model, "mode": mode, "split": split}
            rows += [dotted(named | record) for record in read_records(file)]
        return as_frame(rows)

    def metrics(self, stage: str) -> Any:
        """Return the figures of each step of a stage, as `evaluations` returns its rows."""
        file = self.folder / "metrics" / f"{stage}.jsonl"
        return as_frame(read_records(file, growing=True) if file.exists() else [])

    def model(self, name: str | None = None) -> "Model":
        """Load one of the trained models, or the base.

        Args:
            name: Name of the model; the promoted one where None.

        Raises:
            RunError: There is no such model.
        """
        from actwise.api import load_model
        from actwise.api.naming import models_of_run

        models = models_of_run(self.folder)
        name = self.promoted if name is None else name
        if name not in models:
            raise RunError(f"{self.folder}: has no model {name!r}; there are {', '.join(models)}")
        return load_model(models[name].path, models[name].config)


def read_results(folder: Path) -> dict[str, Any] | None:
    """Return what `results.json` of a run holds; None where it is not finished.

    Raises:
        RunError: It is damaged.
    """
    file = folder / "results.json"
    if not file.exists():
        return None
    try:
        return dict(json.loads(file.read_bytes()))
    except (ValueError, TypeError, RecursionError) as error:
        raise damaged(file) from error


def as_frame(rows: Any) -> Any:
    """Return rows as a data frame where pandas is installed, else as a list."""
    records = list(rows)
    if importlib.util.find_spec("pandas") is None:
        return records
    import pandas

    return pandas.DataFrame.from_records(records)
