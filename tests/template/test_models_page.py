"""docs/models.md says what is found out about each family."""

from pathlib import Path

from families import BEGIN, END, PAGE, page_table


def test_the_table_is_what_the_tests_find(tmp_path: Path) -> None:
    table = PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    assert table == page_table(tmp_path), "write it: PYTHONPATH=src python tests/families.py"
