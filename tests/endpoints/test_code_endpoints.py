"""The kinds that run the user's own code or replay what was recorded: `python`, `command`, `replay`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from endpoint_servers import ask, make_opening, make_request

from evalgate.endpoints.python_callable import PythonCallable
from evalgate.endpoints.recorded import Replay
from evalgate.endpoints.shell_command import Command
from evalgate.errors import CallError, CallFault, InputError
from evalgate.records import Output, ToolCall

# ---- python -----------------------------------------------------------------------------------------------


def call_python(folder: Path, source: str, *requests: Any, name: str = "assistant:answer") -> list[Any]:
    (folder / "assistant.py").write_text(textwrap.dedent(source))
    return ask(PythonCallable(callable=name), *requests, opening=make_opening(folder, os.environ))


@pytest.mark.parametrize("begin", ["def", "async def"])
def test_a_function_sync_or_async_is_given_the_request(tmp_path: Path, begin: str) -> None:
    """It sees prompt, messages, case, params and epoch, and may answer with a text or a mapping."""
    source = f"""
    {begin} answer(request):
        if request.epoch == 1:
            return request.prompt + request.messages[0]["content"] + request.case.id
        return {{"text": "4", "contexts": ["a"], "tool_calls": [{{"name": "add", "arguments": {{}}}}],
                "tokens_in": 1, "tokens_out": 2, "cost_usd": 0.5, "model": "m"}}
    """
    first, second = call_python(tmp_path, source, make_request("hi"), make_request("hi", epoch=2))
    assert first.text == "hihicase-1"
    assert first.latency_s is not None
    assert (second.text, second.contexts, second.tool_calls) == ("4", ("a",), (ToolCall(name="add", arguments={}),))
    assert (second.tokens_in, second.tokens_out, second.cost_usd, second.model) == (1, 2, 0.5, "m")


def test_an_exception_is_told_with_its_place_in_the_users_file(tmp_path: Path) -> None:
    """Type, message and line, of the user's frame and not of a library's below it."""
    source = """
    import json

    def answer(request):
        return json.loads("{oops")
    """
    (error,) = call_python(tmp_path, source)
    assert error.fault is CallFault.CODE
    assert "assistant:answer raised JSONDecodeError" in str(error)
    assert "(assistant.py:5 in answer)" in str(error)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("{'text': 'a', 'tokens': 1, 'score': 1}", "unknown keys: score, tokens"),
        ("None", "gave nothing (None)"),
        ("4", "type int"),
        ("{}", "`text`"),
        ("{'text': 4}", "`text`"),
        ("{'text': 'a', 'tokens_in': -1}", "`tokens_in`"),
        ("{'text': 'a', 'cost_usd': float('nan')}", "`cost_usd`"),
        ("{'data': {1, 2}}", "no JSON"),
        ("exit(3)", "SystemExit"),
    ],
)
def test_what_is_no_answer_is_the_users_code_fault(tmp_path: Path, expression: str, said: str) -> None:
    """Wrong types and unknown keys are named, never guessed around; even exit() ends only the call."""
    (error,) = call_python(tmp_path, f"def answer(request):\n    return {expression}\n")
    assert error.fault is CallFault.CODE
    assert said in str(error)


def test_a_call_error_of_the_users_own_passes(tmp_path: Path) -> None:
    """A wrapper round a rate-limited service can say so, and be asked again."""
    source = """
    from evalgate.errors import CallError, CallFault

    def answer(request):
        raise CallError(CallFault.RATE_LIMITED, "slow down", retry_after_s=2.0)
    """
    (error,) = call_python(tmp_path, source)
    assert (error.fault, error.retry_after_s) == (CallFault.RATE_LIMITED, 2.0)


def test_sync_functions_run_side_by_side_and_one_that_hangs_blocks_nobody(tmp_path: Path) -> None:
    """Four calls meet at a barrier; a fifth never returns, is given up, and others are answered after it."""
    (tmp_path / "assistant.py").write_text(
        "import threading\nbarrier = threading.Barrier(4, timeout=5)\nnever = threading.Event()\n"
        "def answer(request):\n"
        "    if request.prompt == 'hang':\n        never.wait(60)\n"
        "    elif request.prompt == 'meet':\n        barrier.wait()\n"
        "    return request.prompt\n"
    )

    async def run() -> list[str | None]:
        async with PythonCallable(callable="assistant:answer").open(make_opening(tmp_path)) as endpoint:
            met = await asyncio.gather(*(endpoint.call(make_request("meet")) for _ in range(4)))
            for _ in range(5):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await endpoint.call(make_request("hang"))
            return [output.text for output in (*met, await endpoint.call(make_request("after")))]

    assert asyncio.run(run()) == ["meet"] * 4 + ["after"]


def test_helpers_beside_the_file_are_found_also_late_and_the_path_is_put_back(tmp_path: Path) -> None:
    """A helper imported within the function works; afterwards sys.path is as before."""
    (tmp_path / "late_helper_of_test.py").write_text("ANSWER = 'found'")
    before = list(sys.path)
    source = "def answer(request):\n    from late_helper_of_test import ANSWER\n    return ANSWER\n"
    assert call_python(tmp_path, source)[0].text == "found"
    assert sys.path == before


def test_a_module_of_the_same_name_elsewhere_is_not_taken(tmp_path: Path) -> None:
    """Two suites in one process may each have an assistant.py."""
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        assert call_python(folder, f"def answer(request):\n    return {name!r}\n")[0].text == name


@pytest.mark.parametrize(
    ("source", "name", "said"),
    [
        ("", "assistent:answer", "there is no module assistent"),
        ("", "assistant.sub:answer", "there is no module assistant"),
        ("import not_installed_anywhere", "assistant:answer", "needs the module not_installed_anywhere"),
        ("1 / 0", "assistant:answer", "raised ZeroDivisionError"),
        ("def respond(request): ...", "assistant:answer", "It has respond"),
        ("answer = 4", "assistant:answer", "it is a int"),
    ],
)
def test_a_callable_that_cannot_be_had_is_told_at_the_opening(
    tmp_path: Path, source: str, name: str, said: str
) -> None:
    """Before the first call, with what to write."""
    with pytest.raises(InputError) as caught:
        call_python(tmp_path, source, name=name)
    assert said in str(caught.value)


def test_the_version_follows_the_source_unless_it_is_named(tmp_path: Path) -> None:
    """Editing the file is another version, found without running it; `version` says that the team knows better."""
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text("raise RuntimeError('must not run')")
    file = tmp_path / "pkg" / "app.py"
    plain, named = PythonCallable(callable="pkg.app:f"), PythonCallable(callable="pkg.app:f", version="2026-11")
    identities = []
    for source in ("def f(r): return 'a'", "def f(r): return 'b'"):
        file.write_text(source)
        identities.append((plain.identity(tmp_path), named.identity(tmp_path)))
    (before, kept), (after, same) = identities
    assert before["source_sha256"] != after["source_sha256"]
    assert kept == same and "source_sha256" not in kept


@pytest.mark.parametrize("name", ["answer", "assistant.py:answer", "a b:c", ":f", "m:"])
def test_what_is_no_callable_is_found_before(name: str) -> None:
    """`module:function` and nothing else."""
    assert [key for key, _, _ in PythonCallable(callable=name).problems()] == ["callable"]
    assert PythonCallable(callable="a.b:C.f").problems() == []


# ---- command ----------------------------------------------------------------------------------------------


def call_command(folder: Path, script: str, *requests: Any, **settings: Any) -> list[Any]:
    (folder / "ask.py").write_text(textwrap.dedent(script))
    command = Command(command=[sys.executable, "ask.py"], **settings)
    return ask(command, *requests, opening=make_opening(folder, os.environ))


def test_a_command_reads_json_and_writes_json(tmp_path: Path) -> None:
    """One process a call, in the configuration's folder; the reference answer is not handed over."""
    script = """
    import json, sys
    asked = json.load(sys.stdin)
    print(json.dumps({"text": json.dumps(asked, sort_keys=True), "tokens_in": 3}))
    """
    request = make_request("é?", epoch=2, context="c", metadata={"m": 1}, params={"p": 1})
    (output,) = call_command(tmp_path, script, request, params={"q": 2})
    assert output.tokens_in == 3
    assert json.loads(output.text) == {
        "id": "case-1",
        "epoch": 2,
        "prompt": "é?",
        "messages": [{"role": "user", "content": "é?"}],
        "input": "é?",
        "context": "c",
        "metadata": {"m": 1},
        "params": {"p": 1, "q": 2},
    }


