"""What stands between tags in a text; the time it takes grows with the text and no faster."""


def between(text: str, opened: str, closed: str) -> tuple[str, list[str]]:
    """Return a text without the parts between two tags, and those parts.

    A tag that is never closed, or never opened, is part of the text.
    """
    outside: list[str] = []
    inside: list[str] = []
    at = 0
    while True:
        start = text.find(opened, at)
        end = text.find(closed, start) if start >= 0 else -1
        if end < 0:
            return "".join([*outside, text[at:]]), inside
        outside.append(text[at:start])
        inside.append(text[start + len(opened) : end])
        at = end + len(closed)
