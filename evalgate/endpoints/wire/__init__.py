"""HTTP/1.1 over asyncio, as one endpoint needs it: a pool of connections to one server, straight or through a proxy.

Loaded when an endpoint that speaks HTTP is opened. Knows no JSON, no model, no statuses, no retries of the runner.
"""
