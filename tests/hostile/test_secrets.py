"""A secret that somebody repeats stands nowhere afterwards, in whatever spelling; the score is what it was."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from listening import listening

from evalgate.cli import call
from evalgate.endpoints import Opening
from evalgate.endpoints.chat_completions import OpenAI
from evalgate.history import run_file
from evalgate.history.store import History
from evalgate.masking import MASK, Masker, secrets_in

SECRET = 'k3y+"of/this<team>&7 =Zq9'.replace(" ", "")

SPELLINGS: Mapping[str, Callable[[str], str]] = {
    "as it is": lambda secret: secret,
    "Base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "Base64 for addresses": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
    "Base64 after one byte": lambda secret: base64.b64encode(b":" + secret.encode()).decode(),
    "Base64 after two bytes": lambda secret: base64.b64encode(b"u:" + secret.encode() + b"!").decode(),
    "Base64 of a user and it": lambda secret: base64.b64encode(b"user:" + secret.encode()).decode(),
    "Base64 within a header": lambda secret: base64.b64encode(f"Bearer {secret}\n".encode()).decode(),
    "hexadecimal": lambda secret: secret.encode().hex(),
    "hexadecimal in capitals": lambda secret: secret.encode().hex().upper(),
    "Base32": lambda secret: base64.b32encode(secret.encode()).decode(),
    "URL-quoted": lambda secret: quote(secret, safe=""),
    "URL-quoted in small letters": lambda secret: re.sub("%..", lambda found: found[0].lower(), quote(secret, safe="")),
    "form": quote_plus,
    "JSON": lambda secret: json.dumps(secret),
    "JSON in JSON": lambda secret: json.dumps(json.dumps({"key": secret})),
    "HTML": html.escape,
    "XML": lambda secret: html.escape(secret, quote=False),
    "zero-width inside": lambda secret: f"{secret[:5]}\u200b{secret[5:]}",
    "a variation selector inside": lambda secret: "\ufe0f".join(secret),
    "a colour inside": lambda secret: f"{secret[:5]}\x1b[31m{secret[5:]}\x1b[0m",
    "a nul inside": lambda secret: f"{secret[:5]}\x00{secret[5:]}",
}
NOT_FOUND: Mapping[str, Callable[[str], str]] = {
    "backwards": lambda secret: secret[::-1],
    "spaced": lambda secret: " ".join(secret),
    "rotated": lambda secret: "".join(chr(ord(character) ^ 1) for character in secret),
    "in two halves": lambda secret: f"{secret[:12]} and {secret[12:]}",
}
"""What nobody finds who looks for spellings. They are named in the documentation."""

SAFE = 8
"""Characters in a row that a masked text may keep of an encoded secret."""


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_secret_is_masked_in_this_spelling(name: str) -> None:
    """Only a rest is left: that of the characters which a secret shares with what stands around it."""
    spelt = SPELLINGS[name](SECRET)
    masked = Masker([SECRET])(f"before {spelt} after")
    assert MASK in masked and masked.startswith("before ") and masked.endswith(" after")
    assert not any(spelt[begin : begin + SAFE] in masked for begin in range(6, len(spelt) - SAFE - 6))
    assert SECRET not in masked


@pytest.mark.parametrize("name", NOT_FOUND)
def test_whoever_means_to_hide_a_secret_can(name: str) -> None:
    """Known and told: where one of these is found after all, the documentation is to be changed."""
    spelt = NOT_FOUND[name](SECRET)
    assert Masker([SECRET])(spelt) == spelt


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=["Cs", "Cn", "Co"]), min_size=8),
    st.binary(max_size=7),
    st.binary(max_size=7),
)
def test_base64_is_found_at_every_alignment(secret: str, before: bytes, after: bytes) -> None:
    """Whatever bytes stand before and behind the secret."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        masked = Masker([secret])(encode(before + secret.encode() + after).decode())
        assert MASK in masked


@given(st.text(max_size=200))
def test_ordinary_text_stays_itself(text: str) -> None:
    """Where there is no secret, nothing changes: not even what cannot be seen."""
    assert Masker(["a-secret-of-nobody-123456"])(text) == text


@pytest.mark.parametrize(
    "token",
    [
        "ghp_0123456789abcdefghijABCDEFGHIJ012345", "ghs_0123456789abcdefghijABCDEFGHIJ012345",
        "github_pat_11ABCDEFG0abcdefghijkl_0123456789", "sk-proj-abcdefghijklmnop0123456789",
        "glpat-0123456789abcdefghij",
        "sk-ant-api03-abcdefghijklmnop0123456789", "AKIA0123456789ABCDEF", "xoxb-123456789012-abcdefghijkl",
        "AIza0123456789abcdefghijklmnopqrstuvwxy", "hf_abcdefghijklmnopqrstuvwxyzABCDEFGH",
        "sk_live_0123456789abcdefghij", "npm_abcdefghijklmnopqrstuvwxyz0123456789",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEow+/=\nabc\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMIIEow",
    ],
)  # fmt: skip
def test_what_looks_like_a_token_is_masked_though_nobody_knows_it(token: str) -> None:
    """Of whatever make, also where something invisible stands in it."""
    assert Masker()(f"see {token}, or ({token})") == f"see {MASK}, or ({MASK})" or "BEGIN PRIVATE" in token
    assert token not in Masker()(f"see {token[:10]}\u200b{token[10:]}").replace("\u200b", "")


