"""The guard around a tiny application, asked as ASGI servers ask."""

import asyncio
import re

import pytest

from colorjax.web.guard import Guard

HOST = "127.0.0.1:7860"
LEAKY = {"Access-Control-Allow-Origin": "http://localhost:3000", "access-control-max-age": "9"}
PATHS = ("/", "/upload", "/queue/data", "/file=/etc/hostname", "//example.org", "/%2e%2e/x", "*")


class Application:
    """Records what reaches it, and answers as it is told."""

    def __init__(self, status=200):
        self.status, self.reached = status, []

    async def __call__(self, scope, receive, send):
        self.reached.append(scope)
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            return
        headers = [(name.encode(), value.encode()) for name, value in LEAKY.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        for part in (b"the file /tmp/secret", b" is missing"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body"})


def ask(guard, path="/", *headers, method="GET", query="", type="http", cookie=True, host=HOST):
    """Return what a guard sends: status, headers, body; of a WebSocket the type of the first message."""
    sent = []

    async def send(message):
        sent.append(message)

    given = [("host", host), *headers] if host else list(headers)
    if cookie:
        given.append(("cookie", f"other=1; {guard.cookie.decode()}={guard.secret}; last=2"))
    scope = {
        "type": type,
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in given],
    }
    asyncio.run(guard(scope, None, send))
    if type == "websocket":
        return sent[0]["type"]
    start, *bodies = sent
    body = b"".join(each.get("body", b"") for each in bodies)
    return start["status"], {k.decode(): v.decode() for k, v in start["headers"]}, body.decode()


@pytest.fixture
def application():
    return Application()


@pytest.fixture
def guard(application):
    return Guard(application, 7860, headers={"Content-Security-Policy": "default-src 'self'"})


@pytest.mark.req("APP-009")
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "OPTIONS"])
def test_without_the_secret_nothing_gets_in(guard, application, path, method):
    name, secret = guard.cookie.decode(), guard.secret
    wrong = ["", f"{name}=", f"{name}={secret[:-1]}", f"{name}={secret}x", f"x={secret}"]
    wrong += [f"{name}=é", f"{name}-1={secret}", '"', ";;==", f'{name}="{secret}"']
    for cookie in wrong:
        status, _, body = ask(guard, path, ("cookie", cookie), method=method, cookie=False)
        assert status == 403
        assert "\n" not in body
    for query in ("token=", f"token={secret}x", f"Token={secret}", "token=%ff%00", secret):
        assert ask(guard, path, method=method, query=query, cookie=False)[0] == 403
    if (method, path) != ("GET", "/"):
        assert ask(guard, path, method=method, query=f"token={secret}", cookie=False)[0] == 403
    assert application.reached == []


@pytest.mark.req("APP-009")
def test_the_token_becomes_a_cookie(guard, application):
    query = f"a=b&token={guard.secret}"
    status, headers, body = ask(guard, query=query, cookie=False)
    assert (status, headers["location"], body) == (303, "/", "")
    cookie, *attributes = headers["set-cookie"].split("; ")
    assert set(attributes) == {"HttpOnly", "SameSite=Strict", "Path=/"}
    assert cookie == f"colorjax-7860={guard.secret}"
    assert len(guard.secret) >= 43  # 256 bits in base 64
    assert Guard(application, 7860).secret != guard.secret
    assert application.reached == []
    assert ask(guard, "/", ("cookie", cookie), cookie=False)[0] == 200


@pytest.mark.req("APP-014")
def test_a_ticket_is_taken_once(guard, application):
    tickets = [guard.ticket(), guard.ticket()]
    assert len({guard.secret, *tickets}) == 3
    for ticket in tickets:
        query = f"token={ticket}"
        assert ask(guard, host="example.org", query=query, cookie=False)[0] == 403
        assert ask(guard, query=query, cookie=False)[0] == 303
        assert ask(guard, query=query, cookie=False)[0] == 403
        cookie = ("cookie", f"{guard.cookie.decode()}={ticket}")
        assert ask(guard, "/", cookie, cookie=False)[0] == 403
    assert application.reached == []
    assert ask(guard, query=f"token={tickets[0]}")[0] == 200  # the browser asks again


