"""Results, a baseline and rules in; a verdict out. Pure: knows no file, clock, network, environment or store."""

from evalgate.gate.decide import decide, not_evaluated
from evalgate.gate.rules import OFF, Response, Rule, Rules, parse_rules, schema

__all__ = ["OFF", "Response", "Rule", "Rules", "decide", "not_evaluated", "parse_rules", "schema"]
