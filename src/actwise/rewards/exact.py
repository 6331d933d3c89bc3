"""Texts of which every sign counts: code, commands, queries, paths, patterns and secrets.

An argument's name says so, or the text's form. Names are read as words (`sourceCode` is "source
code"), and only those count that leave no doubt: a `query` may be what somebody types into a
search box, a `country_code` is not code.
"""

import re

from actwise.rewards.lexicon import words

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_NAMES = words("""
    cmd command commands expr expression formula regex regexp pattern glob sql cypher graphql
    sparql xpath jq selector script snippet stdin path paths filepath file filename filenames dir
    directory folder cwd password passwd passphrase passcode secret token pin hash checksum
    signature cookie html css xml json yaml toml latex markdown patch diff repo repository branch
    username login handle
""")
_CODE_OF = words("source python java javascript js program shell bash r c rust go")
_KEY_OF = words("api access private public secret ssh encryption signing license")
_FORM = re.compile(
    r"""
    (?:^|\s)--?[A-Za-z]                              # a command's flag
  | ^\s*(?:~|\.{1,2})?/                              # a path from a root
  | ^\s*[A-Za-z]:\\ | ^\s*\.\w                       # C:\, a hidden file
  | ^[^\s@]*[^\s@.]\.[A-Za-z0-9]{1,5}$               # a file's name
  | ^[^\s/]+/[^\s/]+/[^\s]*$                         # a path of three steps
  | [\\{}^|`] | \$[A-Za-z{(] | [=<>]                 # signs of code, of patterns and of markup
  | \w\(\S | \w\(\) | ::
  | \*\. | \.[*+?] | \[[^\]\s]{0,40}-[^\]\s]{0,40}\] # wildcards, classes
  | (?<!\w)\w{1,2}\s{0,3}[+*/%]\s{0,3}\w{1,2}(?!\w)  # a sum of short names
  | ^\s*(?i:select|insert\s+into|update|delete\s+from|create|alter|drop|with)\s.{0,2000}
    \b(?i:from|values|set|where|table|view|index|as)\b
    """,
    re.VERBOSE | re.DOTALL,
)
_LONGEST_FORM = 5000
"""Characters of a text whose form is looked at: a form that begins later decides nothing."""


def has_exact_form(text: str) -> bool:
    """Whether a text looks like one of which every sign counts."""
    return bool(_FORM.search(text[:_LONGEST_FORM].rstrip()))


def named_exact(name: str) -> bool:
    """Whether an argument's name alone says that every sign of its text counts."""
    words = [word.lower() for word in _WORD.findall(name)]
    if not words:
        return False
    *before, last = words
    if last == "code":
        return not before or not _CODE_OF.isdisjoint(before)
    if last in ("key", "keys"):
        return not _KEY_OF.isdisjoint(before)
    return last in _NAMES or words[0] in ("sql", "regex", "command")
