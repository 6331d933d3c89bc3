"""The desk as the data of a run."""

from hashlib import sha256

from actwise.config import RunConfig
from actwise.data.prepare import Prepared, renamed
from actwise.data.split import Splits
from actwise.desk.conversations import generate


def prepare_desk(config: RunConfig) -> Prepared:
    """Make the desk's conversations in place of reading logs, and prepare them as logs are.

    Args:
        config: Its section `desk` says how many; other seeds have other conversations.

    Returns:
        Splits measured on `test` and `shifted`.
    """
    made = {name: generate(name, size, config.seed) for name, size in config.desk}
    fingerprints = [
        {
            "file": f"desk/{name}",
            "sha256": sha256("\n".join(c.to_json() for c in conversations).encode()).hexdigest(),
            "conversations": len(conversations),
        }
        for name, conversations in made.items()
    ]
    splits = Splits(made["train"], made["dev"], {n: made[n] for n in ("test", "shifted")})
    return Prepared(renamed(splits, config), [], fingerprints)
