"""Tables that fit where they are printed."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from actwise.results.columns import FoldedTable, as_text

CELL = st.text("abc7表\x1b", min_size=1, max_size=12)


def printed(table: FoldedTable, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None, legacy_windows=False).print(table)
    return out.getvalue().split("\n")


@given(
    st.lists(st.tuples(CELL, CELL, CELL, CELL, CELL), min_size=1, max_size=4), st.integers(60, 130)
)
def test_every_cell_is_there_and_no_line_is_too_long(
    rows: list[tuple[str, ...]], width: int
) -> None:
    table = FoldedTable([f"title {i}" for i in range(5)])
    for row in rows:
        table.add_row(*row)
    lines = printed(table, width)
    assert max(map(cell_len, lines)) <= width
    text = "\n".join(lines)
    for row in rows:
        for cell in row:
            assert cell.replace("\x1b", "\\x1b") in text
    assert "\x1b" not in text


def test_columns_go_below_beside_the_first_ones() -> None:
    table = FoldedTable(["name", "a", "b" * 10, "c" * 10])
    table.add_row("x", "1", "2", "3")
    table.add_row("only a", "4")
    assert [line.split() for line in printed(table, 20) if line.strip("─ ")] == [
        ["name", "a", "b" * 10],
        ["x", "1", "2"],
        ["only", "a", "4"],
        ["name", "c" * 10],
        ["x", "3"],
    ]


@given(st.lists(st.text("ab表", min_size=1, max_size=90), min_size=4, max_size=4))
def test_nothing_is_cut_where_a_cell_is_longer_than_a_line(cells: list[str]) -> None:
    table = FoldedTable(["one", "two", "three", "four"], lead=2)
    table.add_row(*cells)
    lines = as_text(table, 40).splitlines()
    found = [cell for line in lines if cells[0] in line for cell in line.split()]
    assert set(found) == set(cells)


@pytest.mark.parametrize(("width", "gap"), [(9, 2), (8, 1)])
def test_columns_stand_closer_before_one_goes_below(width: int, gap: int) -> None:
    table = FoldedTable(["n", "aaaaaa"])
    table.add_row("x", "1")
    assert printed(table, width)[0].rstrip() == f"n{' ' * gap}aaaaaa"
