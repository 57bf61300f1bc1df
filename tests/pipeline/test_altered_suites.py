"""What a change alters about how it is judged is told from both sides' files, in real repositories."""

from __future__ import annotations

from pathlib import Path

import pytest
from repositories import CONFIG, EVALSET, SUITE, committed, repository, written

from evalgate.history.git import Repository
from evalgate.pipeline.altered import altered
from evalgate.pipeline.committed import read_evalset, suite_at
from evalgate.pipeline.load import load_config
from evalgate.records import Effect, RuleChange

WEAKENS, STRENGTHENS, NEITHER = Effect.WEAKENS, Effect.STRENGTHENS, Effect.NEITHER
MORE = EVALSET.replace("s-", "m-")
OTHER = "baseline_endpoint: {kind: python, callable: a:b}\ngate:"
CASE = '  - {id: s-2, input: two, expected: "2"}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return repository(tmp_path / "repository")


def told(folder: Path, before: dict[str, str | None], after: dict[str, str | None]) -> list[RuleChange]:
    """The changes from the commit of the one to the files of the other."""
    commit = committed(folder, {**SUITE, **before})
    written(folder, after)
    here = load_config(folder / "evalgate.yaml", {}, needs_endpoint=False, needs_store=False)
    then = suite_at(Repository(folder), commit, "evalgate.yaml", here=here)
    assert then.unread is None
    return list(altered(then, here, lambda: read_evalset(here, here.base_dir)))


def bot(old: str, new: str) -> dict[str, str | None]:
    """The eval set with another text in it."""
    assert old in EVALSET
    return {"evalsets/bot.yaml": EVALSET.replace(old, new)}


def config(old: str, new: str) -> dict[str, str | None]:
    assert old in CONFIG
    return {"evalgate.yaml": CONFIG.replace(old, new)}


def test_nothing_altered_is_nothing_told(folder: Path) -> None:
    """Other files, comments and the order of keys alter nothing."""
    assert told(folder, {}, {}) == []
    assert told(folder, {}, {"app.py": "x = 1\n", **config("version: 1", "# a comment\nversion: 1")}) == []
    assert told(folder, {}, bot("id: s-1, input: one", "input: one, id: s-1")) == []
    assert told(folder, {}, bot("name: bot", 'name: bot\nprompt: "now {{ input }}"')) == []


@pytest.mark.parametrize(
    ("after", "kind", "effect", "sentence", "cases"),
    [
        (bot(CASE, ""), "cases_removed", WEAKENS, "1 case of safety taken out", ("s-2",)),
        (bot('"2"}', '"9"}'), "expected", WEAKENS, "expected answer of 1 case of safety edited", ("s-2",)),
        (bot("input: two", "input: three"), "content", WEAKENS, "content of 1 case of safety edited", ("s-2",)),
        (bot("id: s-2,", "id: s-2, metadata: {a: 1},"), "content", WEAKENS, "content of 1 case", ("s-2",)),
        (bot("id: s-2,", "id: s-2, category: tone,"), "categories", WEAKENS, "1 case of other categories", ("s-2",)),
        (bot("id: s-2,", "id: s-2, category: [safety, tone],"), "categories", NEITHER, "1 case of more", ("s-2",)),
        (bot("category: safety", "category: tone"), "categories", WEAKENS, "2 cases of other", ("s-1", "s-2")),
        (bot("id: s-2,", "id: s-2, critical: true,"), "critical_case", STRENGTHENS, "1 case now critical", ("s-2",)),
        (bot("id: s-2,", "id: s-2, tags: [slow],"), "tags", NEITHER, "1 case with the tag slow", ("s-2",)),
        (bot("id: s-2,", "id: s-2, cluster: a,"), "cluster", NEITHER, "1 case in another cluster", ("s-2",)),
        (bot("[exact]", "[contains]"), "scorers", WEAKENS, "other scorers of 2 cases", ("s-1", "s-2")),
        (bot("[exact]", "[{exact: {ignore_case: true}}]"), "scorer_options", WEAKENS, "other options", ("s-1", "s-2")),
        (bot("[exact]", "[{exact: {weight: 2}}]"), "scorer_weights", WEAKENS, "other weights", ("s-1", "s-2")),
        (bot("id: s-2,", "id: s-2, scorers: [refusal],"), "scorers", WEAKENS, "other scorers of 1 case", ("s-2",)),
        ({"evalsets/more.yaml": MORE}, "cases_added", NEITHER, "2 cases of safety added", ("m-1", "m-2")),
        (config("min: 0.98", "min: 0.5"), "min", WEAKENS, "floor of safety loosened", ()),
        (config("suite: support-bot", "suite: bot"), "suite", WEAKENS, "suite renamed", ()),
        (config("${NOT_SET_EITHER}", "sqlite:///x.db"), "history", WEAKENS, "where earlier runs", ()),
        (config("gate:", "run: {epochs: 3}\ngate:"), "epochs", NEITHER, "how often each case", ()),
        (config("gate:", "comment: {when: never}\ngate:"), "comment", WEAKENS, "when a pull request", ()),
        (config("kind: openai", "kind: replay"), "endpoint", WEAKENS, "kind of endpoint that is tested", ()),
        (config("kind: openai", "kind: http"), "endpoint", NEITHER, "kind of endpoint that is tested", ()),
        (config("MODEL_KEY", "OTHER_KEY"), "key_name", WEAKENS, "key that `endpoint` sends", ()),
        (config("${NOT_SET_ANYWHERE}", "https://evil.example/v1"), "key_host", WEAKENS, "host that the key", ()),
        (config("gate:", "judge: {kind: openai, model: j}\ngate:"), "judge", WEAKENS, "the model that judges", ()),
        (config("gate:", OTHER), "baseline_endpoint", WEAKENS, "what is called again as the baseline", ()),
    ],
)  # fmt: skip
def test_each_alteration_is_told(
    folder: Path, after: dict[str, str | None], kind: str, effect: Effect, sentence: str, cases: tuple[str, ...]
) -> None:
    """Once, with the cases that it is about."""
    (change,) = told(folder, {}, after)
    assert (change.kind, change.effect, change.cases) == (kind, effect, cases)
    assert change.sentence.startswith(sentence)


