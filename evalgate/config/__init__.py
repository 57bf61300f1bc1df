"""What a user writes, checked: `evalgate.yaml`, eval sets and data files → values, with file:line:column in every
complaint. Names of scorers and kinds of endpoints are passed in; knows no network and no store.
"""

from __future__ import annotations

from evalgate.config.evalset import load_evalsets, load_items
from evalgate.config.exceptions import check_exceptions
from evalgate.config.load import load_config, load_endpoint, read_endpoint
from evalgate.config.schema import config_schema, evalset_schema
from evalgate.config.settings import Config, RunSettings
from evalgate.config.templates import Renderer

__all__ = [
    "Config",
    "Renderer",
    "RunSettings",
    "check_exceptions",
    "config_schema",
    "evalset_schema",
    "load_config",
    "load_endpoint",
    "load_evalsets",
    "load_items",
    "read_endpoint",
]
