"""Long profiles from a meter into a table: by blocks, protected, in general blocks, with short names, both clients."""

from __future__ import annotations

import pytest

from cosemic import DlmsClient, blocking
from cosemic.codec import decoding
from cosemic.cosem import profile as profile_module
from cosemic.meter.server import running
from tests.e2e.conftest import CREDENTIALS, MOMENT, make_meter, url_of

pyarrow = pytest.importorskip("pyarrow")
pytest.importorskip("numpy")

PROFILE = "1-0:99.1.0"
ROWS = 2000


@pytest.fixture(scope="module")
def ports():
    with running(make_meter(ROWS)) as served:
        yield served


@pytest.fixture(scope="module")
def expected(ports):
    """The table by the plain way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profile_module, "_WORTH_COLUMNS", 1 << 40)
        with blocking.DlmsClient(url_of(ports, "wrapper"), server_sap=1, **CREDENTIALS["lls"]()) as client:
            profile = client.read_profile(PROFILE)
    assert profile._vectors is None
    assert len(profile) == ROWS
    return profile.to_arrow()


@pytest.fixture
def no_rows(monkeypatch):
    """Whoever decodes a long array row by row fails."""

    def decode_rows(*_):
        raise AssertionError("rows were decoded")

    monkeypatch.setattr(decoding, "decode_rows", decode_rows)


@pytest.mark.parametrize("credentials", ["lls", "gmac"])
@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
def test_a_profile_in_blocks_becomes_columns(ports, expected, credentials, framing, no_rows):
    with blocking.DlmsClient(url_of(ports, framing), server_sap=1, **CREDENTIALS[credentials]()) as client:
        profile = client.read_profile(PROFILE)
    assert profile._vectors is not None
    table = profile.to_arrow()
    assert table.equals(expected, check_metadata=True)
    assert table.column(0).to_pylist()[-1] == MOMENT
    assert profile.completeness == 1.0


async def test_by_the_asyncio_client(ports, expected, no_rows):
    async with DlmsClient(url_of(ports, "wrapper"), server_sap=1, **CREDENTIALS["lls"]()) as client:
        profile = await client.read_profile(PROFILE, last=1500)
    assert profile.to_arrow().equals(expected.slice(ROWS - 1500), check_metadata=True)


@pytest.mark.parametrize(
    ("credentials", "options"),  # short names have client SAPs of their own
    [
        ("lls", {"block_transfer_window": 0}),
        ("lls", {"block_transfer_window": 8}),
        ("lls", {"referencing": "sn", "client_sap": 34}),
        ("lls", {"max_pdu_size": 500}),
    ],
)
def test_by_other_services(ports, expected, credentials, options):
    options = {**CREDENTIALS[credentials](), **options}
    with blocking.DlmsClient(url_of(ports, "wrapper"), server_sap=1, **options) as client:
        profile = client.read_profile(PROFILE)
    assert profile._vectors is not None
    assert profile.to_arrow().equals(expected, check_metadata=True)