def test_a_case_that_is_no_longer_critical_weakens(folder: Path) -> None:
    (change,) = told(folder, bot("id: s-2,", "id: s-2, critical: true,"), SUITE)
    assert (change.kind, change.effect, change.before, change.after) == ("critical_case", WEAKENS, True, False)


def test_a_case_that_loses_its_tag_is_no_longer_selected_by_it(folder: Path) -> None:
    """A job that runs `--tag smoke` would not have it any more."""
    (change,) = told(
        folder, bot("id: s-2,", "id: s-2, tags: [smoke, slow],"), bot("id: s-2,", "id: s-2, tags: [slow],")
    )
    assert (change.kind, change.effect, change.sentence) == ("tags", WEAKENS, "1 case without the tag smoke")


def test_a_scorer_outside_the_repository_is_no_part_of_a_change(folder: Path) -> None:
    """What it was at a commit is not known; that its name changes would be told."""
    written(folder.parent, {"outside.py": "def judge(case, output):\n    return 1.0\n"})
    uses = bot("[exact]", '["../../outside.py:judge"]')
    assert told(folder, uses, {}) == []


def test_numbers_and_names_say_what_was_and_what_is(folder: Path) -> None:
    """Both sides of a change stand beside it."""
    found = told(folder, {}, bot(CASE, ""))
    assert [(change.where, change.before, change.after) for change in found] == [("cases: safety", 2, 1)]
    found = told(folder, {}, bot("[exact]", '[{contains: {weight: 2}}, "exact"]'))
    assert [(change.before, change.after) for change in found] == [("exact", "contains × 2, exact")]
    found = told(folder, {}, config("${NOT_SET_ANYWHERE}", "https://user:secret@evil.example/v1"))
    assert [(change.before, change.after) for change in found] == [("${NOT_SET_ANYWHERE}", "evil.example")]
    found = told(folder, {}, config('store: "${NOT_SET_EITHER}"', "store: postgresql://me:secret@host/db"))
    assert [change.after for change in found] == ["postgresql://…@host/db"]


def test_what_weakens_stands_first(folder: Path) -> None:
    """Then what strengthens, then the rest."""
    after = EVALSET.replace(CASE, '  - {id: s-3, input: x, expected: "1"}\n')
    rules = CONFIG.replace("0.98", "0.99").replace("0.05", "0.5")
    found = told(folder, {}, {"evalsets/bot.yaml": after, "evalgate.yaml": rules})
    assert [change.effect for change in found] == [WEAKENS, WEAKENS, STRENGTHENS, NEITHER]


def test_an_own_scorer_that_was_edited_is_told_though_no_eval_set_was(folder: Path) -> None:
    """By its bytes; a scorer that nobody uses is nobody's business."""
    uses = {"evalsets/bot.yaml": EVALSET.replace("[exact]", '["own.py:judge"]')}
    code = "def judge(case, output):\n    return 1.0\n"
    files = {**uses, "evalsets/own.py": code, "evalsets/unused.py": "a = 1\n"}
    assert told(folder, files, {"evalsets/unused.py": "a = 2\n"}) == []
    (change,) = told(folder, files, {"evalsets/own.py": code + "# more\n"})
    assert (change.kind, change.where, change.effect) == ("own_scorer", "evalsets/own.py", WEAKENS)
    assert change.before and change.after and change.before != change.after
    more = EVALSET.replace("[exact]", '["own.py:judge"]') + '  - {id: s-3, input: x, expected: "1"}\n'
    found = told(folder, files, {"evalsets/bot.yaml": more, "evalsets/own.py": "raise SystemExit\n"})
    assert [change.kind for change in found] == ["own_scorer", "cases_added"]


def test_exceptions_are_compared(folder: Path) -> None:
    """A waiver in the file beside the configuration."""
    waiver = "waivers:\n  - {category: safety, from: 0.9, drop: 0.1, owner: a, reason: b, expires: 2026-12-31}\n"
    (change,) = told(folder, {}, {"evalgate-exceptions.yaml": waiver})
    assert (change.kind, change.effect, change.after) == ("waiver", WEAKENS, "down to 80.0 % until 2026-12-31")
