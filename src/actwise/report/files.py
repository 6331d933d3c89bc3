"""Files of a run folder, read as they were written, while the run may be going on."""

import json
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from actwise.errors import InputError
from actwise.run.checksums import Checksums
from actwise.run.files import check_ordinary

Shape = TypeVar("Shape")
_REMEDY = "run the command of the run again, which writes it anew"


class Files:
    """The files that a run folder held at one moment."""

    def __init__(self, folder: Path) -> None:
        """List them.

        Raises:
            RunError: If the folder holds links, pipes or devices; if its checksums are damaged.
        """
        check_ordinary(folder)
        self.folder = folder
        # Before the checksums: of what a run writes meanwhile they would not know.
        self.names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
        self._checksums = Checksums(folder)

    def json(self, name: str, kind: type[Shape]) -> Shape | None:
        """Return what a JSON file holds; None where it is not there.

        Raises:
            InputError: If it is not what its writer made.
        """
        if name not in self.names:
            return None
        path = self.whole(name)
        try:
            return TypeAdapter(kind).validate_python(json.loads(path.read_text("utf-8")))
        except json.JSONDecodeError as error:
            raise self.broken(name, f"not JSON: {error.msg}", error.lineno) from error
        except ValidationError as error:
            raise self.broken(name, _first(error)) from error
        except (ValueError, RecursionError) as error:  # not UTF-8, or nested without end
            raise self.broken(name, f"not JSON: {error}") from error

    def lines(self, name: str, kind: type[Shape]) -> list[Shape]:
        """Return the records of a file of JSON lines.

        Raises:
            InputError: If it is not what its writer made.
        """
        adapter, found = TypeAdapter(kind), []
        for number, line in enumerate(self.whole(name).read_bytes().split(b"\n"), start=1):
            if not line:
                continue
            try:
                found.append(adapter.validate_python(json.loads(line)))
            except ValidationError as error:
                raise self.broken(name, _first(error), number) from error
            except (ValueError, RecursionError) as error:
                raise self.broken(name, "not JSON", number) from error
        return found

    def whole(self, name: str) -> Path:
        """Return the path of a file that is what was written.

        Raises:
            InputError: It is not.
        """
        damage = self._checksums.damage(name)
        if damage is None:
            return self.folder / name
        differs = ", for its checksum differs" if damage.what == "damaged" else ""
        raise self.broken(damage.name, damage.what + differs)

    def broken(self, name: str, problem: str, line: int | None = None) -> InputError:
        """Return the error that names a file, what is wrong with it, and the remedy."""
        return InputError(problem, file=str(self.folder / name), line=line, remedy=_REMEDY)


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
