"""Prompts: case → request."""

from __future__ import annotations

import pytest
from builders import make_case
from hypothesis import given
from hypothesis import strategies as st

from evalgate.config import Renderer, jinja
from evalgate.config.templates import Text, _text_and_names
from evalgate.errors import InputError
from evalgate.records import Case, EvalSet, Json


def _request(case: Case, template: Json = None) -> tuple[str, list[dict[str, Json]]]:
    templates = {} if template is None else {"t": template}
    evalset = EvalSet(name="s", cases=(case,), scorers={}, templates=templates)
    request = Renderer(evalset, {"temperature": 0})(case, 2)
    assert (request.epoch, request.params) == (2, {"temperature": 0})
    return request.prompt, [dict(message) for message in request.messages]


@pytest.mark.parametrize(
    ("template", "prompt"),
    [
        ("{{ input }}", "a <b> & 'c'"),
        ("Q: {{ input }}\n", "Q: a <b> & 'c'\n"),
        ("{{ category }} {{ categories }} {{ tags }} {{ id }}", 'x ["x", "y"] ["t"] case-1'),
        ("{{ n }} {{ yes }} {{ pages }}", '3 true [{"title": "é"}]'),
        ("{% for page in pages %}{{ page.title | upper }}{% endfor %}", "É"),
        ("{{ pages | tojson }} {{ nothing | default('-') }}", '[{"title": "é"}] -'),
        ("{{ metadata.n + 1 }} {{ metadata.pages[0] }}", '4 {"title": "é"}'),
        ("{{ context }}", '{"k": null}'),
    ],
)
def test_a_template_renders_what_the_case_holds(template: str, prompt: str) -> None:
    """Texts stay as they are, without HTML escapes; structures are JSON."""
    case = make_case(
        template="t",
        categories=("x", "y"),
        tags=("t",),
        input="a <b> & 'c'",
        context={"k": None},
        metadata={"n": 3, "yes": True, "pages": [{"title": "é"}]},
    )
    assert _request(case, template) == (prompt, [{"role": "user", "content": prompt}])


PIECES = st.sampled_from(
    ["{", "}", "{{", "}}", "{%", "{#", "\r\n", "\n", " ", "a", "-", "{{ input }}", "{{id}}", "{{ none }}", "{{ x_1 }}"]
)


@given(st.lists(PIECES, max_size=8).map("".join))
def test_what_is_read_without_jinja_reads_as_jinja_reads_it(source: str) -> None:
    """Text and names need no template engine; whatever might be more is the engine's to say."""
    case = make_case(template="t", input=["a", "é"], metadata={"x_1": True})
    plain = _text_and_names(source)
    if plain is not None:
        names, parts, _ = jinja.compiled(source)
        assert "".join(text for is_text, text in plain if is_text) == "".join(
            text for is_text, text in parts or () if is_text
        )
        assert [text for is_text, text in plain if not is_text] == [
            text for is_text, text in parts or () if not is_text
        ]
        assert names == {name for is_text, name in plain if not is_text}
        assert Text(source).render(case) == "".join(
            part if is_text else {"input": '["a", "é"]', "id": "case-1", "x_1": "true"}[part] for is_text, part in plain
        )


def test_templates_of_messages_render_every_content() -> None:
    """The prompt of a conversation is the last user's text."""
    template = [
        {"role": "system", "content": "About {{ context }}."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "{{ input }}"}, {"type": "image_url", "image_url": "{{ url }}"}],
        },
    ]
    case = make_case(template="t", input="what?", context="birds", metadata={"url": "u"})
    prompt, messages = _request(case, template)

    assert prompt == "what?"
    assert messages[0] == {"role": "system", "content": "About birds."}
    assert messages[1]["content"][1] == {"type": "image_url", "image_url": "u"}


@pytest.mark.parametrize(("value", "prompt"), [("hi", "hi"), ({"a": ["é"]}, '{"a": ["é"]}'), (["x"], '["x"]')])
def test_without_a_template_the_input_is_the_prompt(value: Json, prompt: str) -> None:
    """Structures are sent as JSON."""
    assert _request(make_case(input=value)) == (prompt, [{"role": "user", "content": prompt}])


def test_messages_of_a_case_are_sent_as_they_are() -> None:
    """Braces in a conversation are no template."""
    messages = ({"role": "user", "content": "{{ a }}"}, {"role": "assistant", "content": "b"})
    assert _request(make_case(messages=messages)) == ("{{ a }}", [dict(message) for message in messages])


@pytest.mark.parametrize(
    "template", ["{{ nope }}", "{{ metadata.nope }}", "{{ nope | upper }}", "{{ metadata.clear() }}"]
)
def test_what_is_not_there_is_an_error(template: str) -> None:
    """An undefined name never becomes an empty text, and a template cannot change its case."""
    with pytest.raises(InputError, match="the prompt cannot be rendered"):
        _request(make_case(template="t"), template)


@pytest.mark.parametrize("template", ["{{ ''.__class__.__mro__ }}", "{{ id.__init__.__globals__ }}"])
def test_the_sandbox_holds(template: str) -> None:
    """A prompt cannot reach the interpreter."""
    with pytest.raises(InputError, match="the prompt cannot be rendered"):
        _request(make_case(template="t"), template)


@pytest.mark.parametrize("template", ["{{ expected }}", "{% if expected %}{% endif %}", "{{ input | random }}", "{{ ("])
def test_a_prompt_cannot_hold_the_answer_or_chance(template: str) -> None:
    """The reference answer in a prompt measures nothing; a random prompt cannot be compared."""
    with pytest.raises(InputError, match="a prompt of s: "):
        _request(make_case(template="t"), template)
