"""How git reaches a repository's remote: its URL, the user's settings for it, and in GitHub Actions the job's token.

Settings are handed to git in its environment (`GIT_CONFIG_COUNT` …): never as arguments, which every process of the
machine can read, and never in a file.
"""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from evalgate.errors import Fault, InputError
from evalgate.history.remote_faults import clean

OURS = "origin"
"""What the remote is called in the scratch repository, whatever the user calls it."""

TIMEOUT_S = 20.0

Setting: TypeAlias = tuple[str, str]

_WAYS = ("http.", "credential.", "url.", "ssh.")
"""Beginnings of settings that decide how a remote is reached."""

_SINGLE = frozenset({"core.sshcommand", "core.askpass", "core.gitproxy", "protocol.version"})

_OF_REMOTE = frozenset({"proxy", "proxyauthmethod", "uploadpack", "receivepack", "vcs"})

_DROPPED = re.compile(
    r"GIT_(?:DIR|WORK_TREE|INDEX_FILE|COMMON_DIR|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|NAMESPACE|PREFIX|"
    r"SHALLOW_FILE|GRAFT_FILE|QUARANTINE_PATH|CONFIG_(?:COUNT|KEY_\d+|VALUE_\d+|PARAMETERS)|CONFIG|"
    r"TRACE\w*|CURL_VERBOSE|PUSH_OPTION\w*|AUTHOR_\w+|COMMITTER_\w+|EXEC_PATH|REPLACE_REF_BASE|LITERAL_PATHSPECS)"
)
"""Variables that would lead git elsewhere (a hook has some), make it talk, or sign in another name."""

