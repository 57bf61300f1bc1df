"""What a run may spend: calls and dollars, judges' included, over all its sessions."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from kit import Project, build

APP = '''
"""Answers right; every call, and every judgement, leaves a line behind."""
import pathlib

HERE = pathlib.Path(__file__).parent

def note(name, case):
    with (HERE / name).open("a") as file:
        file.write(case + "\\n")

def answer(request):
    note("asked", request.case.id)
    return {"text": request.case.id, "tokens_in": 10, "tokens_out": 2, "cost_usd": 0.001}

def judge(request):
    note("judged", "x")
    return {"text": '{"score": "pass", "reason": "so"}', "tokens_in": 100, "tokens_out": 20, "cost_usd": PRICE}
'''


def suite(project: Project, size: int, *, run: str = "", judged: bool = False, price: str = "0.002") -> None:
    """Cases of one category that are always right, asked one at a time."""
    build(project, categories={"facts": size})
    project.write("app.py", APP.replace("PRICE", price))
    config = project.folder / "evalgate.yaml"
    text = config.read_text().replace("concurrency: 4", f"concurrency: 1{run}")
    config.write_text(text + ('judge: {kind: python, callable: "app:judge"}\n' if judged else ""))
    if judged:
        file = project.folder / "evalsets" / "tables.yaml"
        file.write_text(file.read_text().replace("[exact]", "[{judge: {rubric: right?}}]"))


def limit(project: Project, text: str) -> None:
    """Another bound in the configuration."""
    config = project.folder / "evalgate.yaml"
    config.write_text(
        re.sub(r"concurrency: (\d+)[^}]*max_retries", rf"concurrency: \1{text}, max_retries", config.read_text())
    )


def count(project: Project, name: str) -> int:
    file = project.folder / name
    return len(file.read_text().splitlines()) if file.exists() else 0


def resumed(project: Project, out: str) -> list[str]:
    """The printed advice how to go on, as arguments."""
    (advice,) = re.findall("without repeating a call: (evalgate run .*)", " ".join(out.split("\n")))
    return shlex.split(advice)[1:4]


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_run_sends_no_request_more_than_its_limit(project: Project, concurrency: int) -> None:
    """Exit 3 with the way to go on; raised, it goes on with nothing called twice, and counts over all sessions."""
    suite(project, 20, run=", max_calls: 7")
    config = project.folder / "evalgate.yaml"
    config.write_text(config.read_text().replace("concurrency: 1", f"concurrency: {concurrency}"))
    said = project.evalgate("run")
    assert (said.code, count(project, "asked")) == (3, 7)
    assert "call limit of 7 reached, after 7 of 20 results" in said.out
    limit(project, ", max_calls: 12")
    said = project.evalgate(*resumed(project, said.out))
    assert (said.code, count(project, "asked")) == (3, 12)
    limit(project, "")
    done = project.evalgate(*resumed(project, said.out), "--format", "json")
    assert (done.code, done.json["usage"]["calls"], count(project, "asked")) == (0, 20, 20)


@pytest.mark.parametrize(
    ("bound", "key"),
    [
        ("max_calls: 2", "run.max_calls"),
        ("budget_usd: 0.002", "run.budget_usd"),
        ("deadline_s: 0.00001", "run.deadline_s"),
    ],
)
def test_the_key_of_the_limit_that_ended_a_run_is_named(project: Project, bound: str, key: str) -> None:
    """A suite may have set all three."""
    suite(project, 5, run=f", {bound}")
    said = project.evalgate("run")
    assert said.code == 3
    assert f"Raise `{key}`, then go on without repeating a call" in " ".join(said.out.split())


def test_a_run_that_its_limit_ended_is_no_pass_and_no_baseline(project: Project) -> None:
    """What it has says nothing of what it lacks."""
    suite(project, 20)
    project.evalgate("run")
    limit(project, ", max_calls: 19")
    said = project.evalgate("run", "--format", "json").json
    assert (said["verdict"], said["exit_code"]) == ("error", 3)
    limit(project, "")
    assert said["run"]["id"] not in project.evalgate("run", "--format", "json").json["baseline"]["ids"]


def test_judges_calls_count_against_the_limit_and_are_not_repeated(project: Project) -> None:
    """An answer that was not judged before the limit is kept, and judged when there is room again."""
    suite(project, 10, run=", max_calls: 13", judged=True)
    said = project.evalgate("run")
    assert said.code == 3
    assert count(project, "asked") + count(project, "judged") == 13
    limit(project, "")
    done = project.evalgate(*resumed(project, said.out), "--format", "json")
    assert done.code == 0
    assert (count(project, "asked"), count(project, "judged")) == (10, 10)
    assert done.json["usage"]["calls"] == 20
    assert "10 of its calls went to judges." in done.json["notes"]


def test_what_a_run_cost_has_its_judges_in_it(project: Project) -> None:
    """Tokens too."""
    suite(project, 10, judged=True)
    usage = project.evalgate("run", "--format", "json").json["usage"]
    assert usage["cost_usd"] == pytest.approx(10 * 0.003)
    assert (usage["tokens_in"], usage["tokens_out"]) == (1100, 220)


def test_a_judge_without_a_price_makes_the_cost_unknown(project: Project) -> None:
    """A sum without it would look like a price."""
    suite(project, 10, run=", budget_usd: 5", judged=True, price="None")
    said = project.evalgate("run", "--format", "json").json
    assert said["usage"]["cost_usd"] is None
    assert any("run.budget_usd" in note for note in said["notes"])


def test_the_budget_watches_judges_over_all_sessions(project: Project) -> None:
    """0.003 a case: three cases fit into 0.01, and what a session used is remembered by the next."""
    suite(project, 10, run=", budget_usd: 0.01", judged=True)
    said = project.evalgate("run")
    assert (said.code, count(project, "asked"), count(project, "judged")) == (3, 3, 3)
    assert "budget of $0.01 spent but for $0.001" in said.out
    again = project.evalgate(*resumed(project, said.out))
    assert (again.code, count(project, "asked"), count(project, "judged")) == (3, 3, 3)


class Server(BaseHTTPRequestHandler):
    """Answers and judges alike; every third request fails."""

    lock: ClassVar[threading.Lock] = threading.Lock()
    requests: ClassVar[int] = 0
    served: ClassVar[list[str]] = []
    """What was answered, judgements as `judged`."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"]
        with self.lock:
            type(self).requests += 1
            fails = self.requests % 3 == 0
            if not fails:
                self.served.append("judged" if len(asked) > 1 else asked[0]["content"])
        answer = '{"score": "pass", "reason": "so"}'
        body = json.dumps(
            {
                "choices": [{"message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 10, "completion_tokens": 5},
            }
        ).encode()
        self.send_response(500 if fails else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@contextlib.contextmanager
def serving() -> Iterator[tuple[str, type[Server]]]:
    handler = type("Handler", (Server,), {"requests": 0, "served": [], "lock": threading.Lock()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", handler
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_over_a_real_connection_no_request_is_sent_beyond_the_limit(project: Project) -> None:
    """Eight in flight, retries and judges among them; gone on with, no answer and no judgement is asked for twice."""
    suite(project, 12, judged=True)
    with serving() as (url, handler):
        served = f'kind: openai, base_url: "{url}", price: {{input_per_mtok_usd: 1, output_per_mtok_usd: 2}}'
        config = "version: 1\nsuite: tables\nevalsets: [evalsets/*.yaml]\n"
        config += f"endpoint: {{model: a, {served}}}\njudge: {{model: j, {served}}}\n"
        project.write("evalgate.yaml", config + "run: {concurrency: 8, cache: false, max_calls: 17}\n")
        said = project.evalgate("run")
        assert (said.code, handler.requests) == (3, 17)
        assert "call limit of 17 reached" in said.out
        project.write("evalgate.yaml", config + "run: {concurrency: 8, cache: false}\n")
        done = project.evalgate(*resumed(project, said.out), "--format", "json").json
        assert done["verdict"] == "no_baseline"
        assert sorted(handler.served) == sorted([f"facts-{n}" for n in range(12)] + ["judged"] * 12)
        assert done["usage"]["calls"] == handler.requests
        assert done["usage"]["cost_usd"] == pytest.approx(24 * 20e-6)