@pytest.mark.parametrize(
    "text",
    [
        "a task-oriented desk-bound risk-averse sk-learn user", "sk-learn-contrib-estimators-are-here",
        "AKIA is a name", "eyJ is how tokens begin", "the hf_hub and npm_run_build_all_the_things",
        "https://user@host/a_test_b",
    ],
)  # fmt: skip
def test_words_that_only_begin_like_tokens_stay(text: str) -> None:
    """An answer about tokens is an answer."""
    assert Masker()(text) == text


def test_the_environment_tells_what_is_secret() -> None:
    """By the names of its variables; what is short, a path or a sentence is none."""
    environ = {
        "OPENAI_API_KEY": "0123456789ab", "GITHUB_TOKEN": "ghs-0123456789", "DB_PASSWORD": "hunter2-hunter2",
        "PATH": "/bin:/usr", "KEYBOARD": "a-long-enough-value", "SHORT_KEY": "abc",
        "TOKENIZERS_PARALLELISM": "a-long-enough-value",
        "GOOGLE_APPLICATION_CREDENTIALS": "/home/me/credentials.json", "MY_SECRET": "two words are none",
    }  # fmt: skip
    assert secrets_in(environ) == ["0123456789ab", "ghs-0123456789", "hunter2-hunter2"]


APP = """
import json, os, pathlib

def answer(request):
    text = json.loads(pathlib.Path(os.environ["SPELLINGS"]).read_text())[request.case.id]
    print("printed", len(text))
    if request.case.id == "fails":
        raise RuntimeError(text)
    return {
        "text": text, "contexts": [{"id": "1", "text": text}], "tool_calls": [{"name": "f", "arguments": {text: text}}],
        "model": text, "tokens_in": 1, "tokens_out": 1,
    }

def scorer(case, output):
    seen = json.loads(pathlib.Path(os.environ["SPELLINGS"]).read_text())[case.id]
    return {"score": float(output.text == seen), "reason": f"I saw {output.text}"}
"""
CONFIG = """
version: 1
suite: s
evalsets: [set.yaml]
endpoint: {kind: python, callable: "app:answer"}
run: {max_retries: 0}
gate: {limits: {error_rate: 0.9}}
comment: {outputs: true}
"""


def test_nothing_that_a_run_leaves_behind_holds_a_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Log, reports, run file and history of a run whose every answer repeats a key; scorers have seen the answers."""
    spellings = {**{f"c{number}": spell(SECRET) for number, spell in enumerate(SPELLINGS.values())}, "fails": SECRET}
    spellings["token"] = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
    cases = "".join(f"  - {{id: {case_id}, category: c, input: x}}\n" for case_id in spellings)
    for name, text in (
        ("app.py", APP), ("evalgate.yaml", CONFIG), ("spellings.json", json.dumps(spellings)),
        ("set.yaml", f"name: s\nscorers: ['app.py:scorer']\ncases:\n{cases}"),
    ):  # fmt: skip
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEAM_API_KEY", SECRET)
    monkeypatch.setenv("SPELLINGS", str(tmp_path / "spellings.json"))
    writes = [f"--write={kind}=out.{kind}" for kind in ("json", "junit", "markdown", "run")]
    assert call(["run", *writes]) == 0
    told = capsys.readouterr()
    assert call(["show", "latest"]) == 0
    shown = capsys.readouterr()
    run = run_file.read(tmp_path / "out.run").run
    with History.open("sqlite:///" + str(tmp_path / ".evalgate/history.db")) as history:
        kept = history.read_run("latest")
    left = {
        "stdout": told.out, "stderr": told.err, "show": shown.out + shown.err, "run file": repr(run.results),
        "history": repr(kept.results),
        **{kind: (tmp_path / f"out.{kind}").read_text("utf-8") for kind in ("json", "junit", "markdown")},
    }  # fmt: skip
    for place, text in left.items():
        for spelt in (SECRET, SECRET[:12], SECRET.encode().hex()[:24], quote(SECRET, safe="")[:16], spellings["token"]):
            assert spelt not in text, place
        assert MASK in text or place in ("stdout", "stderr", "json", "junit", "markdown")
    scores = {result.case_id: getattr(result, "score", None) for result in kept.results}
    assert scores == {**dict.fromkeys(spellings, 1.0), "fails": None}
    assert not list((tmp_path / ".evalgate").rglob("*.jsonl*")), "the journal is gone with the run"


OPENAI = """
version: 1
suite: s
evalsets: [set.yaml]
endpoint:
  kind: openai
  base_url: {url}/v1?sig=${{URL_SIG}}
  model: m
  api_key_env: TEAM
  headers: {{x-api-key: "${{OTHER_KEY}}"}}
