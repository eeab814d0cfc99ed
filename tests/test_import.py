"""What ``import cosemic`` costs, and what it offers. Fresh interpreters, as what is loaded is the point."""

import subprocess
import sys

import pytest

import cosemic


def _loaded_after(code: str) -> set[str]:
    program = f"{code}\nimport sys\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_loads_neither_asyncio_nor_cryptography() -> None:
    loaded = _loaded_after("import cosemic")
    assert "cosemic" in loaded
    assert not loaded & {"asyncio", "cryptography", "serialx", "sqlite3", "pyarrow", "pandas", "socket", "ssl"}
    assert {name for name in loaded if name.startswith("cosemic")} == {"cosemic"}


@pytest.mark.parametrize(
    "use", ["ObisCode.parse('1.0.1.8.0.255')", "axdr.decode(b'\\x00')", "decode_apdu", "HdlcFrame"]
)
def test_decoding_needs_neither_asyncio_nor_cryptography(use: str) -> None:
    assert not _loaded_after(f"import cosemic\ncosemic.{use}") & {"asyncio", "cryptography", "serialx", "socket"}


def test_a_class_is_read_when_it_is_asked_for() -> None:
    loaded = _loaded_after("from cosemic.cosem.model import interface_class")
    assert not {name for name in loaded if name.startswith("cosemic.cosem.classes")}
    loaded = _loaded_after("from cosemic.cosem.model import interface_class\ninterface_class(3)")
    assert {name for name in loaded if name.startswith("cosemic.")} <= {
        "cosemic.enums",
        "cosemic.units",
        "cosemic.cosem",
        "cosemic.cosem.model",
        "cosemic.cosem.notation",
    } | {name for name in loaded if name.startswith("cosemic.cosem.classes")}


def test_the_blocking_client_needs_no_asyncio() -> None:
    loaded = _loaded_after("from cosemic import blocking\nblocking.DlmsClient('tcp://meter')")
    assert not loaded & {"asyncio", "cryptography", "serialx"}


@pytest.mark.parametrize("name", cosemic.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(cosemic, name) is not None
    assert name in dir(cosemic)


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        cosemic.Nonsense  # noqa: B018


def test_names_stay_the_same_objects() -> None:
    from cosemic.client import DlmsClient

    assert cosemic.DlmsClient is DlmsClient is cosemic.DlmsClient
    assert cosemic.axdr is sys.modules["cosemic.codec.axdr"]


@pytest.mark.parametrize("module", ["link.wrapper", "apdu.base", "security.context", "protocol.session", "client"])
def test_logging_is_silent_until_it_is_asked_for(module: str) -> None:
    program = f"import cosemic.{module}, logging\nlogging.getLogger('cosemic.{module.split('.')[0]}').warning('heard')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
