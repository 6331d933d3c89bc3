"""What a server tells Prometheus of itself."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from actwise.serving.scheduler import Scheduler

_SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
_TOKENS = (16, 64, 256, 1024, 4096, 16384)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self.requests = Counter(
            "actwise_requests", "Requests by answer.", ["model", "status"], registry=registry
        )
        self.dropped = Counter(
            "actwise_dropped", "Requests whose client went away.", ["model"], registry=registry
        )
        self.prompt_tokens = Histogram(
            "actwise_prompt_tokens",
            "Tokens of prompts.",
            ["model"],
            buckets=_TOKENS,
            registry=registry,
        )
        self.reused_tokens = Counter(
            "actwise_reused_tokens",
            "Tokens of prompts that were kept from an earlier one.",
            ["model"],
            registry=registry,
        )
        self.completion_tokens = Histogram(
            "actwise_completion_tokens",
            "Tokens of completions.",
            ["model"],
            buckets=_TOKENS,
            registry=registry,
        )
        self.first_token = Histogram(
            "actwise_first_token_seconds",
            "From a request to its first token.",
            ["model"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.duration = Histogram(
            "actwise_request_seconds",
            "From a request to the end of its completion.",
            ["model"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.rows = Histogram(
            "actwise_batch_rows",
            "Completions that one step of a batch decodes.",
            buckets=_ROWS,
            registry=registry,
        )

    def watch(self, scheduler: Scheduler) -> None:
        """Show what a scheduler has."""
        for name, meaning, value in (
            ("running", "Completions being decoded.", lambda: scheduler.num_running),
            ("waiting", "Completions waiting for their turn.", lambda: scheduler.num_waiting),
            ("kept_bytes", "What is kept of prompts.", lambda: scheduler.kept_bytes),
        ):
            gauge = Gauge(f"actwise_{name}", meaning, registry=self._registry)
            gauge.set_function(value)

    def render(self) -> bytes:
        """Return Prometheus' text format."""
        return generate_latest(self._registry)