run: {{max_retries: 0, concurrency: 1}}
gate: {{limits: {{error_rate: 1.0}}}}
history: {{store: "sqlite:///h.db"}}
"""
KEYS = {"TEAM": "team/key+0123456789", "OTHER_KEY": "other-key-0123456789", "URL_SIG": "sig-0123456789abc"}


@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 500])
@pytest.mark.parametrize("command", ["run", "run --dry-run", "validate", "doctor", "run --shard 1/1"])
def test_nothing_that_a_command_says_or_leaves_holds_a_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str, status: int
) -> None:
    """The server repeats every header in its answer, or in its refusal, encoded in one way or another."""
    if command != "run" and status not in (200, 401):
        return
    with listening() as server:
        server.status = status

        def told(heard: Mapping[str, str]) -> object:
            said = json.dumps({"headers": heard, "encoded": [spell(key) for key in KEYS.values() for spell in ENCODED]})
            message = {"content": said, "tool_calls": [{"function": {"name": "f", "arguments": said}}]}
            if status == 200:
                return {"choices": [{"message": message}], "model": said, "id": said, "system_fingerprint": said}
            return {"error": {"message": said, "code": said, "param": said}}

        server.body = told
        for name, text in (
            ("evalgate.yaml", OPENAI.format(url=server.url)),
            ("set.yaml", "name: s\nscorers: [exact]\ncases: [{id: a, category: c, input: x, expected: x}]\n"),
        ):
            (tmp_path / name).write_text(text, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("EVALGATE_CACHE_DIR", str(tmp_path / "cache"))
        for name, key in KEYS.items():
            monkeypatch.setenv(name, key)
        call(command.split())
    told_all = capsys.readouterr()
    left = {"stdout": told_all.out, "stderr": told_all.err}
    left |= {str(file): file.read_bytes().decode("latin-1") for file in tmp_path.rglob("*") if file.is_file()}
    if (tmp_path / "h.db").exists() and command == "run":
        with History.open("sqlite:///h.db") as history:
            left["history"] = repr(history.read_run("latest"))
            assert MASK in left["history"]
    for place, text in left.items():
        if place.endswith((".evalrun", ".evalshard")):
            text = repr(run_file.read(Path(place)).run)
        for spelt in (spell(key) for key in KEYS.values() for spell in ENCODED):
            assert spelt not in text, (place, spelt)


ENCODED = (
    lambda key: key,
    lambda key: base64.b64encode(key.encode()).decode(),
    lambda key: key.encode().hex(),
    lambda key: quote(key, safe=""),
)


def test_no_settings_show_what_is_secret_in_them() -> None:
    """Neither as text, nor as what makes a version."""
    settings = OpenAI(base_url=f"https://x.example/v1?sig={SECRET}", model="m", headers={"x-api-key": SECRET})
    opening = Opening(base_dir=Path(), environ={"K": SECRET}, concurrency=1, timeout_s=1)
    seen = (repr(settings), str(settings), repr(opening), repr(settings.identity(Path())), repr(Masker([SECRET])))
    assert [text for text in (*seen, repr(settings.determinants(Path()))) if SECRET in text] == []


JUDGED = """
version: 1
suite: s
evalsets: [set.yaml]
endpoint: {{kind: python, callable: "app:answer"}}
gate: {{limits: {{error_rate: 1.0}}}}
history: {{store: "sqlite:///h.db"}}
"""


def test_what_a_judge_says_holds_no_key_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scorer's own judge, whose key is in a variable that nobody would take for a secret."""
    key = "judge/key+0123456789"
    with listening() as server:
        server.body = lambda heard: {
            "choices": [{"message": {"content": json.dumps({"reason": f"I was asked with {heard}", "score": "pass"})}}]
        }
        judge = f"{{kind: openai, base_url: '{server.url}/v1', model: m, api_key_env: TEAM}}"
        scorer = f"{{judge: {{rubric: r, endpoint: {judge}}}}}"
        for name, text in (
            ("app.py", "def answer(request):\n    return 'x'\n"), ("evalgate.yaml", JUDGED.format()),
            ("set.yaml", f"name: s\nscorers: [{scorer}]\ncases: [{{id: a, category: c, input: x}}]\n"),
        ):  # fmt: skip
            (tmp_path / name).write_text(text, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("TEAM", key)
        assert call(["run"]) == 0
        assert server.heard[0]["authorization"] == f"Bearer {key}"
    with History.open("sqlite:///h.db") as history:
        kept = repr(history.read_run("latest"))
    assert "I was asked with" in kept and MASK in kept
    assert key not in kept + repr(capsys.readouterr())