@pytest.mark.parametrize(
    ("script", "fault", "said"),
    [
        (
            "import sys; print('first', file=sys.stderr); sys.exit('it broke')",
            CallFault.CODE,
            "exit code 1: first it broke",
        ),
        ("import os; os.kill(os.getpid(), 9)", CallFault.CODE, "signal 9"),
        ("print('four')", CallFault.BAD_ANSWER, "not JSON"),
        ("", CallFault.BAD_ANSWER, "(nothing)"),
        ("print('{\"answer\": 4}')", CallFault.CODE, "unknown keys: answer"),
        ("import sys; sys.stdout.write('x' * (17 << 20))", CallFault.BAD_ANSWER, "more than 16 MiB"),
        ("import sys; sys.exit('sk-abcdefgh12345678')", CallFault.CODE, "***"),
    ],
)
def test_what_is_no_answer_says_what_the_program_said(tmp_path: Path, script: str, fault: CallFault, said: str) -> None:
    """Exit code, signal, the end of stderr, the beginning of a wrong stdout; secrets masked."""
    (error,) = call_command(tmp_path, script)
    assert isinstance(error, CallError)
    assert error.fault is fault
    assert said in str(error)
    assert "sk-abcdefgh" not in str(error)


def test_a_command_that_reads_nothing_or_talks_much_still_answers(tmp_path: Path) -> None:
    """A large question unread and a flood on stderr block neither side."""
    script = "import sys; sys.stderr.write('x' * (1 << 20)); print('\"done\"')"
    (output,) = call_command(tmp_path, script, make_request("y" * (1 << 20)))
    assert output.text == "done"


