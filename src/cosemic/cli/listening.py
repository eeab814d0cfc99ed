"""The command listen: listener, outputs and signals put together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cosemic.cli.failing import CommandError
from cosemic.cli.listening_told import Budget, Told
from cosemic.cli.options import OutputOptions, show_log
from cosemic.cli.parsing import key_octets, password_octets, read_secret
from cosemic.delivery.options import DeliveryOptions, outputs_from, pipeline_from
from cosemic.delivery.outputs import OutputClosed
from cosemic.delivery.spool import SpoolError
from cosemic.errors import SecurityError
from cosemic.push.decoder import Interpreter
from cosemic.push.listening.counter_file import CounterFile
from cosemic.push.listening.inventory import Inventory, InventoryError
from cosemic.push.listening.inventory_file import zone_of
from cosemic.push.listening.limits import Limits
from cosemic.push.listening.listener import PushListener, Received
from cosemic.push.listening.urls import SourceUrl, parse_source
from cosemic.push.meaning.layout import LayoutError
from cosemic.push.meaning.layouts import layout as named_layout
from cosemic.push.messages import Push, Undecoded
from cosemic.push.meters import KnownMeter, KnownMeters, OneMeter
from cosemic.push.protection.keys import MeterKeys, PushKeys, UnusableKey
from cosemic.push.telegrams import Dropped

if TYPE_CHECKING:
    from cosemic.captures.recording import RecordingWriter
    from cosemic.cli.commands.listen import DeliverySettings, KeyOptions, LimitOptions
    from cosemic.delivery.pipeline import Pipeline


_UNDECODED_A_MINUTE = 1_000
"""What cannot be decoded anybody can send: it is not to push readings out of a spool."""


def listen_to(
    urls: Sequence[str],
    keys: KeyOptions,
    delivery: DeliverySettings,
    limits: LimitOptions,
    output: OutputOptions,
) -> int:
    """Run the command; the exit code."""
    if not urls:
        raise CommandError(
            "listen to what? Give a source, such as 'serial:///dev/ttyUSB0?baud=2400&parity=even', "
            "tcp://0.0.0.0:4059 or a file"
        )
    for url in urls:
        if url.startswith("-") and url != "-":
            raise CommandError(f"Unknown option: {url.partition('=')[0]}. See 'cosemic listen --help'.")
    if limits.count is not None and limits.count < 1:
        raise CommandError(f"--count is a number above 0, not {limits.count}")
    if limits.seconds is not None and not 0 < limits.seconds < 1e9:
        raise CommandError(f"--seconds is a number above 0, not {limits.seconds:g}")
    inventory = None
    with contextlib.ExitStack() as stack:
        try:
            bounds = Limits(connections=limits.max_connections, connections_per_address=limits.max_per_address)
            sources = [parse_source(url) for url in urls]
            if keys.inventory is not None:
                inventory = Inventory.load(keys.inventory)
            options = _delivery_options(delivery, output)
            interpreter = _interpreter(keys, inventory, _counters(sources, delivery, stack))
        except ValueError as error:  # of limits, inventory, keys, layout, zone; each says what to do
            raise CommandError(str(error)) from None
        if output.verbose:
            show_log(output.verbose)
        stack.enter_context(_more_files(bounds.connections))
        return asyncio.run(_run(urls, interpreter, inventory, options, delivery, limits, bounds, output))


async def _run(
    urls: Sequence[str],
    interpreter: Interpreter,
    inventory: Inventory | None,
    options: DeliveryOptions,
    delivery: DeliverySettings,
    limits: LimitOptions,
    bounds: Limits,
    output: OutputOptions,
) -> int:
    told = Told(has_inventory=inventory is not None)
    recorder = _Recorder(delivery, told)
    try:
        listener = PushListener(
            *urls,
            interpreter=interpreter,
            limits=bounds,
            on_octets=recorder.on_octets,
            confirms=options.spool is None,
        )
        outputs = outputs_from(options)
    except ValueError as error:
        raise CommandError(str(error)) from None
    told.watch(listener.urls)
    with contextlib.ExitStack() as stack, _warnings(told, output):
        recorder.open(stack)
        try:
            async with pipeline_from(options, outputs) as pipeline, listener:
                stack.enter_context(_signals(listener, inventory, told))  # who reads the next line may send one
                told.say(_opened(listener))
                code = await _deliver(listener, pipeline, limits, told)
        except OutputClosed as error:
            told.say(str(error))
            return 0
    told.summary(listener.statistics)
    return 1 if any(pipeline.statistics[name].lost for name in pipeline.statistics) else code


async def _deliver(listener: PushListener, pipeline: Pipeline, limits: LimitOptions, told: Told) -> int:
    """From the listener to the outputs, until one of them ends it."""
    loop = asyncio.get_running_loop()
    is_over = False

    def over() -> None:
        nonlocal is_over
        is_over = True
        listener.stop()

    timer = None if limits.seconds is None else loop.call_later(limits.seconds, over)
    good = 0
    budget = Budget(_UNDECODED_A_MINUTE)
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(_repeat(told.look))
        try:
            while (received := await listener.next()) is not None:
                told.heard(received)
                if isinstance(received.item, Dropped) or (isinstance(received.item, Undecoded) and not budget.allows()):
                    continue
                if received.confirmer is None:
                    await pipeline.put(received)
                else:
                    tasks.create_task(_keep(received, pipeline))
                    await asyncio.sleep(0)  # it is in the queue before the next one is
                if isinstance(received.item, Push):
                    good += 1
                    if good == limits.count:
                        listener.stop()
                        break
        finally:
            watching.cancel()
            if timer is not None:
                timer.cancel()
    if budget.kept_back:
        told.say(f"{budget.kept_back} messages that could not be decoded were not handed on")
    if good or told.is_interrupted:
        return 0
    told.nothing(f"within {limits.seconds:g} s" if is_over else "")
    return 1


async def _keep(received: Received, pipeline: Pipeline) -> None:
    """Confirm a push once it is safe in the spool; a meter that hears nothing sends it again."""
    try:
        await pipeline.store(received)
    except SpoolError:  # the pipeline tells of it
        return
    received.confirm()


async def _repeat(step: Callable[[], object]) -> None:
    while True:
        await asyncio.sleep(1.0)
        step()


# -- what the options mean --------------------------------------------------------------------------------------------
def _opened(listener: PushListener) -> str:
    """What is listened on, and what is read to its end."""
    names = {"stdin" if url.path == "-" else url.path for url in listener.urls if url.path}
    files = [place for place in listener.places if place in names]
    places = [place for place in listener.places if place not in names]
    parts = (("listening on", places), ("reading", files))
    return "; ".join(f"{what} {', '.join(which)}" for what, which in parts if which)


def _counters(
    sources: Sequence[SourceUrl], delivery: DeliverySettings, stack: contextlib.ExitStack
) -> CounterFile | None:
    """The counters that were accepted, beside the spool; not for files, which hold what was recorded."""
    if delivery.spool is None or all(source.path for source in sources):
        return None
    try:
        return stack.enter_context(CounterFile(delivery.spool / "counters.txt"))
    except SecurityError as error:
        raise CommandError(f"--spool: {error}") from None


def _interpreter(keys: KeyOptions, inventory: Inventory | None, counters: CounterFile | None) -> Interpreter:
    default = _keys(keys)
    layout = None
    if keys.layout is not None:
        try:
            layout = named_layout(keys.layout)
        except LayoutError as error:
            raise CommandError(f"--layout: {error}") from None
    meters: KnownMeters | None = inventory
    if layout is not None:
        if inventory is not None:
            raise CommandError("--layout is for all meters; with an inventory give it there: layout = under [defaults]")
        meters = OneMeter(KnownMeter(layout=layout))
    found: PushKeys | None = default
    if inventory is not None:
        for flag, given, setting in (
            ("--without-verifying", keys.without_verifying, "without_verifying = true"),
            ("--allow-example-keys", keys.allow_example_keys, "allow_example_keys = true"),
            ("--no-replay-check", keys.no_replay_check, "check_replay = false"),
        ):
            if given:  # the keys of an inventory have settings of their own
                raise CommandError(f"{flag} goes with --ek; in an inventory write {setting}, under [defaults] for all")
        if default is not None:
            raise CommandError("give keys in the inventory (under [defaults]) or by --ek, not in both")
        found = inventory  # also without a key: it may have some when it is read again
    try:
        zone = None if keys.zone is None else zone_of(keys.zone)
    except ValueError as error:
        raise CommandError(f"--{error}") from None
    title = None if keys.system_title is None else key_octets(keys.system_title, "--system-title")
    return Interpreter(
        found,
        meters=meters,
        zone=zone,
        accept_plain=keys.accept_plain or found is None or (inventory is not None and not inventory.has_keys),
        system_title=title,
        counters=counters,
    )


def _keys(keys: KeyOptions) -> MeterKeys | None:
    given = {
        option: None if text is None else key_octets(text, option)
        for option, text in (("--ek", keys.ek), ("--ak", keys.ak), ("--broadcast-key", keys.broadcast_key))
    }
    if all(key is None for key in given.values()):
        for option, flag in (("--without-verifying", keys.without_verifying), ("--accept-plain", keys.accept_plain)):
            if flag and keys.inventory is None:
                raise CommandError(f"{option} is of use with a key: give --ek, or --inventory")
        return None
    try:
        return MeterKeys(
            given["--ek"],
            given["--ak"],
            broadcast_key=given["--broadcast-key"],
            check_replay=not keys.no_replay_check,
            without_verifying=keys.without_verifying,
            allow_example_keys=keys.allow_example_keys,
        )
    except UnusableKey as error:
        raise CommandError(str(error)) from None


def _delivery_options(delivery: DeliverySettings, output: OutputOptions) -> DeliveryOptions:
    shown = "json" if output.json else delivery.format
    if output.json and delivery.format == "table":
        raise CommandError("--json and --format table ask for two things on standard output; give one of them")
    if shown is not None and delivery.csv == "-":
        raise CommandError(f"--csv - and --format {shown} both want standard output; give --csv a file")
    for option, path in (("--csv", delivery.csv), ("--sqlite", delivery.sqlite), ("--record", delivery.record)):
        if path is not None and path != "-" and not (folder := Path(path).parent).is_dir():
            raise CommandError(f"{option}: there is no folder {folder}")
    password, secret = delivery.mqtt_password, delivery.webhook_secret
    return DeliveryOptions(
        table=shown == "table",
        json="-" if shown == "json" else None,
        csv=delivery.csv,
        sqlite=None if delivery.sqlite is None else str(delivery.sqlite),
        mqtt=delivery.mqtt,
        mqtt_password=None if password is None else password_octets(password, "--mqtt-password").decode(),
        mqtt_ca_file=delivery.mqtt_ca,
        mqtt_prefix=delivery.mqtt_prefix,
        home_assistant="homeassistant" if delivery.home_assistant else None,
        prometheus=delivery.prometheus,
        webhook=delivery.webhook,
        webhook_secret=None if secret is None else read_secret(secret, "--webhook-secret"),
        spool=None if delivery.spool is None else str(delivery.spool),
    )


# -- around it --------------------------------------------------------------------------------------------------------
class _Recorder:
    """Octets for the recording, and for who tells of silent lines."""

    def __init__(self, delivery: DeliverySettings, told: Told) -> None:
        self._path = delivery.record
        self._told = told
        self._writer: RecordingWriter | None = None
        self._is_failing = False

    def open(self, stack: contextlib.ExitStack) -> None:
        """Open the file, where one is asked for."""
        if self._path is None:
            return
        from cosemic.captures.recording import RecordingWriter

        try:
            self._writer = stack.enter_context(RecordingWriter(self._path))
        except (OSError, ValueError) as error:
            raise CommandError(f"--record: {getattr(error, 'strerror', None) or error}: {self._path}") from None

    def on_octets(self, at: datetime, source: str, octets: bytes) -> None:
        """Called with all that comes."""
        self._told.octets(source, len(octets))
        if self._writer is None:
            return
        try:
            self._writer.write(at, source, "<", octets)
            self._is_failing = False
        except OSError as error:
            if not self._is_failing:  # listening is worth more than recording
                self._told.say(f"the recording {self._path} cannot be written: {error.strerror or error}")
            self._is_failing = True


@contextlib.contextmanager
def _signals(listener: PushListener, inventory: Inventory | None, told: Told) -> Iterator[None]:
    """Ctrl-C and SIGTERM end it in order, the second time at once; SIGHUP reads the inventory again."""
    loop = asyncio.get_running_loop()
    numbers = [signal.SIGINT, signal.SIGTERM]

    def end() -> None:
        told.is_interrupted = True
        listener.stop()
        for number in numbers:
            loop.remove_signal_handler(number)

    def reload() -> None:
        if inventory is None:
            return
        try:
            inventory.reload()
            told.say(f"the inventory was read again: {len(inventory)} meters")
        except InventoryError as error:
            told.say(f"the inventory stays as it was: {error}")

    handlers: list[tuple[int, Callable[[], None]]] = [(number, end) for number in numbers]
    if hasattr(signal, "SIGHUP"):
        handlers.append((signal.SIGHUP, reload))
    try:
        for number, handler in handlers:
            loop.add_signal_handler(number, handler)
    except NotImplementedError:  # Windows: Ctrl-C ends it at once
        handlers = []
    try:
        yield
    finally:
        for number, _ in handlers:
            loop.remove_signal_handler(number)


@contextlib.contextmanager
def _warnings(told: Told, output: OutputOptions) -> Iterator[None]:
    """What is told of sources and outputs (a port that is gone, a broker that is away) is for users without -v too."""
    handler = _Telling(told)
    loggers = [logging.getLogger("cosemic.delivery"), logging.getLogger("cosemic.push")]
    for logger in loggers if not output.verbose else ():
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


class _Telling(logging.Handler):
    def __init__(self, told: Told) -> None:
        super().__init__(logging.WARNING)
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        self._told.say(record.getMessage())


@contextlib.contextmanager
def _more_files(connections: int) -> Iterator[None]:
    """Each connection is an open file; the system's own limit is raised as far as it allows."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + 256
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
