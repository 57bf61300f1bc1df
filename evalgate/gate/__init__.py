"""Results, a baseline and rules in; a verdict, or the next calls, out. Pure: knows no file, clock, network or store."""

from evalgate.gate.changes import exception_changes, rule_changes
from evalgate.gate.decide import decide, is_stale, summary_of, without_results
from evalgate.gate.looks import first_step
from evalgate.gate.plan import Doubt, More, NextCalls, Planner
from evalgate.gate.rules import OFF, Response, Rule, Rules, RulesFrom, When, parse_rules, schema

__all__ = [
    "OFF", "Doubt", "More", "NextCalls", "Planner", "Response", "Rule", "Rules", "RulesFrom", "When",
    "decide", "exception_changes", "first_step", "is_stale", "parse_rules", "rule_changes", "schema", "summary_of",
    "without_results",
]  # fmt: skip
