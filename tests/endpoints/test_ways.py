"""How a server is reached: TLS and whom it trusts, proxies and what they refuse."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from authority import DAY, Authority
from endpoint_servers import Canned, Handler, saying, serving

from evalgate.endpoints.transport import Reply, open_transport
from evalgate.endpoints.wire.dialing import Dialer
from evalgate.endpoints.wire.origins import origin_of
from evalgate.endpoints.wire.pool import Pool
from evalgate.endpoints.wire.proxies import proxy_for
from evalgate.errors import CallError, CallFault, InputError

KEY = "sk-verysecret-0123456789"


async def send(
    url: str, environ: Mapping[str, str], timeout_s: float = 5.0, times: int = 1, body: bytes = b"{}"
) -> Reply:
    opened = open_transport(url, concurrency=4, timeout_s=timeout_s, environ=environ, secrets=(KEY,))
    async with opened as transport:
        for _ in range(times):
            reply = await transport.send("POST", url, {"authorization": f"Bearer {KEY}"}, body)
        return reply


def failure(
    handler: Handler,
    scheme: str,
    tls: ssl.SSLContext | None = None,
    environ: Mapping[str, str] | None = None,
    timeout_s: float = 5.0,
) -> CallError:
    """What a call of a server on localhost ends with."""

    async def run() -> CallError:
        async with serving(handler, tls) as port:
            with pytest.raises(CallError) as caught:
                await send(f"{scheme}://localhost:{port}/v1", environ or {}, timeout_s)
            return caught.value

    return asyncio.run(run())


# ---- TLS --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.parametrize("body", [b'"hi"', b"x" * 3_000_000], ids=["short", "long"])
def test_an_own_authority_is_trusted_through_ssl_cert_file(authority: Authority, body: bytes) -> None:
    """With the authority's file in SSL_CERT_FILE its servers are reached, several times on one connection; what is
    said on both sides comes through whole, short or long."""
    server = Canned(body=body)

    async def run() -> Reply:
        async with serving(server, authority.server("localhost")) as port:
            return await send(f"https://localhost:{port}/", {"SSL_CERT_FILE": str(authority.file)}, times=3, body=body)

    assert asyncio.run(run()).body == body
    assert server.bodies == [body] * 3
    assert server.connections == 1


def test_a_body_that_ends_with_its_tls_connection_is_read(authority: Authority) -> None:
    """An old server under TLS is understood, too."""

    async def run() -> Reply:
        async with serving(saying(b"HTTP/1.0 200 OK\r\n\r\nhi"), authority.server("localhost")) as port:
            return await send(f"https://localhost:{port}/", {"SSL_CERT_FILE": str(authority.file)})

    assert asyncio.run(run()).body == b"hi"


@pytest.mark.parametrize(
    ("server", "is_trusting", "said"),
    [
        ({"name": "localhost"}, False, "SSL_CERT_FILE"),
        ({"name": "localhost", "is_self_signed": True}, True, "self-signed certificate. For a certificate of your own"),
        ({"name": "localhost", "ends": -DAY}, True, "certificate has expired. Renew it"),
        ({"name": "other.example"}, True, "not valid for 'localhost'. Check the host name in the URL"),
    ],
    ids=["unknown authority", "self-signed", "expired", "another name"],
)
def test_a_certificate_that_is_not_trusted_gets_no_key_and_no_second_try(
    authority: Authority, server: dict[str, Any], is_trusting: bool, said: str
) -> None:
    """Nobody can listen in with a certificate of their own; the message says what to check."""
    environ = {"SSL_CERT_FILE": str(authority.file)} if is_trusting else {}
    heard = Canned()
    error = failure(heard, "https", authority.server(**server), environ)
    assert error.fault is CallFault.CERTIFICATE
    assert not error.is_retryable
    assert re.match(r"the certificate of localhost:\d+ is not trusted: ", str(error))
    assert said in str(error)
    assert heard.heads == []


def test_plain_http_behind_https_and_the_reverse_are_told(authority: Authority) -> None:
    """The scheme is what a user gets wrong: both errors name it, and asking again would not help the first."""
    plain = failure(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n", after=b""), "https")
    tls = failure(Canned(), "http", authority.server("localhost"))
    assert plain.fault is CallFault.BAD_ANSWER
    assert "does not answer in TLS" in str(plain) and "is it http:// there?" in str(plain)
    assert "HTTPS" in str(tls)


def test_a_server_that_wants_a_certificate_of_the_client_is_told(authority: Authority) -> None:
    """In TLS 1.3 it says so only after the handshake: it is no lost connection, and no other try helps."""
    demanding = authority.server("localhost")
    demanding.verify_mode = ssl.CERT_REQUIRED
    demanding.load_verify_locations(authority.file)

    async def handshake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()  # asyncio's own server would close without a word
        session = demanding.wrap_bio(incoming, outgoing, server_side=True)
        is_going_on = True
        while is_going_on:
            incoming.write(await reader.read(1 << 16))
            try:
                session.do_handshake()
            except ssl.SSLError as error:
                is_going_on = isinstance(error, ssl.SSLWantReadError)
            writer.write(outgoing.read())

    error = failure(handshake, "https", environ={"SSL_CERT_FILE": str(authority.file)})
    assert error.fault is CallFault.REFUSED_REQUEST
    assert "certificate of the client, which cannot be sent" in str(error)


def test_a_handshake_that_ends_or_hangs_is_told(authority: Authority) -> None:
    """Both are worth another try."""

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    closed = failure(closing, "https")
    silent = failure(saying(b"", stays=True, after=b""), "https", timeout_s=0.2)
    assert closed.fault is silent.fault is CallFault.CONNECTION
    assert "closed the connection during the TLS handshake" in str(closed)
    assert "timed out after 0.196 s" in str(silent)


def test_failed_handshakes_leave_no_connection_behind(authority: Authority) -> None:
    """A run of a thousand failures holds as many sockets as one."""

    async def run() -> set[Any]:
        async with serving(Canned(), authority.server("localhost")) as port:
            pool = Pool(Dialer(origin_of(f"https://localhost:{port}"), None, {}, 5.0), size=2, timeout_s=5.0, show=str)
            for _ in range(3):
                with pytest.raises(CallError):
                    await pool.ask(b"GET / HTTP/1.1\r\n\r\n")
            return pool._all

    assert asyncio.run(run()) == set()


def test_certificates_that_cannot_be_read_are_the_users_fault(tmp_path: Path) -> None:
    """Found when the endpoint is opened, before any case."""
    (tmp_path / "empty.pem").write_text("nothing")
    for value in ("/no/such/file.pem", str(tmp_path / "empty.pem")):
        with pytest.raises(InputError, match="SSL_CERT_FILE"):
            asyncio.run(send("https://localhost:1/", {"SSL_CERT_FILE": value}))


# ---- proxies ----------------------------------------------------------------------------------------------


class Relay:
    """A proxy that leads every tunnel to one port of this machine."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.heads: list[bytes] = []
        self.passed = b""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        upstream, out = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"HTTP/1.1 200 Connection established\r\nProxy-Agent: test\r\n\r\n")

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                while data := await source.read(1 << 16):
                    self.passed += data
                    sink.write(data)
            sink.close()

        back = asyncio.create_task(pump(upstream, writer))
        try:
            await pump(reader, out)
        finally:
            out.close()
            back.cancel()
            await asyncio.gather(back, out.wait_closed(), return_exceptions=True)


