"""The measured items. Each item: ``setup(adapter) -> (call, units, bytes, check)``.

``call()`` is what is timed; ``units`` is the number of rows/frames/operations one
call does, ``bytes`` the octets of wire data it handles (0: not meaningful);
``check(result)`` must raise if the library's result is wrong.
"""

from __future__ import annotations

import os
import subprocess
import sys

import corpus
from adapters.base import Adapter, NotSupported


def _same(got, want, what):
    if got != want:
        raise AssertionError(f"{what}: got {str(got)[:200]!r}, want {str(want)[:200]!r}")


def axdr_decode(value, data):
    def setup(a):
        raw = data()
        return (
            lambda: a.axdr_decode(raw),
            corpus.ROWS,
            len(raw),
            lambda r: _same(a.plain(r), corpus.plain(value()), "decode"),
        )

    return setup


def profile_rows(a):
    raw, want = corpus.uniform_bytes(), corpus.plain(corpus.uniform())

    def check(rows):
        _same(len(rows), corpus.ROWS, "rows")
        for i in (0, 1, 5000, 9999):
            t = want[i][0]
            _same(a.profile_row(rows, i), [(t[0] << 8 | t[1], t[2], t[3], t[5], t[6]), *want[i][1:]], f"row {i}")

    return lambda: a.profile_rows(raw), corpus.ROWS, len(raw), check


def axdr_encode(value, data):
    def setup(a):
        native = a.axdr_build(value())
        return (lambda: a.axdr_encode(native), corpus.ROWS, len(data()), lambda r: _same(r, data(), "encode"))

    return setup


def axdr_build_encode(value, data):
    def setup(a):
        v = value()
        a.axdr_build((corpus.ARRAY, []))
        return (
            lambda: a.axdr_encode(a.axdr_build(v)),
            corpus.ROWS,
            len(data()),
            lambda r: _same(r, data(), "build+encode"),
        )

    return setup


def _table_check(a, value):
    want = corpus.plain(value)

    def check(table):
        _same(len(table), corpus.ROWS, "rows")
        for i in (0, 1, 95, 96, 5000, 9999):
            minutes = 15 * i
            t = corpus.date_time(minutes)
            _same(a.table_row(table, i), [(t[0] << 8 | t[1], t[2], t[3], t[5], t[6]), *want[i][1:]], f"row {i}")

    return check


def profile_columns(value, data):
    def setup(a):
        if value is corpus.compressed and not a.fills_times:
            raise NotSupported("null times are not filled")
        raw = data()
        return lambda: a.profile_table(raw), corpus.ROWS, len(raw), _table_check(a, value())

    return setup


def hdlc_parse(size):
    def setup(a):
        stream, infos = corpus.hdlc_rx(size), corpus.infos(size)
        return (
            lambda: a.hdlc_parse(stream),
            len(infos),
            len(stream),
            lambda r: _same([bytes(x) for x in r], list(infos), "hdlc parse"),
        )

    return setup


def hdlc_build(size):
    def setup(a):
        infos, want = corpus.infos(size), corpus.hdlc_tx(size)
        return (lambda: a.hdlc_build(infos), len(infos), len(want), lambda r: _same(r, want, "hdlc build"))

    return setup


def _many(f, n):
    def call():
        for _ in range(n):
            r = f()
        return r

    return call


def get_request(a):
    return _many(a.get_request, 200), 200, 0, lambda r: _same(r, corpus.GET_REQUEST, "GET request")


def get_response(a):
    raw = corpus.GET_RESPONSE
    return (
        _many(lambda: a.get_response(raw), 200),
        200,
        0,
        lambda r: _same(a.plain(r), corpus.REGISTER_VALUE, "GET response"),
    )


def get_pair(a):
    raw = corpus.GET_RESPONSE
    req, resp = a.get_request, a.get_response

    def call():
        for _ in range(200):
            req()
            r = resp(raw)
        return r

    return call, 200, 0, lambda r: _same(a.plain(r), corpus.REGISTER_VALUE, "GET pair")


