"""simulate: a meter to try things on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from cosemic.cli.options import OutputOptions


def simulate(
    *,
    host: str = "127.0.0.1",
    wrapper_port: int | None = None,
    hdlc_port: int | None = None,
    udp_port: int | None = None,
    behind: Annotated[list[str] | None, Parameter(name="--behind", negative="")] = None,
    profile_rows: int | None = None,
    write_keys: Path | None = None,
    model: Path | None = None,
    push_to: str | None = None,
    push_every: int | None = None,
    push_protection: str | None = None,
    push_pdu_size: int | None = None,
    push_shape: str | None = None,
    meters: int | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Run a simulated meter until Ctrl-C.

    Prints {"wrapper_port": N, "hdlc_port": N} when it is ready. On logical
    device 1 it lets in
      --client 16    without security
      --client 32    --auth lls --password 00000000
      --client 1     --auth gmac --ek 000102030405060708090A0B0C0D0E0F
                     --ak D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF
      --client 4     --auth ecdsa, suite 1, with the keys of --write-keys
      --client 5     --auth ecdsa, suite 2, with the keys of --write-keys
    and, with --referencing sn, clients 18, 34 and 3 in the first three ways. What
    client 102 sends to all stations (--broadcast --server 127) is carried out too.
    All these keys are known to everybody: never use them in a real meter.

    --write-keys puts the keys of clients 1, 4 and 5 into a folder, each in a
    file, and a file of named meters beside them: public, reader, manager,
    suite1, suite2; with -hdlc (manager-hdlc) over HDLC, with -sn (public-sn,
    reader-sn, manager-sn) by short names. Use them with COSEMIC_METERS.

    With --push-to it pushes by itself: the object list, the time, names, energies
    and powers, every ten seconds. Without it a client that may write the push setup
    0-0:25.9.0 says what is pushed, and where to.

    For example:
      cosemic simulate
      cosemic simulate --push-to tcp://127.0.0.1:4059 --push-every 60
      cosemic simulate --push-to udp://127.0.0.1:4059 --meters 100
      cosemic simulate --write-keys demo-keys
      COSEMIC_METERS=demo-keys/meters.toml cosemic read suite1 1-0:1.8.0
      cosemic simulate --wrapper-port 0 --hdlc-port 0 --profile-rows 1000

    Parameters
    ----------
    host
        Address to listen on; 0.0.0.0 opens the meter to the network.
    wrapper_port
        TCP port for the wrapper; 0 takes any free one. [default: 4059, or a free one
        where pushes go to that port of this machine]
    hdlc_port
        TCP port for HDLC; 0 takes any free one. [default: 4060, likewise]
    udp_port
        UDP port for the wrapper; 0 takes any free one. [default: no UDP]
    behind
        Be the gateway of another meter with this physical address, in network 0;
        may be repeated.
    profile_rows
        Rows in the load profile.
    write_keys
        Folder for the keys of the simulated meter and a file of named meters.
    model
        Be the meter of this file (see 'cosemic model') instead of the demo meter.
    push_to
        Push to this address: tcp://, udp:// (wrapper), hdlc:// or mbus-tcp:// and
        HOST:PORT.
    push_every
        Seconds between pushes: a number that divides a minute, or so many minutes
        that divide an hour, or hours that divide a day. [default: 10]
    push_protection
        none, authenticated, encrypted or authenticated-encrypted, with the keys of
        client 1. [default: none]
    push_pdu_size
        Cut pushes that are longer than this into general blocks. [default: whole]
    push_shape
        values: by the standard. flat: OBIS code and value in turn. pairs: structures
        of OBIS code, value, scaler and unit. [default: values]
    meters
        So many meters push, each with names and a system title of its own; only the
        first one is served. [default: 1]
    """
    from cosemic.cli.simulated_pushes import PushWishes, own_port
    from cosemic.cli.simulating import simulate_meter

    verbose = (output or OutputOptions()).verbose
    wrapper = own_port(4059, push_to) if wrapper_port is None else wrapper_port
    hdlc = own_port(4060, push_to) if hdlc_port is None else hdlc_port
    return simulate_meter(
        host, wrapper, hdlc, profile_rows, write_keys, model, udp_port=udp_port, behind=behind or (),
        pushes=PushWishes(push_to, push_every, push_protection, push_pdu_size, meters, push_shape), verbose=verbose,
    )  # fmt: skip