def test_an_http_proxy_is_used_with_its_password_which_is_not_sent_on() -> None:
    """HTTP_PROXY holds: the request goes there, with the proxy's credentials in a header of their own."""
    proxy = Canned(body=b'"from afar"')

    async def run() -> Reply:
        async with serving(proxy) as port:
            return await send(
                "http://model.example/v1?a=b", {"HTTP_PROXY": f"http://us%40er:password@127.0.0.1:{port}"}
            )

    assert asyncio.run(run()).body == b'"from afar"'
    assert proxy.heads[0].startswith(b"POST http://model.example/v1?a=b HTTP/1.1\r\nhost: model.example\r\n")
    assert b"proxy-authorization: Basic " + base64.b64encode(b"us@er:password") + b"\r\n" in proxy.heads[0]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_https_goes_through_a_proxy_as_a_tunnel(authority: Authority, scheme: str) -> None:
    """The proxy, in the clear or in TLS, sees the host, and neither the request nor the key; one tunnel serves many."""
    server = Canned(body=b'"secret"')

    async def run() -> tuple[Reply, Relay]:
        async with serving(server, authority.server("localhost")) as target:
            relay = Relay(target)
            async with serving(relay, authority.server("localhost") if scheme == "https" else None) as port:
                environ = {"SSL_CERT_FILE": str(authority.file), "https_proxy": f"{scheme}://u:pass@localhost:{port}"}
                return await send("https://localhost:8443/v1", environ, times=3), relay

    reply, relay = asyncio.run(run())
    assert reply.body == b'"secret"'
    assert len(server.heads) == 3
    (head,) = relay.heads
    assert head.startswith(b"CONNECT localhost:8443 HTTP/1.1\r\nHost: localhost:8443\r\n")
    assert b"Proxy-Authorization: Basic " in head
    assert KEY.encode() not in head + relay.passed
    assert b"proxy-authorization" not in server.heads[0].lower()


@pytest.mark.parametrize(
    ("answer", "fault", "said"),
    [
        (
            b"HTTP/1.1 407 Authenticate\r\nContent-Length: 3\r\n\r\nno!",
            CallFault.CREDENTIALS,
            "Check user and password",
        ),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", CallFault.REFUSED_REQUEST, "what the proxy allows"),
        (b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n", CallFault.REFUSED_REQUEST, "answered 302"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>", CallFault.CONNECTION, "it does not reach it"),
        (b"", CallFault.CONNECTION, "closed the connection without an answer"),
        (b"\x05\x00", CallFault.BAD_ANSWER, "no HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\n", CallFault.CONNECTION, "during the TLS handshake"),
    ],
)
def test_a_proxy_that_refuses_is_named_with_what_to_check(answer: bytes, fault: CallFault, said: str) -> None:
    """Its password is shown in no form."""

    async def run() -> str:
        async with serving(saying(answer)) as port:
            proxies = {"HTTPS_PROXY": f"http://user:pa55word@127.0.0.1:{port}"}
            with pytest.raises(CallError) as caught:
                await send("https://model.example/v1", proxies, 1.0)
            assert caught.value.fault is fault
            if "TLS" not in said:
                assert f"the proxy 127.0.0.1:{port} (HTTPS_PROXY)" in str(caught.value)
            return str(caught.value)

    message = asyncio.run(run())
    assert said in message
    assert "pa55word" not in message


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there_is_named(scheme: str) -> None:
    """The address in the URL is not blamed for it."""
    environ = {f"{scheme.upper()}_PROXY": "127.0.0.1:9"}
    with pytest.raises(
        CallError, match=r"no connection to the proxy 127\.0\.0\.1:9 \(HTTPS?_PROXY\): connection refused"
    ):
        asyncio.run(send(f"{scheme}://model.example/v1", environ))


def test_a_proxy_that_repeats_its_password_does_not_get_it_shown() -> None:
    """Neither as it was written nor as it was sent."""
    said = b"user pa55word is " + base64.b64encode(b"user:pa55word")

    async def run() -> str:
        async with serving(Canned(status=403, body=said)) as port:
            with pytest.raises(CallError) as caught:
                await send("http://model.example/v1", {"HTTP_PROXY": f"http://user:pa55word@127.0.0.1:{port}"})
            assert caught.value.fault is CallFault.CREDENTIALS
            return str(caught.value)

    message = asyncio.run(run())
    assert "user *** is ***" in message