def protect(size):
    def setup(a):
        cipher, apdu = a.make_cipher(), corpus.apdu(size)
        first = a.protect(cipher, apdu, 1)
        want = corpus.protected_content(apdu, 1)
        if not first.endswith(want):
            raise AssertionError(f"protect: {first.hex()[:80]} want ...{want.hex()[:80]}")
        n = 1 if a.name == "gurux" else 50
        ic = iter(range(2, 10**9))
        return _many(lambda: a.protect(cipher, apdu, next(ic)), n), n, size * n, lambda r: None

    return setup


def unprotect(size):
    def setup(a):
        cipher, apdu = a.make_opener(), corpus.apdu(size)
        raw = getattr(corpus, a.envelope)(apdu, 7)
        n = 1 if a.name == "gurux" else 50
        return (_many(lambda: a.unprotect(cipher, raw), n), n, size * n, lambda r: _same(bytes(r), apdu, "unprotect"))

    return setup


def start_server(block=1024):
    here = os.path.dirname(os.path.abspath(__file__))
    p = subprocess.Popen(
        [sys.executable, os.path.join(here, "server.py"), "0", str(block)], stdout=subprocess.PIPE, text=True
    )
    return p, int(p.stdout.readline())


GETS = int(os.environ.get("BENCH_GETS", "2000"))


def tcp_get(a):
    if type(a).connect is Adapter.connect:
        a.connect(0)  # raises NotSupported
    server, port = start_server()
    tcp_get.cleanup = lambda: (a.close(client), server.kill())
    client = a.connect(port)
    return (
        lambda: a.read_registers(client, GETS),
        GETS,
        0,
        lambda r: _same(a.plain(r), corpus.REGISTER_VALUE, "tcp get"),
    )


def tcp_profile(a):
    if type(a).connect is Adapter.connect:
        a.connect(0)  # raises NotSupported
    server, port = start_server()
    tcp_get.cleanup = lambda: (a.close(client), server.kill())
    client = a.connect(port)
    return (
        lambda: a.read_profile(client),
        corpus.ROWS,
        len(corpus.uniform_bytes()),
        lambda r: _same(a.plain(r), corpus.plain(corpus.uniform()), "tcp profile"),
    )


def tcp_profile_table(a):
    if type(a).read_table is Adapter.read_table:
        a.read_table(None)  # raises NotSupported
    server, port = start_server()
    tcp_get.cleanup = lambda: (a.close(client), server.kill())
    client = a.connect(port)

    def check(table):
        if isinstance(table, bytes):  # no library
            return _same(table, corpus.uniform_bytes(), "blocks")
        return _table_check(a, corpus.uniform())(table)

    return lambda: a.read_table(client), corpus.ROWS, len(corpus.uniform_bytes()), check


ITEMS = {
    "axdr_decode_uniform": axdr_decode(corpus.uniform, corpus.uniform_bytes),
    "axdr_decode_mixed": axdr_decode(corpus.mixed, corpus.mixed_bytes),
    "profile_rows": profile_rows,
    "profile_columns": profile_columns(corpus.uniform, corpus.uniform_bytes),
    "profile_columns_compressed": profile_columns(corpus.compressed, corpus.compressed_bytes),
    "axdr_encode_uniform": axdr_encode(corpus.uniform, corpus.uniform_bytes),
    "axdr_encode_mixed": axdr_encode(corpus.mixed, corpus.mixed_bytes),
    "axdr_build_encode_uniform": axdr_build_encode(corpus.uniform, corpus.uniform_bytes),
    "hdlc_parse_128": hdlc_parse(128),
    "hdlc_parse_2030": hdlc_parse(2030),
    "hdlc_build_128": hdlc_build(128),
    "hdlc_build_2030": hdlc_build(2030),
    "get_request": get_request,
    "get_response": get_response,
    "get_pair": get_pair,
    "protect_200": protect(200),
    "protect_4000": protect(4000),
    "unprotect_200": unprotect(200),
    "unprotect_4000": unprotect(4000),
    "tcp_get": tcp_get,
    "tcp_profile": tcp_profile,
    "tcp_profile_table": tcp_profile_table,
}
