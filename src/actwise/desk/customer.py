"""How a customer writes a message: a wording, perhaps a greeting, thanks or a typo."""

from random import Random

from actwise.desk.wordings import small_talk
from actwise.desk.world import Choice

_GREETS, _THANKS, _MISTYPES = 0.4, 0.2, 0.08


class Customer:
    """One customer; keeps one name through the conversation."""

    def __init__(self, rng: Random, *, shifted: bool) -> None:
        self._rng = rng
        self._shifted = shifted
        self._name = rng.choice(small_talk.NAMES)
        self._greeted = False

    def phrase(self, wording: Choice[str], **slots: object) -> str:
        """Return one wording with its slots filled, or a phrase for a slot of another."""
        template = self._rng.choice(wording.pool(self._shifted))
        if self._rng.random() < _MISTYPES:
            template = _mistype(self._rng, template)
        return template.format(**slots)

    def message(self, wording: Choice[str], **slots: object) -> str:
        """Return a whole message; the first one may greet."""
        text = self.phrase(wording, **slots)
        text = text[0].upper() + text[1:]
        if not self._greeted and self._rng.random() < _GREETS:
            text = f"{self.phrase(small_talk.GREETING, name=self._name)} {text}"
        self._greeted = True
        if self._rng.random() < _THANKS:
            text = f"{text} {self.phrase(small_talk.THANKS, name=self._name)}"
        return text


def _mistype(rng: Random, template: str) -> str:
    """Swap two inner letters of one longer word; slots and what touches them stay whole."""
    words = template.split(" ")
    places = [i for i, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    if not places:
        return template
    place = rng.choice(places)
    word = words[place]
    at = rng.randrange(1, len(word) - 2)
    words[place] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return " ".join(words)