@pytest.mark.req("APP-009", "APP-010")
def test_websockets_need_the_secret_too(guard, application):
    assert ask(guard, "/live", type="websocket", cookie=False) == "websocket.close"
    query = f"token={guard.secret}"
    assert ask(guard, "/", type="websocket", cookie=False, query=query) == "websocket.close"
    foreign = ("origin", "http://127.0.0.1:3000")
    assert ask(guard, "/live", foreign, type="websocket") == "websocket.close"
    assert application.reached == []
    own = ("origin", f"http://{HOST}")
    assert ask(guard, "/live", own, type="websocket") == "websocket.accept"


@pytest.mark.req("APP-010")
@pytest.mark.parametrize("query", ["", "token"])
def test_other_hosts_are_refused(guard, application, query):
    query = query and f"token={guard.secret}"
    hosts = ["example.org", "example.org:7860", "127.0.0.1", "127.0.0.1:80", "localhost:7861"]
    hosts += ["127.0.0.1:7860.example.org", "127.0.0.2:7860", "[::1]:7860", "", None, "é"]
    for host in hosts:
        assert ask(guard, host=host, query=query)[0] == 403
    assert ask(guard, "/", ("host", HOST), query=query)[0] == 403  # twice
    assert application.reached == []
    for host in (HOST, "localhost:7860"):
        assert ask(guard, host=host)[0] == 200


@pytest.mark.req("APP-010")
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_other_origins_are_refused(guard, application, method):
    for origin in (
        "http://localhost:3000",
        "http://127.0.0.1:3000",
        "http://127.0.0.1",
        "https://127.0.0.1:7860",
        "http://localhost:7860",  # the page was opened by its other name
        "http://example.org",
        "http://127.0.0.1:7860.example.org",
        "null",
        "",
    ):
        asked = ("origin", origin), ("access-control-request-method", "POST")
        assert ask(guard, "/upload", *asked, method=method)[0] == 403
        assert ask(guard, "/", *asked, query=f"token={guard.secret}")[0] == 403
    for site in ("cross-site", "same-site"):
        assert ask(guard, "/upload", ("sec-fetch-site", site), method=method)[0] == 403
    assert application.reached == []
    assert ask(guard, "/upload", ("origin", f"http://{HOST}"), method=method)[0] == 200
    assert ask(guard, "/upload", ("sec-fetch-site", "same-origin"), method=method)[0] == 200
    # a link in another page may open the page, which then has the cookie
    link = ("sec-fetch-site", "cross-site")
    assert ask(guard, "/", link, query=f"token={guard.secret}", cookie=False)[0] == 303


@pytest.mark.req("APP-011")
@pytest.mark.parametrize("status", [200, 404, 500])
def test_no_leave_for_other_origins(guard, application, status):
    application.status = status
    answers = [ask(guard), ask(guard, cookie=False)]
    answers.append(ask(guard, query=f"token={guard.secret}"))
    for _, headers, _ in answers:
        assert not [name for name in headers if name.lower().startswith("access-control")]
        assert headers["content-security-policy"] == "default-src 'self'"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"


@pytest.mark.req("APP-011")
@pytest.mark.parametrize("status", [400, 404, 422, 500, 599])
def test_errors_tell_no_path(guard, application, status):
    application.status = status
    found, headers, body = ask(guard)
    assert found == status
    assert re.fullmatch(r'\{"detail": "[A-Za-z ]+"\}', body)
    assert headers["content-length"] == str(len(body))


@pytest.mark.req("APP-011")
def test_what_a_proxy_says_is_dropped(guard, application):
    said = [("forwarded", "host=example.org"), ("x-forwarded-host", "example.org")]
    said += [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-for", "8.8.8.8"),
        ("x-real-ip", "8.8.8.8"),
    ]
    ask(guard, "/", *said, ("accept", "*/*"))
    (scope,) = application.reached
    assert [name for name, _ in scope["headers"]] == [b"host", b"accept", b"cookie"]


@pytest.mark.req("APP-009")
def test_start_and_end_of_the_server_are_let_through():
    reached = []

    async def application(scope, receive, send):
        reached.append(scope["type"])

    asyncio.run(Guard(application, 7860)({"type": "lifespan"}, None, None))
    assert reached == ["lifespan"]
