"""Which calls of a run keep one pace."""

from __future__ import annotations

from evalgate.config.settings import RunSettings
from evalgate.endpoints.chat_completions import OpenAI
from evalgate.endpoints.python_callable import PythonCallable
from evalgate.pipeline.pacing import Paces, share_of

ENVIRON = {"KEY": "sk-one-1234"}


def test_endpoints_of_one_provider_keep_one_pace() -> None:
    """The judge's limit is the endpoint's where the same key is used at the same server."""
    paces = Paces(RunSettings(), ENVIRON)
    endpoint = OpenAI(base_url="https://llm.example.com/v1", model="small-1", api_key_env="KEY")
    judge = OpenAI(base_url="https://llm.example.com/v1", model="judge-1", api_key_env="KEY")
    other = OpenAI(base_url="https://llm.example.org/v1", model="judge-1", api_key_env="KEY")
    assert paces.of(endpoint) is paces.of(judge)
    assert paces.of(endpoint) is not paces.of(other)


def test_code_keeps_a_pace_of_its_own() -> None:
    """Two callables have nothing in common that could be limited."""
    paces = Paces(RunSettings(), ENVIRON)
    settings = PythonCallable(callable="app:answer")
    assert paces.of(settings) is not paces.of(settings)


def test_workers_on_several_machines_share_a_minute() -> None:
    """As they share the calls in flight; together they are not more than one would be."""
    whole = RunSettings(concurrency=64, requests_per_minute=600)
    shares = [share_of(whole, concurrency).requests_per_minute for concurrency in (16, 48)]
    assert shares == [150, 450]
    assert share_of(whole, 16).tokens_per_minute is None
