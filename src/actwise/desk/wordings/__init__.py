"""What customers say, one module for each domain; the second pool of each is `shifted`'s alone."""

from actwise.desk.world import Choice


def lines(train: str, shifted: str) -> Choice[str]:
    """Read two blocks of text with one wording on each line; slots stand in braces."""
    return Choice(tuple(train.strip().splitlines()), tuple(shifted.strip().splitlines()))
