"""What the judge knows of languages: words that tell them apart, deny, agree and refuse.

Adding a language is adding one entry. In a language without an entry facts and labels are compared
as everywhere, but what a sentence affirms or denies is not.
"""

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

from actwise.rewards.lexicon import words


@dataclass(frozen=True)
class Language:
    """Words of one language, in lower case; an apostrophe ends a word."""

    function: frozenset[str]
    """Words without a content of their own; they tell the language, too."""
    negators: frozenset[str]
    yes: frozenset[str]
    no: frozenset[str]
    decimal_comma: bool = True
    """Whether 1,5 is one and a half, and 1.234 more than a thousand."""

    @cached_property
    def known(self) -> frozenset[str]:
        """All words that tell the language."""
        return self.function | self.negators | self.yes | self.no


LANGUAGES = {
    "en": Language(
        function=words(
            "a an the i i'm i'll i've we we're we'll we've you you're you'll you've he he's she "
            "she's it it's its they they're them their his her him me my our ours us your yours "
            "this that that's these those there there's here is are was were be been being am do "
            "does did done doing has have had having will would shall can could may might must "
            "should of to in on at by for from with into as and or but so if then than just also "
            "too very really please what which who when where how let let's s ll re ve d m t any "
            "some about up out all"
        ),
        negators=words(
            "not no never none nobody nothing nowhere neither nor without cannot ain't hardly"
        ),
        yes=words("yes yeah yep yup sure certainly absolutely definitely indeed"),
        no=words("no nope"),
        decimal_comma=False,
    ),
    "de": Language(
        function=words(
            "der die das den dem des ein eine einen einem einer eines ich wir sie er es ihr ihre "
            "ihren ihrem ihrer mein unser unsere uns mich dich sich ist sind war waren wird werden "
            "wurde wurden hat haben kann können muss zu zum zur im in an am auf aus bei mit von "
            "vom für und oder aber auch noch schon bitte um bis nach über wie was wo wer da dann "
            "dass"
        ),
        negators=words(
            "nicht kein keine keinen keinem keiner keines nie niemals niemand nichts ohne weder"
        ),
        yes=words("ja jawohl gerne natürlich sicher"),
        no=words("nein nee"),
    ),
    "fr": Language(
        function=words(
            "le la les l' un une des du de d' je j' nous vous il elle on ils elles ce c' cette ces "
            "est sont était sera seront a ont avez avons être avoir votre vos notre nos mon ma mes "
            "à au aux en dans sur pour par avec et ou mais que qu' qui où y se s' lui leur très "
            "plus s'il cela ça n' ne"
        ),
        negators=words("pas jamais aucun aucune rien personne sans non"),
        yes=words("oui bien d'accord"),
        no=words("non"),
    ),
    "es": Language(
        function=words(
            "el la los las un una unos unas de del al yo nosotros usted ustedes él ella es son "
            "está están era fue será ha han he hemos ser estar su sus mi nuestro nuestra a en por "
            "para con y o pero que se le les lo me nos muy más como cuando donde este esta esto "
            "por favor"
        ),
        negators=words("no nunca jamás nada nadie ningún ninguna ninguno sin tampoco ni"),
        yes=words("sí si claro"),
        no=words("no"),
    ),
    "it": Language(
        function=words(
            "il lo la i gli le un uno una di del della dei delle al alla da dal in nel nella su "
            "per con e o ma che si ci vi io noi voi lei lui è sono era sarà ha hanno abbiamo "
            "essere avere suo sua mio nostro questo questa molto più come quando dove l' un'"
        ),
        negators=words("non mai niente nulla nessuno nessuna senza né"),
        yes=words("sì certo certamente"),
        no=words("no"),
    ),
    "pt": Language(
        function=words(
            "o a os as um uma de do da dos das no na nos nas em ao à por para com e ou mas que se "
            "eu nós você vocês ele ela é são está estão era foi será tem têm ser estar seu sua meu "
            "nosso nossa este esta isto muito mais como quando onde pelo pela"
        ),
        negators=words("não nunca jamais nada ninguém nenhum nenhuma sem nem"),
        yes=words("sim claro"),
        no=words("não"),
    ),
    "nl": Language(
        function=words(
            "de het een ik wij we u jij je hij zij ze is zijn was waren wordt worden werd heeft "
            "hebben kan kunnen moet te van in op aan bij met voor en of maar ook nog al om tot "
            "naar over hoe wat waar wie dan dat dit deze die uw mijn ons onze"
        ),
        negators=words("niet geen nooit niemand niets zonder nergens noch"),
        yes=words("ja jazeker natuurlijk"),
        no=words("nee"),
    ),
}

_TOKEN = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_ENOUGH = 3
"""Words of a text from which on it is expected to hold a function word of its language."""


@lru_cache(maxsize=4096)
def language_of(text: str) -> str | None:
    """Return the code of the language of a text; None for one that is not known here.

    A text of one or two words that no language claims counts as English.
    """
    tokens = _TOKEN.findall(text.casefold()[:4000])
    if not tokens:
        return "en"
    tokens = ["not" if token.endswith("n't") else token for token in tokens]
    counts = {
        code: sum(token in words.known for token in tokens) for code, words in LANGUAGES.items()
    }
    best = max(counts, key=lambda code: counts[code])  # the first, English, of several
    if counts[best]:
        return best
    latin = sum(token.isascii() for token in tokens)
    return "en" if len(tokens) < _ENOUGH and latin == len(tokens) else None
