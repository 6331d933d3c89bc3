"""Endpoints that are slow, silent, damaged or malicious, and the key that none of them may show."""

import json
import math
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from actwise.conversation import Conversation, Decision, Message
from actwise.errors import ConfigError, RunError
from actwise.rewards import endpoint as module
from actwise.rewards import opinions as readers
from actwise.rewards.endpoint import Endpoint, Reader
from actwise.rewards.judge import NoVerdict
from actwise.rewards.opinions import Answered, opinions, similarities
from actwise.rewards.secret import redacted
from actwise.rewards.settings import EndpointConfig, JudgeEndpoint

KEY = "sk-proj/Zx8+q1w2e3r4t5y6u7i8o9p0"
Talk = Callable[[socket.socket, bytes], None]
"""Speaks on a connection, having read a request."""


class Raw:
    """A server that speaks bytes, and closes what is open when it ends."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        try:
            request = b""
            while b"\r\n\r\n" not in request:
                request += connection.recv(65536)
            head, _, body = request.partition(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            while len(body) < length:
                body += connection.recv(65536)
            self.requests.append(head)
            self.talk(connection, body)
            connection.close()
        except OSError:
            return

    def close(self) -> None:
        for one in (self._listener, *self._open):
            one.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Talk], Raw]]:
    servers: list[Raw] = []

    def start(talk: Talk) -> Raw:
        servers.append(Raw(talk))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(seconds: float) -> None:
        pass

    monkeypatch.setattr(module, "_pause", none)


def http(body: bytes, status: str = "200 OK", headers: str = "") -> Talk:
    # The server closes each connection, and has to say so: else a client may ask on a closed one.
    lines = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    head = f"{lines}{headers}\r\n".encode()
    return lambda connection, request: connection.sendall(head + body)


def asked(server: Raw, tmp_path: Path, **more: Any) -> JudgeEndpoint:
    more = {"retries": 0, "cache": tmp_path / "cache.sqlite", **more}
    return JudgeEndpoint(url=server.url, model="m", **more)


def answered(answer: str = "Far") -> Answered:
    messages = (
        Message(role="user", content="How far?"),
        Message(role="assistant", content="It is 12 km away."),
    )
    return Answered(Decision(Conversation(id="a", messages=messages), 1), answer)


def verdict(server: Raw, tmp_path: Path, **more: Any) -> float | NoVerdict:
    (found,) = opinions(asked(server, tmp_path, **more), [answered()])
    return found


# Slow


def silent(connection: socket.socket, request: bytes) -> None:
    connection.recv(1)


def dripping_head(connection: socket.socket, request: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        connection.sendall(b"x")
        time.sleep(0.02)


def dripping_body(connection: socket.socket, request: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        connection.sendall(b" ")
        time.sleep(0.02)


def endless(connection: socket.socket, request: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


@pytest.mark.parametrize("talk", [silent, dripping_head, dripping_body])
def test_an_attempt_has_an_end_however_slowly_the_server_speaks(
    serve: Any, tmp_path: Path, talk: Talk
) -> None:
    server = serve(talk)
    found = verdict(server, tmp_path, timeout=0.2, retries=1)
    assert found == NoVerdict("no whole reply within 0.2 s")
    assert len(server.requests) == 2


@pytest.mark.parametrize("talk", [silent, dripping_head, dripping_body])
def test_a_question_has_an_end_whatever_its_attempts_may_take(
    serve: Any, tmp_path: Path, talk: Talk
) -> None:
    found = verdict(serve(talk), tmp_path, timeout=60, retries=100, deadline=0.2)
    assert found == NoVerdict("no reply within 0.2 s")


def test_a_deadline_holds_in_the_pauses(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    server = serve(http(b"busy", "503 Busy", "Retry-After: 600\r\n"))
    found = verdict(server, tmp_path, retries=9, deadline=0.3)
    assert found == NoVerdict("no reply within 0.3 s; HTTP 503: busy")


def test_a_reply_without_end_is_given_up(serve: Any, tmp_path: Path) -> None:
    found = verdict(serve(endless), tmp_path)
    assert found == NoVerdict("DecodingError: the reply has more than 10000000 bytes")


# Malformed


SCORED = '{"choices": [{"message": {"content": "{\\"score\\": 0.5}"}}], "usage": %s}'
USAGES = [
    '"many"',
    "[]",
    "{}",
    '{"prompt_tokens": "abc"}',
    '{"prompt_tokens": -5}',
    '{"prompt_tokens": 1e400}',
    '{"prompt_tokens": NaN}',
    '{"prompt_tokens": [1]}',
    '{"prompt_tokens": true}',
    '{"prompt_tokens": 2.5}',
    '{"prompt_tokens": {"a": 1}}',
    '{"prompt_tokens": 1' + "0" * 400 + "}",
]


@pytest.mark.parametrize("usage", USAGES)
def test_odd_accounts_are_not_counted(serve: Any, tmp_path: Path, usage: str) -> None:
    settings = asked(serve(http((SCORED % usage).encode())), tmp_path)
    client = Endpoint(settings)
    reader = Reader(lambda reply: reply["choices"][0]["message"]["content"], str)
    assert client.ask("/chat/completions", [{}], reader) == ['{"score": 0.5}']
    assert (client.spend.input_tokens, client.cost()) == (0, 0)


DEEP = "[" * 100_000 + "]" * 100_000
BODIES = {
    "deep": DEEP.encode(),
    "deep, unclosed": b'{"a":' * 100_000,
    "deep content": (SCORED % "{}").replace("0.5", "[" * 50_000 + "]" * 50_000).encode(),
    "UTF-16": (SCORED % "{}").encode("utf-16"),
    "UTF-32": (SCORED % "{}").encode("utf-32"),
    "not UTF-8": b'{"choices": "\xff"}',
    "a BOM": b"\xef\xbb\xbf" + (SCORED % "{}").encode(),
    "empty": b"",
    "zeros": b"\0" * 100,
    "null": b"null",
    "a number": b"1" + b"0" * 5000,
    "strings": b'{"choices": "abc"}',
    "content null": b'{"choices": [{"message": {"content": null}}]}',
    "content parts": b'{"choices": [{"message": {"content": [{"text": "x"}]}}]}',
    "a huge score": b'{"choices": [{"message": {"content": "{\\"score\\": 1e999}"}}]}',
    "a long score": (
        '{"choices": [{"message": {"content": "{\\"score\\": %s}"}}]}' % ("1" * 5000)
    ).encode(),
    "surrogates": b'{"choices": [{"message": {"content": "\\ud800"}}]}',
    "braces": b'{"choices": [{"message": {"content": "' + b"{" * 1_000_000 + b'"}}]}',
}


@pytest.mark.parametrize("name", BODIES)
def test_damaged_replies_are_no_verdict(serve: Any, tmp_path: Path, name: str) -> None:
    found = verdict(serve(http(BODIES[name])), tmp_path)
    assert isinstance(found, NoVerdict)
    found.reason.encode()  # can be written
    assert len(found.reason) < 300


HEADS = [
    b"",
    b"\r\n\r\n",
    b"HTTP/9.9 200\r\n\r\n",
    b"220 smtp ready\r\n",
    b"\xff" * 300,
    b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    b"HTTP/1.1 0 \r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
    b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 429 Slow\r\nRetry-After: \xc2\xb2\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 429 Slow\r\nRetry-After: 9999999999999999999999\r\nContent-Length: 0\r\n\r\n",
]


@pytest.mark.parametrize("head", HEADS)
def test_damaged_answers_are_no_verdict(serve: Any, tmp_path: Path, head: bytes) -> None:
    found = verdict(serve(lambda connection, request: connection.sendall(head)), tmp_path)
    assert isinstance(found, NoVerdict)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "data", "embedding", "score"])
            | st.text(),
            inner,
        )
    ),
)


@pytest.fixture(scope="module")
def client() -> Endpoint:
    return Endpoint(JudgeEndpoint(url="http://127.0.0.1:1/v1", model="m", max_missing=1))


def check_reply(client: Endpoint, reply: Any) -> None:
    for reader in (readers._SCORE, readers._VECTOR):
        value, _ = client._value(reply, reader)
        if not isinstance(value, NoVerdict):
            assert (isinstance(value, float) and 0 <= value <= 1) or isinstance(value, list)


@given(reply=JSON)
def test_no_reply_raises_anything(client: Endpoint, reply: Any) -> None:
    check_reply(client, reply)


@pytest.mark.exhaustive
@given(reply=JSON)
@hypothesis_settings(max_examples=20_000)
def test_none_of_many_replies_raises_anything(client: Endpoint, reply: Any) -> None:
    check_reply(client, reply)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([1e308, 1e308], [1e308, 1e308], 1.0),
        ([5e-324, 0.0], [5e-324, 5e-324], math.sqrt(0.5)),
        ([1, 0], [0, 1e-300], 0.0),
        ([10**400, 1], [1, 1], None),
        (["1", 2], [1, 2], None),
        ([True, 2], [1, 2], None),
        ([], [], None),
        ({"0": 1}, [1], None),
    ],
)
def test_embeddings_of_any_size(
    serve: Any, tmp_path: Path, one: Any, other: Any, expected: float | None
) -> None:
    def talk(connection: socket.socket, request: bytes) -> None:
        vector = one if json.loads(request)["input"] == "Far" else other
        http(json.dumps({"data": [{"embedding": vector}]}).encode())(connection, request)

    settings = EndpointConfig(
        url=serve(talk).url, model="e", cache=tmp_path / "cache.sqlite", retries=0
    )
    (found,) = similarities(settings, [answered("Far")])
    if expected is None:
        assert isinstance(found, NoVerdict)
    else:
        assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    "kept", ["7", "-1", "NaN", '"0.5"', "true", "[", "", "null", DEEP, b"\xff", 0.25, None]
)
def test_what_is_kept_is_checked_like_a_reply(serve: Any, tmp_path: Path, kept: Any) -> None:
    server = serve(http((SCORED % "{}").encode()))
    settings = asked(server, tmp_path)
    assert opinions(settings, [answered()]) == [0.5]
    with sqlite3.connect(settings.cache) as store:
        store.execute("UPDATE replies SET value = ?", (kept,))
    found = opinions(settings, [answered()])
    assert found in ([0.5], [0.25])  # 0.25 is a score as good as any
    assert len(server.requests) == (1 if found == [0.25] else 2)


# The key


@pytest.mark.parametrize("around", ["{}", " {}", "{}\n", "\t{}\r\n", "\ufeff{}"])
def test_a_key_is_sent_without_what_is_around_it(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, around: str
) -> None:
    monkeypatch.setenv("JUDGE_KEY", around.format(KEY))
    server = serve(http((SCORED % "{}").encode()))
    if "\ufeff" in around:
        with pytest.raises(ConfigError, match="JUDGE_KEY holds white space") as caught:
            verdict(server, tmp_path, api_key_env="JUDGE_KEY")
        assert KEY not in str(caught.value)
        return
    assert verdict(server, tmp_path, api_key_env="JUDGE_KEY") == 0.5
    lines = server.requests[0].decode().split("\r\n")
    assert f"Bearer {KEY}" in [line.partition(": ")[2] for line in lines]


@pytest.mark.parametrize("key", ["", " \n", "kl\u00fcssel", "two words", "a\nb", "be\x07ll"])
def test_what_is_no_key_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("JUDGE_KEY", key)
    with pytest.raises(ConfigError, match="environment variable JUDGE_KEY") as caught:
        Endpoint(JudgeEndpoint(url="http://x/v1", model="m", api_key_env="JUDGE_KEY"))
    assert not key.strip() or key not in str(caught.value)


ECHOES: dict[str, Callable[[str], Talk]] = {
    "401": lambda key: http(f"no such key: {key}".encode(), "401 Unauthorized"),
    "403 as JSON": lambda key: http(json.dumps({"key": key}).encode(), "403 Forbidden"),
    "400": lambda key: http(f"{key}{key}".encode(), "400 Bad"),
    "500, cut": lambda key: http(b"." * 190 + key.encode(), "500 Bad"),
    "500, cut where it is read": lambda key: http(b"." * 3990 + key.encode(), "500 Bad"),
    "500, upper case": lambda key: http(key.upper().encode(), "500 Bad"),
    "no JSON": lambda key: http(f"<{key}>".encode()),
    "a score": lambda key: http((SCORED % "{}").replace("0.5", f'\\\\\\"{key}\\\\\\"').encode()),
    "a score, quoted": lambda key: http(
        json.dumps({"choices": [{"message": {"content": json.dumps({"score": key})}}]}).encode()
    ),
    "the protocol": lambda key: lambda connection, _: connection.sendall(f"{key}\r\n".encode()),
    "a redirect": lambda key: http(b"", "302 Found", f"Location: http://{key}/\r\n"),
}


@pytest.mark.parametrize("name", ECHOES)
def test_a_server_that_quotes_the_key_does_not_spread_it(
    serve: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    monkeypatch.setenv("JUDGE_KEY", KEY + "\n")
    try:
        said = str(verdict(serve(ECHOES[name](KEY)), tmp_path, api_key_env="JUDGE_KEY"))
    except RunError as error:
        said = str(error)
    captured = capsys.readouterr()
    said += captured.out + captured.err
    assert pieces(KEY) & pieces(said) == set()
    assert pieces(KEY.upper()) & pieces(said) == set()
    for file in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert KEY.encode() not in file.read_bytes()


def pieces(text: str, size: int = 8) -> set[str]:
    return {text[i : i + size] for i in range(len(text) - size + 1)}


@given(
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40),
    st.text(),
    st.text(),
    st.integers(0, 5),
    st.integers(0, 5),
)
@hypothesis_settings(suppress_health_check=[HealthCheck.filter_too_much])
def test_no_piece_of_a_key_is_left(
    key: str, before: str, after: str, front: int, back: int
) -> None:
    quoted = key[front : len(key) - back] if front + back + 8 <= len(key) else key
    found = redacted(before + quoted + after, key)
    size = min(8, len(key))
    if "*" not in key:
        assert pieces(key, size) & pieces(found, size) == set()


def test_other_text_stays() -> None:
    assert redacted("HTTP 401: invalid key", KEY) == "HTTP 401: invalid key"
    assert redacted(f"a {KEY} b {KEY[3:14]} c", KEY) == "a *** b *** c"
    assert redacted("anything", None) == "anything"


@pytest.mark.parametrize(
    "url",
    [
        "http://user:secret@host/v1",
        "https://secret@host",
        "https://host/v1?api_key=secret",
        "https://host/v1#secret",
        "file:///etc/passwd",
        "host:80",
        "http://",
        "http:///v1",
        "http://host/a b",
    ],
)
def test_addresses_with_a_key_in_them_or_none_at_all_are_refused(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        JudgeEndpoint(url=url, model="m")
    assert "secret" not in caught.value.errors()[0]["msg"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("url", ["http://[::1/v1", "http://x:999999/v1", "http://x:port/v1"])
def test_addresses_that_cannot_be_are_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(ConfigError, match="url: "):
        Endpoint(JudgeEndpoint(url=url, model="m"))


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "no..dots", "*"])
def test_hosts_that_cannot_be_are_no_verdict(tmp_path: Path, host: str) -> None:
    settings = JudgeEndpoint(
        url=f"http://{host}/v1", model="m", retries=0, cache=tmp_path / "c", timeout=5
    )
    try:
        (found,) = opinions(settings, [answered()])
    except ConfigError:
        return
    assert isinstance(found, NoVerdict)


# Always failing


def test_a_judge_that_fails_is_told_at_once_and_stops_the_run(
    serve: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = serve(http(b"overloaded \x1b[31m", "503 Busy"))
    settings = asked(server, tmp_path, concurrency=1)
    with pytest.raises(RunError, match=r"no verdict for 10 of the last 10 .*HTTP 503"):
        opinions(settings, [answered(str(i)) for i in range(500)])
    assert len(server.requests) < 15
    first, tenth = capsys.readouterr().err.splitlines()
    place = f"actwise: m at {server.url}: no verdict for"
    assert first == f"{place} 1 of 1 questions: HTTP 503: overloaded [31m"
    assert tenth == f"{place} 10 of 10 questions: HTTP 503: overloaded [31m"


def test_a_judge_that_fails_now_and_then_does_not_stop_the_run(serve: Any, tmp_path: Path) -> None:
    def talk(connection: socket.socket, request: bytes) -> None:
        number = int(json.loads(json.loads(request)["messages"][1]["content"])["other answer"])
        body = b"Hm." if number % 4 == 0 else (SCORED % "{}").encode()
        http(body)(connection, request)

    found = opinions(asked(serve(talk), tmp_path), [answered(str(i)) for i in range(40)])
    assert [isinstance(f, NoVerdict) for f in found] == [i % 4 == 0 for i in range(40)]