_ALWAYS: tuple[Setting, ...] = (
    # Nothing of the user's is to run or to be changed: no hook, no signature, no tidying in the background.
    ("core.hookspath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("push.gpgsign", "false"),
    ("push.followtags", "false"),
    ("push.recursesubmodules", "no"),
    ("fetch.writecommitgraph", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("protocol.ext.allow", "never"),
    # A connection that hangs ends before our own patience does.
    ("http.lowspeedlimit", "1"),
    ("http.lowspeedtime", "60"),
    # What a fetch left out is asked for when it is needed.
    (f"remote.{OURS}.promisor", "true"),
    (f"remote.{OURS}.partialclonefilter", "blob:none"),
)


@dataclass(frozen=True, kw_only=True)
class Access:
    """What git needs to reach the remote."""

    place: str
    """The remote's URL for messages: without user, password and query."""
    environ: Mapping[str, str] = field(repr=False)
    """The whole environment of a git process."""
    secrets: tuple[str, ...] = field(repr=False, default=())
    """What no message may repeat."""


def access(folder: Path, environ: Mapping[str, str], name: str) -> Access:
    """How the remote of this name is reached from the repository that the folder lies in.

    In a job of GitHub Actions without a checkout it is the job's own repository. Raises InputError where there is
    neither a repository nor such a remote.
    """
    plain = {key: value for key, value in environ.items() if not _DROPPED.fullmatch(key)}
    plain |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
    # The settings that a calling git was given are read before they are dropped.
    given = {key: value for key, value in environ.items() if key.startswith("GIT_CONFIG_")}
    found = _settings(folder, {**given, **plain})
    name, url = _url(folder, environ, found, name, plain)
    pushed = next((value for key, value in found if key == f"remote.{name}.pushurl"), None)
    settings = [*_kept(found, name), *_ALWAYS, (f"remote.{OURS}.url", url)]
    settings += [(f"remote.{OURS}.pushurl", pushed)] if pushed else []
    token = _token(url, environ, settings)
    secrets = [token[1], token[1].rpartition(" ")[2], environ["GITHUB_TOKEN"]] if token else []
    if token:
        # A redirect must not carry the token to another host.
        settings += [token, (token[0].replace("extraheader", "followredirects"), "false")]
    secrets += [secret for text in (url, pushed or "") if (secret := _password(text))]
    return Access(place=shown(url), environ={**plain, **_as_variables(settings)}, secrets=tuple(secrets))


def shown(url: str) -> str:
    """The URL as a message may repeat it."""
    return clean(url.partition("?")[0])[:200]


def _url(
    folder: Path, environ: Mapping[str, str], found: Iterable[Setting], name: str, plain: Mapping[str, str]
) -> tuple[str, str]:
    """The remote's name and URL."""
    urls = {
        key.removeprefix("remote.").removesuffix(".url"): value
        for key, value in reversed(list(found))
        if key.startswith("remote.") and key.endswith(".url")
    }
    if name not in urls and len(urls) == 1:
        (name,) = urls
    if name in urls:
        return name, _absolute(urls[name], folder, plain)
    top, why = _top(folder, plain)
    if "dubious ownership" in why:
        hint = f"git config --global --add safe.directory {folder.absolute()}"
        raise InputError(
            Fault(where=str(folder), what="git does not trust this repository: it is another user's", hint=hint)
        )
    if top is None:
        repository = environ.get("GITHUB_REPOSITORY", "")
        if environ.get("GITHUB_ACTIONS") == "true" and re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
            return name, f"{environ.get('GITHUB_SERVER_URL', 'https://github.com').rstrip('/')}/{repository}"
        hint = "Call this in a clone of the repository."
        raise InputError(Fault(where=str(folder), what="this is no git repository", hint=hint))
    hint = f"`git remote add {name} URL` adds it."
    raise InputError(Fault(where=str(top), what=f"the repository has no remote {name}", hint=hint))


def _absolute(url: str, folder: Path, plain: Mapping[str, str]) -> str:
    """A path relative to the repository works from nowhere else."""
    is_path = "://" not in url and "::" not in url and not re.match(r"[^/]*:", url)
    if not is_path or Path(url).is_absolute():
        return url
    top, _ = _top(folder, plain)
    return str((top or folder).absolute() / url)


def _top(folder: Path, environ: Mapping[str, str]) -> tuple[Path | None, str]:
    """The repository's folder, or what git said."""
    for question in ("--show-toplevel", "--absolute-git-dir"):
        answer = _ask(folder, environ, "rev-parse", question)
        if answer.returncode == 0:
            return Path(answer.stdout.decode("utf-8", "surrogateescape").strip()), ""
    return None, answer.stderr.decode("utf-8", "replace")


def _settings(folder: Path, environ: Mapping[str, str]) -> list[Setting]:
    """What the repository and the calling git set: not what a user or the system sets, which git reads by itself."""
    answer = _ask(folder, environ, "config", "--includes", "--list", "--null", "--show-scope")
    fields = answer.stdout.decode("utf-8", "surrogateescape").split("\0")
    pairs = zip(fields[::2], fields[1::2], strict=False)
    return [
        (key, value)
        for scope, text in pairs
        if scope in ("local", "worktree", "command")
        for key, _, value in [text.partition("\n")]
    ]


def _ask(folder: Path, environ: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=dict(environ),
            timeout=TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise InputError("the program `git` is not installed, or not on the PATH") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(arguments, 1, b"", str(error).encode())


def _kept(found: Iterable[Setting], name: str) -> list[Setting]:
    """Those of the settings that decide how the remote is reached."""
    kept = []
    for key, value in found:
        low = key.lower()
        own = low.removeprefix(f"remote.{name.lower()}.")
        if low.startswith(_WAYS) or low in _SINGLE:
            kept.append((key, value))
        elif own in _OF_REMOTE:
            kept.append((f"remote.{OURS}.{own}", value))
    return kept


def _token(url: str, environ: Mapping[str, str], settings: Sequence[Setting]) -> Setting | None:
    """The job's token as a header for GitHub's own host; None where there is none, or where the repository brings one
    of its own (two are refused)."""
    token = environ.get("GITHUB_TOKEN", "")
    server = environ.get("GITHUB_SERVER_URL", "https://github.com").rstrip("/")
    if environ.get("GITHUB_ACTIONS") != "true" or not token or not _same_place(url, server):
        return None
    if any("extraheader" in key.lower() and "authorization" in value.lower() for key, value in settings):
        return None
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode("ascii")
    return f"http.{server}/.extraheader", f"AUTHORIZATION: basic {basic}"


def _same_place(url: str, server: str) -> bool:
    try:
        ours, theirs = urlsplit(url), urlsplit(server)
        is_same = (ours.scheme, ours.hostname, ours.port) == (theirs.scheme, theirs.hostname, theirs.port)
    except ValueError:  # a port that is none
        return False
    return is_same and (ours.scheme == "https" or ours.hostname in ("127.0.0.1", "::1", "localhost"))


def _password(url: str) -> str | None:
    """What of the URL is secret: a token may stand where a user does."""
    found = re.search(r"://(?:[^/@:]*:)?([^/@]+)@", url)
    return found[1] if found and len(found[1]) > 3 else None


def _as_variables(settings: Sequence[Setting]) -> dict[str, str]:
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables
