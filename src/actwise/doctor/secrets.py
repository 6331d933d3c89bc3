"""Keys and tokens in logs, found by detect-secrets where that is installed.

Only its detectors of a fixed shape are used; those by entropy or keyword take order numbers and
talk about passwords for secrets. None is verified, so nothing leaves the machine.
"""

from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from actwise.doctor.exposed import Detect, Exposed

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


def installed_detectors() -> dict[str, Detect] | None:
    """Return what detects each kind, or None where detect-secrets is not installed."""
    if find_spec("detect_secrets") is None:
        return None
    plugins = [
        getattr(import_module(f"detect_secrets.plugins.{module}"), name)()
        for module, name in _DETECTORS.items()
    ]
    return {plugin.secret_type: partial(_holds, plugin) for plugin in plugins}


def _holds(plugin: Any, text: str) -> bool:
    return any(plugin.analyze_string(text))


def family(max_examples: int, detectors: dict[str, Detect] | None) -> Exposed:
    """Return what looks for keys and tokens."""
    return Exposed(
        max_examples,
        detectors or {},
        code="secret",
        message="message(s) with what looks like a key, token or password",
        remedy="Revoke it, and replace it in the log by a made-up one of the same shape.",
    )