def test_a_proxy_that_asks_for_a_password_is_named() -> None:
    """Not the endpoint, which was never reached; nor a page of HTML."""

    async def run() -> str:
        async with serving(Canned(status=407, body=b"<!DOCTYPE html><html>no</html>")) as port:
            with pytest.raises(CallError) as caught:
                await send("http://model.example/v1", {"HTTP_PROXY": f"http://127.0.0.1:{port}"})
            assert caught.value.fault is CallFault.CREDENTIALS
            return str(caught.value)

    message = asyncio.run(run())
    assert "the proxy 127.0.0.1:" in message and "(HTTP_PROXY) asks for a user and password" in message
    assert "html" not in message


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (
            {"ALL_PROXY": "socks5://127.0.0.1:1080"},
            "ALL_PROXY: SOCKS proxies cannot be used. Name one that speaks HTTP",
        ),
        ({"https_proxy": "http://"}, "https_proxy: its value is no address of a proxy"),
        ({"HTTPS_PROXY": "http://pr0xysecret:port"}, "HTTPS_PROXY: its value is no address of a proxy"),
        ({"HTTPS_PROXY": "ftp://h:21"}, "HTTPS_PROXY: its value is no address of a proxy"),
    ],
)
def test_what_is_no_proxy_is_the_users_fault(environ: Mapping[str, str], said: str) -> None:
    """Told by the variable's name, without its value."""
    with pytest.raises(InputError) as caught:
        proxy_for(origin_of("https://model.example/v1"), environ)
    assert said in str(caught.value)
    assert "pr0xysecret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "exempt", "is_direct"),
    [
        ("https://model.example", "", False),
        ("https://model.example", "model.example", True),
        ("https://MODEL.example", " other , Model.Example ", True),
        ("https://eu.model.example", "model.example", True),
        ("https://eu.model.example", ".model.example", True),
        ("https://eu.model.example", "*.model.example", True),
        ("https://supermodel.example", "model.example", False),
        ("https://model.example", "*", True),
        ("https://model.example:8443", "model.example:8443", True),
        ("https://model.example", "model.example:8443", False),
        ("https://10.1.2.3", "10.0.0.0/8", True),
        ("https://11.1.2.3", "10.0.0.0/8", False),
        ("https://model.example", "10.0.0.0/8", False),
        ("https://10.1.2.3", "10.1.2.3", True),
        ("https://[fd00::1]", "fd00::1", True),
        ("https://[fd00::1]", "fd00::/8", True),
        ("https://[fd00::1]:8443", "[fd00::1]:8443", True),
        ("https://[fd00::1]", "fd00::2", False),
    ],
)
def test_no_proxy_names_who_is_reached_directly(url: str, exempt: str, is_direct: bool) -> None:
    """Hosts, domains, ports, addresses, networks, everybody; never a name that only ends alike."""
    proxy = proxy_for(origin_of(url), {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": exempt})
    assert (proxy is None) is is_direct


def test_the_proxy_is_chosen_by_the_servers_scheme() -> None:
    """The scheme's own variable before the general one, small letters before capitals, an empty one is none."""
    environ = {"HTTP_PROXY": "http://a:1", "all_proxy": "b:2", "https_proxy": " ", "http_proxy": "http://c"}
    plain, tls = (proxy_for(origin_of(f"{scheme}://model.example"), environ) for scheme in ("http", "https"))
    assert plain and (plain.host, plain.port, plain.variable) == ("c", 80, "http_proxy")
    assert tls and (tls.host, tls.port, tls.variable) == ("b", 2, "all_proxy")
    assert proxy_for(origin_of("http://model.example"), {"HTTPS_PROXY": "http://a:1"}) is None


def test_a_no_proxy_host_is_reached() -> None:
    """A proxy that does not exist is not asked."""

    async def run() -> Reply:
        async with serving(Canned(body=b"1")) as port:
            proxies = {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "localhost,127.0.0.1"}
            return await send(f"http://127.0.0.1:{port}/", proxies)

    assert asyncio.run(run()).body == b"1"


def test_an_ipv6_address_is_reached() -> None:
    """Brackets in the URL and in the host header, none where the system is asked."""
    server = Canned(body=b"6")

    async def run() -> Reply:
        async with serving(server, address="::1") as port:
            return await send(f"http://[::1]:{port}/", {})

    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    assert asyncio.run(run()).body == b"6"
    assert b"host: [::1]:" in server.heads[0]


def test_a_host_that_can_be_no_name_is_the_users_fault() -> None:
    """Found when the endpoint is opened."""
    for url in (f"http://{'a' * 64}.example/", "http://ä..example/"):
        with pytest.raises(InputError, match="host is no name"):
            asyncio.run(send(url, {}))
