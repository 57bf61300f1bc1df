"""By whose rules a run is judged, and what the change under test alters about them.

The commit that a change is compared with says what the rules were before it. Where either side asks for it
(`gate.rules_from: base`), its rules and exceptions decide: a change cannot switch that off. What cannot be read is
never taken for what is not there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from evalgate import gate
from evalgate.config import Config
from evalgate.errors import EvalgateError, InputError, RemoteError
from evalgate.gate import Rules, RulesFrom
from evalgate.gate.sentences import count
from evalgate.history.baseline import Lost
from evalgate.pipeline.altered import altered
from evalgate.pipeline.committed import Committed, NoSuchFile, asks_for_base, moved_from, suite_at
from evalgate.pipeline.place import Place
from evalgate.records import EvalSet, Exceptions, RuleChange, Verdict, VerdictName

UNKNOWN = "What this change alters about its own rules is not known"


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """The rules that decide on a run, and what is to be told of them."""

    rules: Rules
    exempt: Exceptions
    commit: str | None = None
    """The commit whose rules these are; None: they are those of the tree under test."""
    changes: tuple[RuleChange, ...] = ()
    notes: tuple[str, ...] = ()
    aside: str = ""
    """Ends the first line of the report."""
    fault: str | None = None
    """Why nothing may be decided."""

    def told(self, verdict: Verdict) -> Verdict:
        """The verdict with all that is to be told; `error` where the rules that are to decide are not known."""
        verdict = replace(verdict, changes=self.changes, rules_commit=self.commit, notes=(*verdict.notes, *self.notes))
        if self.fault is not None:
            return replace(verdict, verdict=VerdictName.ERROR, exit_code=3, reason=self.fault)
        return replace(verdict, reason=verdict.reason + self.aside)


@dataclass(frozen=True, kw_only=True)
class Base:
    """Where the rules before a change are looked up."""

    config: Config
    place: Place
    evalset: Callable[[], EvalSet] | None
    """Gives the eval set under test; None: it is not known, so cases and scorers are not compared."""
    _known: dict[str | Lost | None, Ruling] = field(default_factory=dict, repr=False)

    def ruling(self, commit: str | Lost | None) -> Ruling:
        """The ruling where this commit is what the change is compared with; None: it is compared with none."""
        if commit not in self._known:
            self._known[commit] = self._nowhere() if self.place.repository is None else self._ruling(commit)
        return self._known[commit]

    def _nowhere(self) -> Ruling:
        """Outside a repository nothing came before; a job's files always come from one."""
        why = "there is no repository here"
        if self._is_in_ci:
            return self._undecided(why) if self._asks else self._unseen(why, is_news=True)
        return self._unseen(why, "there is no base") if self._asks else self._own()

    def _ruling(self, commit: str | Lost | None) -> Ruling:
        if commit is None:
            if not self._asks and not self._is_in_ci:
                return self._own()  # that there is nothing to compare with is said already
            return self._unseen("there is no commit to compare with", "there is no base")
        if isinstance(commit, Lost):
            return self._undecided(commit.why) if self._asks else self._unseen(commit.why, is_news=True)
        try:
            before = self._before(commit)
        except NoSuchFile as error:
            why = f"the suite is new, moved or renamed ({error.faults[0]})"
            return self._unseen(why, "the base has none", is_news=self._is_in_ci)
        except (InputError, RemoteError) as error:
            why = in_short(error)
            return self._undecided(why) if self._either_asks(commit) else self._unseen(why, is_news=self._is_in_ci)
        return self._between(before)

    def _before(self, commit: str) -> Committed:
        """The suite at this commit, where its configuration lies there: another place does not rid it of its rules."""
        files = self.place.files(commit)
        try:
            return suite_at(files, commit, self._path(), here=self.config)
        except NoSuchFile:
            repository = self.place.repository
            top = None if repository is None else repository.top()
            old = top and moved_from(files, commit, self.config.suite, lambda path: (top / path).is_file())
            if not old:
                raise
            return suite_at(files, commit, old)

    def _between(self, before: Committed) -> Ruling:
        notes: tuple[str, ...] = ()
        try:
            changes = altered(before, self.config, self.evalset)
        except (InputError, RemoteError) as error:
            changes = altered(before, self.config, None)
            notes = (f"Which cases and scorers this change alters is not known: {in_short(error)}.",)
        if before.unread is not None and self.evalset is not None:
            notes = (f"Which cases and scorers this change alters is not known: {in_short(before.unread)}.",)
        weaker = sum(change.weakens for change in changes)
        aside = f"; this change weakens how it is judged in {count(weaker, 'place')}" if weaker else ""
        own = Ruling(rules=self.config.rules, exempt=self.config.exceptions, changes=changes, notes=notes, aside=aside)
        if not self._asks and before.config.rules.rules_from is not RulesFrom.BASE:
            return own
        rules_differ = gate.rule_changes(before.config.rules, own.rules)
        exceptions_differ = gate.exception_changes(before.config.exceptions, own.exempt)
        return replace(
            own,
            rules=before.config.rules,
            exempt=before.config.exceptions,
            commit=before.commit,
            aside=f"; judged by the rules of the base{aside}" if rules_differ or exceptions_differ else aside,
        )

    def _own(self) -> Ruling:
        """The rules of the tree under test."""
        return Ruling(rules=self.config.rules, exempt=self.config.exceptions)

    def _unseen(self, why: str, because: str = "the base cannot be seen", *, is_news: bool = False) -> Ruling:
        """The tree's own rules, and why nothing is known of earlier ones; in the first line where somebody could hide
        behind it."""
        aside = f"; judged by its own rules, since {because}" if self._asks or is_news else ""
        return replace(self._own(), notes=(f"{UNKNOWN}: {why}.",), aside=aside)

    def _undecided(self, why: str) -> Ruling:
        hint = "Mend that, or let somebody merge this who may do so without the check"
        what = f"the rules of the base are to decide (gate.rules_from: base), and cannot be had: {why}. {hint}"
        return replace(self._own(), fault=what)

    @property
    def _is_in_ci(self) -> bool:
        return self.place.situation is not None

    @property
    def _asks(self) -> bool:
        return self.config.rules.rules_from is RulesFrom.BASE

    def _either_asks(self, commit: str) -> bool:
        """Whether the base's rules are to decide, as far as its faulty configuration can be read."""
        try:
            return self._asks or asks_for_base(self.place.files(commit), commit, self._path())
        except (InputError, RemoteError):
            return False

    def _path(self) -> str:
        repository = self.place.repository
        assert repository is not None
        return repository.prefix + self.config.path.name


def in_short(error: EvalgateError) -> str:
    """The first of an error's sentences, without a full stop."""
    if not isinstance(error, InputError):
        return str(error).rstrip(".")
    more = len(error.faults) - 1
    return str(error.faults[0]).rstrip(".") + (f", and {count(more, 'more fault')}" if more else "")
