"""Exports that hold many records."""

import json

from actwise.formats.layout import unwrapped


class Counted(str):
    """A text that counts how many of its characters are looked at."""

    looked_at = 0

    def __getitem__(self, key):  # type: ignore[no-untyped-def]
        found = super().__getitem__(key)
        self.looked_at += len(found)
        return found

    def count(self, sub, start=0, end=None):  # type: ignore[no-untyped-def]
        end = len(self) if end is None else end
        self.looked_at += end - start
        return super().count(sub, start, end)


def test_the_lines_of_many_records_are_found_in_one_look() -> None:
    # Line 7 is that of the export's brace, 8 that of the key; a record of one message has 3 lines.
    records = [{"messages": [str(number)]} for number in range(200)]
    members = ",\n".join(f'{{"messages":\n["{number}"]\n}}' for number in range(200))
    text = Counted(f'{{\n"data": [\n{members}]}}')
    found = list(unwrapped(7, text, json.loads(text), is_record=lambda value: False))
    assert found == [(9 + 3 * number, record) for number, record in enumerate(records)]
    assert len(text) < text.looked_at < 3 * len(text)
