"""Tables for a terminal: columns for which there is no room are put below, never broken."""

import io
from collections.abc import Collection, Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.table import Table
from rich.text import Text

from actwise.errors import printable


class FoldedTable:
    """A table that is as wide as it may be where it is printed.

    Columns that do not fit follow in further tables below it, beside the leading columns again.
    """

    def __init__(self, titles: Sequence[str], *, lead: int = 1, left: Collection[str] = ()) -> None:
        """Begin a table.

        Args:
            titles: Of the columns; a line feed begins a second line.
            lead: Number of columns that say what a row is about.
            left: Titles of further columns that are aligned to the left; figures are to the right.
        """
        self._titles = list(titles)
        self._lead = lead
        self._left = left
        self._rows: list[list[str]] = []
        self._sections: set[int] = set()

    def add_row(self, *cells: str) -> None:
        """Add a row; cells at its end may be left out."""
        missing = len(self._titles) - len(cells)
        self._rows.append([*map(printable, cells), *[""] * missing])

    def add_section(self) -> None:
        """Draw a line below the last row."""
        self._sections.add(len(self._rows) - 1)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table | Text]:
        """Yield as many tables as the width asks for."""
        widths = [self._width(column) for column in range(len(self._titles))]
        # Columns stand closer together before one of them goes below.
        gap = 2 if sum(widths) + 2 * (len(widths) - 1) <= options.max_width else 1
        room = options.max_width - sum(width + gap for width in widths[: self._lead])
        folded: list[list[int]] = [[]]
        left = room
        for column in range(self._lead, len(widths)):
            if folded[-1] and left < widths[column]:
                folded.append([])
                left = room
            folded[-1].append(column)
            left -= widths[column] + gap
        for number, columns in enumerate(folded):
            if number:
                yield Text()
            yield self._table(columns, gap)

    def least_width(self) -> int:
        """Return the width that the leading columns and the widest of the others need."""
        widths = [self._width(column) for column in range(len(self._titles))]
        return sum(width + 1 for width in widths[: self._lead]) + max(widths[self._lead :])

    def _width(self, column: int) -> int:
        cells = [*self._titles[column].split("\n"), *(row[column] for row in self._rows)]
        return max(map(cell_len, cells))

    def _table(self, columns: list[int], gap: int) -> Table:
        shown = [*range(self._lead), *columns]
        # The box draws one of the spaces between columns.
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap - 1, 0, 0))
        for column in shown:
            title = self._titles[column]
            right = column >= self._lead and title not in self._left
            table.add_column(Text(title), justify="right" if right else "left", no_wrap=True)
        for number, row in enumerate(self._rows):
            if any(row[column] for column in columns):
                table.add_row(*(Text(row[column]) for column in shown))
            if number in self._sections:
                table.add_section()
        return table


def as_text(table: FoldedTable, width: int) -> str:
    """Return a table as text without colours, each line ended; wider where a cell would be cut."""
    out = io.StringIO()
    width = max(width, table.least_width())
    Console(file=out, width=width, color_system=None, legacy_windows=False).print(table)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().rstrip().split("\n"))
