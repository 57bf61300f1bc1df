"""A store's URL names one place, and what it holds besides never shows."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalgate.errors import InputError
from evalgate.history.place import Place


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///a/history.db", "a/history.db"),
        ("sqlite:////a/history.db", "/a/history.db"),
        ("sqlite:////a%20b/user@host:1/#1.db", "/a b/user@host:1/#1.db"),
        ("sqlite://", None),
        ("sqlite:///", None),
        ("sqlite:///:memory:", None),
    ],
)
def test_a_path_is_read_as_it_was_written(url: str, file: str | None) -> None:
    """Three slashes before a relative path, four before an absolute one, none in memory."""
    place = Place(url)
    assert (place.is_sqlite, place.options) == (True, {})
    assert str(place.file) == file if file else place.file is None
    assert str(place) == (url if file else "the store in memory")


@pytest.mark.parametrize(
    ("url", "name", "options"),
    [
        ("postgresql://h", "postgresql://h", "host=h"),
        ("postgresql://h:/d", "postgresql://h/d", "host=h dbname=d"),
        ("postgres:///d", "postgresql:///d", "dbname=d"),
        ("postgresql+psycopg://u@h/d", "postgresql://u@h/d", "host=h user=u dbname=d"),
        (
            "postgresql://u%40a:p%40s%2F@h:5432/d%2Bb?sslmode=require&options=-csearch_path%3Dx",
            "postgresql://u%40a:***@h:5432/d+b",
            "host=h port=5432 user=u@a password=p@s/ dbname=d+b sslmode=require options=-csearch_path=x",
        ),
        ("postgresql://u:p/q@h/d", "postgresql://u:***@h/d", "host=h user=u password=p/q dbname=d"),
        ("postgresql://u:@[::1]:5/d", "postgresql://u:***@[::1]:5/d", "host=::1 port=5 user=u dbname=d"),
        ("postgresql://u@/d?host=/tmp&password=x", "postgresql://u@/d", "user=u dbname=d host=/tmp password=x"),
        ("postgresql:///d?host=a:1&host=b:2", "postgresql:///d", "dbname=d host=a,b port=1,2"),
    ],
)
def test_a_server_is_named_without_its_password(url: str, name: str, options: str) -> None:
    """The driver is told everything, in libpq's words; messages show host, user and database."""
    place = Place(url)
    told = {f"{option}={value}" for option, value in place.options.items()}
    assert (place.is_sqlite, place.file, place.name, told) == (False, None, name, set(options.split()))


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_any_user_password_and_database_can_be_written(user: str, password: str, database: str) -> None:
    """Percent-encoded, each character means itself; the password is in no name and no message."""
    secret = f"<{password}>"
    given = [quote(part, safe="", errors="surrogatepass") for part in (user, secret, database)]
    place = Place("postgresql://{}:{}@h/{}".format(*given))
    expected = [part.encode(errors="surrogatepass").decode(errors="replace") for part in (user, secret, database)]
    assert expected == [place.options[name] for name in ("user", "password", "dbname")]
    assert place.name.startswith("postgresql://") and ":***@h/" in place.name
    assert "".join(c for c in place.name if not c.isprintable()) == ""
    assert place.hide(f"no {place.options['password']} here") == "no *** here"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:/history.db", "is no URL of a store"),
        ("sqlite://:1/history.db", "three slashes"),
        ("sqlite://user@/history.db", "three slashes"),
        ("sqlite:///a?b", "options are not taken"),
        ("postgresql://u:hunter2@x@h/d", "is no URL of a store"),
        ("postgresql://[::1]hunter2/d", "is no URL of a store"),
        ("postgresql+asyncpg://u:hunter2@h/d", r'no store of kind "postgresql\+asyncpg"'),
    ],
)
def test_what_could_mean_two_things_is_refused(url: str, message: str) -> None:
    """Half a password is not taken for a host, nor half a path for a file."""
    with pytest.raises(InputError, match=message) as caught:
        Place(url)
    assert "hunter2" not in str(caught.value)