def test_a_cancelled_command_is_killed_with_its_children(tmp_path: Path) -> None:
    """At the time-out nothing of it is left running, grandchildren and those that ignore SIGTERM included."""
    (tmp_path / "ask.py").write_text(
        textwrap.dedent(
            """
            import os, signal, subprocess, sys, time
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            with open("pids.tmp", "w") as file:
                file.write(f"{os.getpid()} {child.pid}")
            os.rename("pids.tmp", "pids")
            time.sleep(60)
            """
        )
    )

    async def run() -> list[int]:
        command = Command(command=f"{sys.executable} ask.py")
        async with command.open(make_opening(tmp_path, os.environ)) as endpoint:
            call = asyncio.create_task(endpoint.call(make_request()))
            while not (tmp_path / "pids").exists():
                await asyncio.sleep(0.01)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        return [int(pid) for pid in (tmp_path / "pids").read_text().split()]

    for pid in asyncio.run(run()):
        for _ in range(200):
            if not _is_running(pid):
                break
            time.sleep(0.01)
        assert not _is_running(pid)


@pytest.mark.parametrize("escapes", [False, True], ids=["a full pipe", "a grandchild that left the group"])
def test_giving_up_a_command_waits_for_nobody(tmp_path: Path, escapes: bool) -> None:
    """Neither output that nobody reads nor a descendant that keeps the pipes open holds the runner up."""
    (tmp_path / "ask.py").write_text(
        textwrap.dedent(
            f"""
            import subprocess, sys, time
            if {escapes}:
                sleep = "import time; time.sleep(3)"
                subprocess.Popen([sys.executable, "-c", sleep], start_new_session=True)
                open("begun", "w").close()
            while not {escapes}:
                sys.stdout.write("x" * (1 << 16))
                open("begun", "w").close()
            """
        )
    )

    async def run() -> None:
        command = Command(command=[sys.executable, "ask.py"])
        async with command.open(make_opening(tmp_path, os.environ)) as endpoint:
            call = asyncio.create_task(endpoint.call(make_request()))
            while not (tmp_path / "begun").exists():
                await asyncio.sleep(0.01)
            call.cancel()
            async with asyncio.timeout(2):
                with suppress(asyncio.CancelledError, CallError):
                    await call

    asyncio.run(run())


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_program_that_is_not_there_is_told_at_the_opening(tmp_path: Path) -> None:
    """Before the first call."""
    with pytest.raises(InputError, match=r"there is no program \./ask"):
        ask(Command(command="./ask --fast"), opening=make_opening(tmp_path, os.environ))


@pytest.mark.parametrize("command", ["", [], 'ask "open', ["a\0b"]])
def test_what_is_no_command_is_found_before(command: Any) -> None:
    """An empty or broken command line names its key."""
    assert [key for key, _, _ in Command(command=command).problems()] == ["command"]


def test_secrets_on_the_command_line_are_not_kept(tmp_path: Path) -> None:
    """The version knows the command, not the token in it."""
    command = Command(command=["ask", "--token", "abcdefgh", "--api-key=ijklmnop", "--fast", "X_TOKEN=qrstuvwx"])
    identity = json.dumps(command.identity(tmp_path))
    assert not any(secret in identity + repr(command) for secret in command.secrets({}))
    assert command.secrets({}) == ("abcdefgh", "ijklmnop", "qrstuvwx")
    assert "--fast" in identity


