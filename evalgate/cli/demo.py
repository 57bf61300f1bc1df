"""`evalgate demo`: the bundled assistant, served or shown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evalgate.cli import console
from evalgate.errors import Fault, InputError

demo = typer.Typer(
    help="The bundled assistant: needs no key and no network.",
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@demo.command("serve")
def serve(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 picks a free one.", min=0, max=65535)] = 8765,
    temperature: Annotated[float, typer.Option(help="0 answers alike each time; above, it samples.")] = 0.0,
) -> int:
    """Serve the assistant as chat completions on this machine, until Ctrl-C."""
    from evalgate.demo.serve import make_server

    try:
        server = make_server(port, params={"temperature": temperature} if temperature else {})
    except OSError as error:
        what = f"port {port} cannot be used: {error.strerror}"
        raise InputError(Fault(where="--port", what=what, hint="Name another, or 0 for a free one.")) from error
    console.say(f"serving {server.base_url} (model handbook-1); Ctrl-C ends it")
    console.say('its contexts, for retrieval scorers: endpoint.contexts: "choices[0].message.context.citations"')
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        console.say("ended")
    finally:
        server.server_close()
    return 0


@demo.command("tour")
def tour(
    folder: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keep the files there; default: a temporary folder.")
    ] = None,
) -> int:
    """Record the assistant, break one retrieval setting, and see the gate block it. Exit 0 when it does."""
    from evalgate.pipeline.tour import take_tour

    return take_tour(folder, tell=console.say, show=console.show)


@demo.command("drift")
def drift(
    folder: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keep the files there; default: a temporary folder.")
    ] = None,
) -> int:
    """Let a provider get worse between baseline and pull request: told as upstream drift, not blamed. Exit 0 then."""
    from evalgate.pipeline.drift_tour import take_drift_tour

    return take_drift_tour(folder, tell=console.say, show=console.show)
