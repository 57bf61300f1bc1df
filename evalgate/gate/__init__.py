"""Results, a baseline and rules in; a verdict out. Pure: knows no file, clock, network, environment or store."""

from evalgate.gate.decide import decide, without_results
from evalgate.gate.rules import OFF, Response, Rule, Rules, When, parse_rules, schema

__all__ = ["OFF", "Response", "Rule", "Rules", "When", "decide", "parse_rules", "schema", "without_results"]