# ---- replay -----------------------------------------------------------------------------------------------


def write_rows(folder: Path, *rows: Any) -> Path:
    file = folder / "outputs.jsonl"
    file.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return file


def test_recorded_outputs_come_back_by_case_and_epoch(tmp_path: Path) -> None:
    """With latency, usage and cost as recorded, not as measured now."""
    row = {
        "id": "case-1",
        "output": "4",
        "latency_s": 1.5,
        "tokens_in": 2,
        "tokens_out": 3,
        "cost_usd": 0.1,
        "model": "m",
    }
    write_rows(tmp_path, {**row, "contexts": ["a"], "score": 1}, {"id": "case-1", "epoch": 2, "output": {"sum": 4}})
    replay = Replay(file="outputs.jsonl")
    first, second = ask(replay, make_request(), make_request(epoch=2), opening=make_opening(tmp_path))
    expected = Output(text="4", contexts=("a",), latency_s=1.5, tokens_in=2, tokens_out=3, cost_usd=0.1, model="m")
    assert first == expected
    assert isinstance(second, Output)
    assert (second.data, second.text, second.latency_s) == ({"sum": 4}, '{"sum": 4}', None)


def test_what_was_not_recorded_is_an_error_and_not_another_epochs_answer(tmp_path: Path) -> None:
    """Copies are not repeats: epoch 2 is not answered with epoch 1; a recorded error stays one."""
    write_rows(tmp_path, {"id": "case-1", "output": "4"}, {"id": "broken", "error": "timed out"})
    requests = (make_request(epoch=2), make_request(id="other"), make_request(id="broken"))
    answers = ask(Replay(file="outputs.jsonl"), *requests, opening=make_opening(tmp_path))
    assert all(isinstance(answer, CallError) and not answer.is_retryable for answer in answers)
    assert "no recorded output for case case-1, epoch 2" in str(answers[0])
    assert "no recorded output for case other" in str(answers[1])
    assert "timed out" in str(answers[2])


def test_every_fault_of_a_file_is_told_with_its_line(tmp_path: Path) -> None:
    """File, line and what is wrong, all together."""
    rows = [
        {"id": "a", "output": "x"},
        {"id": "a", "output": "y"},
        "{oops",
        {"output": "x"},
        {"id": "b"},
        {"id": "c", "output": "x", "error": "y"},
        {"id": "d", "epoch": 0, "output": "x"},
        {"id": "e", "output": "x", "tokens_in": "many"},
        '{"id": "f", "output": "x", "cost_usd": NaN}',
        [1],
    ]
    write_rows(tmp_path, *rows)
    with pytest.raises(InputError) as caught:
        ask(Replay(file="outputs.jsonl"), opening=make_opening(tmp_path))
    assert [fault.where for fault in caught.value.faults] == [f"outputs.jsonl:{line}" for line in range(2, 11)]
    assert "stands in line 1 already" in str(caught.value)


@pytest.mark.parametrize("rows", [(), None])
def test_a_file_without_rows_and_no_file_are_errors(tmp_path: Path, rows: Any) -> None:
    """Nothing recorded is never an empty success."""
    if rows is not None:
        write_rows(tmp_path, *rows)
    with pytest.raises(InputError, match=r"outputs\.jsonl"):
        ask(Replay(file="outputs.jsonl"), opening=make_opening(tmp_path))


def test_the_version_of_recorded_outputs_is_their_content(tmp_path: Path) -> None:
    """Another file content is another version; a missing file is left to the opening."""
    replay = Replay(file="outputs.jsonl")
    assert replay.identity(tmp_path)["sha256"] is None
    write_rows(tmp_path, {"id": "a", "output": "x"})
    before = replay.identity(tmp_path)
    write_rows(tmp_path, {"id": "a", "output": "y"})
    assert replay.identity(tmp_path) != before


def test_a_page_that_the_package_reads_is_part_of_the_version(tmp_path: Path) -> None:
    """What a package ships beside its code determines its answers too; what Python caches does not."""
    package = tmp_path / "assistant"
    (package / "__pycache__").mkdir(parents=True)
    (package / "__init__.py").write_text("def answer(request): return open('page.md').read()\n")
    (package / "page.md").write_text("30 days\n")
    settings = PythonCallable(callable="assistant:answer")
    before = settings.identity(tmp_path)
    (package / "__pycache__" / "x.pyc").write_text("noise")
    assert settings.identity(tmp_path) == before
    (package / "page.md").write_text("40 days\n")
    assert settings.identity(tmp_path) != before
