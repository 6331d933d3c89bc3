"""Keys and tokens in logs, found by detect-secrets where that is installed.

Only its detectors of a fixed shape are used; those by entropy or keyword take order numbers and
talk about passwords for secrets. None is verified, so nothing leaves the machine.
"""

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

from actwise.findings.finding import Case, Finding, Tally, written

_DETECTORS = {
    "aws": "AWSKeyDetector",
    "azure_storage_key": "AzureStorageKeyDetector",
    "basic_auth": "BasicAuthDetector",
    "discord": "DiscordBotTokenDetector",
    "github_token": "GitHubTokenDetector",
    "gitlab_token": "GitLabTokenDetector",
    "jwt": "JwtTokenDetector",
    "mailchimp": "MailchimpDetector",
    "npm": "NpmDetector",
    "openai": "OpenAIDetector",
    "private_key": "PrivateKeyDetector",
    "pypi_token": "PypiTokenDetector",
    "sendgrid": "SendGridDetector",
    "slack": "SlackDetector",
    "square_oauth": "SquareOAuthDetector",
    "stripe": "StripeDetector",
    "telegram_token": "TelegramBotTokenDetector",
    "twilio": "TwilioKeyDetector",
}


class Detector(Protocol):
    """One detector of detect-secrets."""

    secret_type: str

    def analyze_string(self, string: str) -> Iterable[str]:
        """Yield the secrets in a text."""


def installed_detectors() -> list[Detector] | None:
    """Return the detectors, or None where detect-secrets is not installed."""
    if find_spec("detect_secrets") is None:
        return None
    made: list[Callable[[], Detector]] = [
        getattr(import_module(f"detect_secrets.plugins.{module}"), name)
        for module, name in _DETECTORS.items()
    ]
    return [make() for make in made]


class Secrets:
    """Messages with something that opens a door; what it is, not how it reads, is kept."""

    def __init__(self, max_examples: int, detectors: list[Detector] | None) -> None:
        self._detectors = detectors or []
        self._found = Tally(max_examples)

    def look(self, case: Case) -> list[str]:
        """See `Family.look`."""
        found = []
        for index, message in enumerate(case.conversation.messages):
            text = written(message)
            kinds = [d.secret_type for d in self._detectors if any(d.analyze_string(text))]
            if kinds:
                found.append(f"{case.at(index)} holds: {', '.join(kinds)}")
        return found

    def note(self, seen: list[str]) -> None:
        """Count the messages."""
        self._found.extend(seen)

    def findings(self) -> Iterator[Finding]:
        """Yield the messages."""
        yield from self._found.finding(
            "warning",
            "secret",
            "message(s) with what looks like a key, token or password",
            effect="The model can learn it by heart and tell it to anybody.",
            remedy="Revoke it, and replace it in the log by a made-up one of the same shape.",
        )
