"""The interface every library is measured through.

Only the bodies of these methods are timed; keep them to what a user of the
library would call. Everything a method needs (keys, settings, objects that a
user creates once) is prepared in ``__init__`` or in the ``make_*`` method.
"""

from __future__ import annotations


class NotSupported(Exception):
    """The library has no such function (the message says what is missing)."""


class Adapter:
    name = "?"
    #: pip distribution names whose versions are reported
    distributions: tuple[str, ...] = ()
    #: the statement a user writes to get the client (item g)
    import_statement = ""
    #: free text for the report: what exactly is called, deviations
    notes: dict[str, str] = {}

    # (a) A-XDR decode -----------------------------------------------------------
    def axdr_decode(self, data: bytes):
        raise NotSupported("A-XDR decode")

    def plain(self, decoded):
        """Not timed: the library's result as nested lists of int/bytes/str/bool/None."""
        raise NotSupported

    # (a2) profile rows with the timestamp column as date-time objects ------------
    def profile_rows(self, data: bytes):
        """Rows of the profile buffer through the library's profile-level function:
        columns clock, data, 4 x register; the clock column as its date-time type."""
        raise NotSupported("profile level")

    def profile_row(self, rows, i):
        """Not timed: row i as [(year, month, day, hour, minute), status, v1, v2, v3, v4]."""
        raise NotSupported

    #: whether ``profile_rows`` gives a row without a time the time of the row before plus the period
    fills_times = True

    # (a3) the same as a table, in whatever form the library has for it -----------
    def profile_table(self, data: bytes):
        """Profile buffer to columns with UTC times and scaled values, or to the rows of ``profile_rows``."""
        return self.profile_rows(data)

    def table_row(self, table, i):
        """Not timed: as ``profile_row``."""
        return self.profile_row(table, i)

    # (b) A-XDR encode -----------------------------------------------------------
    def axdr_build(self, value):
        """The library's value tree for ``(tag, value)`` pairs of corpus.py."""
        raise NotSupported("A-XDR encode")

    def axdr_encode(self, native) -> bytes:
        raise NotSupported("A-XDR encode")

    # (c) HDLC -------------------------------------------------------------------
    def hdlc_parse(self, stream: bytes) -> list[bytes]:
        """Information fields of all I-frames of ``stream``, HCS and FCS verified."""
        raise NotSupported("HDLC parse")

    def hdlc_build(self, infos) -> bytes:
        """I-frames client 16 -> server 1, control corpus.control(i), not segmented."""
        raise NotSupported("HDLC build")

    # (d) xDLMS ------------------------------------------------------------------
    def get_request(self) -> bytes:
        """GET-request-normal of corpus.REGISTER from class id, OBIS and attribute."""
        raise NotSupported("GET request")

    def get_response(self, apdu: bytes):
        """The Python value of a GET-response-normal APDU."""
        raise NotSupported("GET response")

    # (e) ciphering, suite 0, SC=0x30 ----------------------------------------------
    def make_cipher(self):
        raise NotSupported("ciphering")

    def make_opener(self):
        return self.make_cipher()

    def protect(self, cipher, apdu: bytes, ic: int) -> bytes:
        raise NotSupported("ciphering")

    def unprotect(self, cipher, ciphered: bytes) -> bytes:
        raise NotSupported("ciphering")

    #: which corpus function makes the input of unprotect ("glo" or "general_glo")
    envelope = "glo"

    # (f) end to end ---------------------------------------------------------------
    def connect(self, port: int):
        """Connected and associated client (wrapper over TCP to 127.0.0.1, no security)."""
        raise NotSupported("TCP client with the wrapper")

    def read_register(self, client):
        raise NotSupported("client")

    def read_registers(self, client, count):
        for _ in range(count):
            value = self.read_register(client)
        return value

    def read_profile(self, client):
        """All rows of the profile by block transfer, decoded (see ``plain``)."""
        raise NotSupported("client")

    def read_table(self, client):
        """The profile by block transfer, as ``profile_table`` gives it."""
        raise NotSupported("profile level over TCP")

    def close(self, client) -> None:
        raise NotSupported("client")
