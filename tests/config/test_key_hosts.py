"""A key goes to the hosts that the environment names for it, whatever the configuration says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from config_kit import config

from evalgate.config.key_hosts import KeyHosts
from evalgate.errors import InputError

KEYS = {"OPENAI_API_KEY": "sk-secret", "TEAM": "red", "BASE": "https://api.openai.com/v1"}

ENDPOINT = """
version: 1
suite: s
evalsets: [e.yaml]
"""


def read(tmp_path: Path, endpoint: str, bound: str, environ: Mapping[str, str] = KEYS, rest: str = "") -> None:
    file = tmp_path / "evalgate.yaml"
    file.write_text(f"{ENDPOINT}endpoint: {{kind: openai, model: m, {endpoint}}}\n{rest}", encoding="utf-8")
    config(file, {**environ, "EVALGATE_KEY_HOSTS": bound})


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("https://api.openai.com/v1", "api.openai.com"),
        ("https://API.OpenAI.com:443/v1", "api.openai.com"),
        ("https://a.b.azure.com/v1", "*.azure.com"),
        ("https://llm.example:8443/v1", "llm.example:8443"),
        ("https://llm.example:8443/v1", "llm.example:*"),
        ("http://127.0.0.1:4100/v1", "http://127.0.0.1:4100"),
        ("https://[::1]:9/v1", "[::1]:9"),
        ("https://[::1]/v1", "::1"),
        ("https://x.example/v1", "other.example, x.example"),
        ("https://anywhere.example/v1", "*"),
    ],
)
def test_a_key_may_go_to_its_hosts(tmp_path: Path, url: str, hosts: str) -> None:
    """Exactly named, below a domain, with a port of its own, in the clear only where that is said."""
    read(tmp_path, f"base_url: '{url}', api_key_env: OPENAI_API_KEY", f"OPENAI_API_KEY={hosts}; B=b.example")


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("https://evil.example/v1", "api.openai.com"),
        ("https://api.openai.com.evil.example/v1", "api.openai.com"),
        ("https://evil-azure.com/v1", "*.azure.com"),
        ("https://azure.com/v1", "*.azure.com"),
        ("https://xazure.com/v1", "*azure.com,*.azure.com"),
        ("http://api.openai.com/v1", "api.openai.com"),
        ("https://api.openai.com:8443/v1", "api.openai.com"),
        ("http://127.0.0.1:4101/v1", "http://127.0.0.1:4100"),
        ("https://evil.example/api.openai.com", "api.openai.com"),
        ("https://api.openai.com:x/v1", "api.openai.com"),
    ],
)
def test_a_key_goes_nowhere_else(tmp_path: Path, url: str, hosts: str) -> None:
    """Nor to a name that only looks alike, another port, or in the clear."""
    with pytest.raises(InputError) as raised:
        read(tmp_path, f"base_url: '{url}', api_key_env: OPENAI_API_KEY", f"OPENAI_API_KEY={hosts}")
    assert "evalgate.yaml:5" in str(raised.value)
    assert "OPENAI_API_KEY may not be sent to" in str(raised.value)
    assert "sk-secret" not in str(raised.value)


@pytest.mark.parametrize(
    "endpoint",
    [
        "base_url: 'https://api.openai.com/v1', api_key_env: GITHUB_TOKEN",
        "base_url: 'https://api.openai.com/v1', headers: {x-y: '${GITHUB_TOKEN}'}",
        "base_url: 'https://api.openai.com/${GITHUB_TOKEN}'",
        "base_url: '${BASE}/${GITHUB_TOKEN}'",
        "base_url: 'https://api.openai.com/v1', params: {a: [{b: 'x${GITHUB_TOKEN}'}]}",
        "base_url: 'https://api.openai.com/v1', system: '${GITHUB_TOKEN}'",
        "base_url: '${GITHUB_TOKEN}.evil.example/v1'",
    ],
)
def test_a_variable_that_is_not_named_goes_nowhere(tmp_path: Path, endpoint: str) -> None:
    """Whatever part of a request a change of the configuration would put it into."""
    with pytest.raises(InputError, match="GITHUB_TOKEN may be sent nowhere"):
        read(tmp_path, endpoint, "OPENAI_API_KEY=api.openai.com", {**KEYS, "GITHUB_TOKEN": "https://ghs"})


def test_a_variable_that_is_the_server_needs_no_host(tmp_path: Path) -> None:
    """It is sent to nobody but itself; what is put behind it must not make another server of it."""
    bound = "OPENAI_API_KEY=api.openai.com"
    read(tmp_path, "base_url: '${BASE}/v2', api_key_env: OPENAI_API_KEY", bound)
    with pytest.raises(InputError, match="HOST may be sent nowhere"):
        read(tmp_path, "base_url: '${HOST}.evil.example/v1'", bound, {"HOST": "https://api.openai.com"})


@pytest.mark.parametrize("key", ["judge", "baseline_endpoint"])
def test_other_endpoints_are_bound_as_well(tmp_path: Path, key: str) -> None:
    """A judge or a stand-in for the baseline is a way out like any other."""
    other = f"{key}: {{kind: openai, model: m, base_url: 'https://evil.example', api_key_env: OPENAI_API_KEY}}\n"
    with pytest.raises(InputError, match=r"OPENAI_API_KEY may not be sent to https://evil\.example"):
        read(tmp_path, "base_url: 'https://api.openai.com'", "OPENAI_API_KEY=api.openai.com", rest=other)


@pytest.mark.parametrize(
    ("store", "is_refused"),
    [
        ("${DB}", False),
        ("postgresql://u:${PW}@db.example:5432/evalgate", False),
        ("sqlite:///${DIR}/history.db", False),
        ("postgresql://u:${PW}@evil.example/evalgate", True),
        ("postgresql://u:${PW}@db.example:5432/evalgate?host=evil.example", True),
        ("${DB}?host=evil.example", True),
        ("${DB}.evil.example/x", True),
    ],
)
def test_the_password_of_a_history_is_bound_as_well(tmp_path: Path, store: str, is_refused: bool) -> None:
    """A URL that is one variable has its own host; a password alone needs one."""
    environ = {"DB": "postgresql://u:p@db.example", "PW": "p", "DIR": "/tmp"}
    rest = f"history: {{store: '{store}'}}\n"
    if is_refused:
        with pytest.raises(InputError):
            read(tmp_path, "base_url: 'https://a.example'", "PW=db.example:5432", environ, rest)
    else:
        read(tmp_path, "base_url: 'https://a.example'", "PW=db.example:5432", environ, rest)


@pytest.mark.parametrize("bound", ["OPENAI_API_KEY", "=x", "A B=x", "A=", "A=x/y", "A=u@x", "A=a*b", "A=https://x/v1"])
def test_a_binding_that_cannot_be_read_binds_nothing_open(bound: str) -> None:
    """Half a binding is no binding: exit 2."""
    with pytest.raises(InputError, match="binds no variable"):
        KeyHosts.of({"EVALGATE_KEY_HOSTS": bound})


def test_without_a_binding_everything_is_as_before(tmp_path: Path) -> None:
    """Nobody is asked for a variable that they do not need."""
    read(tmp_path, "base_url: 'https://anywhere.example', api_key_env: OPENAI_API_KEY", "")
