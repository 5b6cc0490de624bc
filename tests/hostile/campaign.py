# SPDX-License-Identifier: Apache-2.0
"""Campaign of mutated input: requests, model archives, boards.json, and connections to `serve`.

    python -m tests.hostile.campaign [--count 10000] [--seed 1]

Each input is a valid one with damaged bytes or values. It must be accepted, or refused with an error message
and a next step. A traceback, a hang or a leftover file is a failure. test_campaign.py runs a sample.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from runtime.host.archive.tar import read_tar
from runtime.host.boards.table import load_boards
from runtime.host.errors import PlatformError
from runtime.host.project import board_support
from runtime.host.project.generate import generate
from runtime.host.project.options import project_options
from runtime.host.project.platform import Platform as HostPlatform
from runtime.host.serve import trial
from runtime.host.system.leftovers import NAMES
from runtime.host.wire.messages import encode_message, encode_sequence
from tests.conftest import Baker
from tests.conftest import Platform as Baked
from tests.support.api_server import ApiServer
from tests.support.archives import Content, archive_bytes, full_model
from tests.support.rpc_peers import MODEL, RPC_MAGIC, ServedBoard, Tracker, session_of

ARCHIVES = Path(__file__).resolve().parents[1] / "data" / "archives"
DEADLINE_SEC = 30
SHOWN_FAILURES = 5
TRACEBACK = re.compile(r"most recent call last|Traceback")
SHARES = {"requests": 0.4, "archives": 0.3, "boards": 0.2, "connections": 0.1}

ODD_VALUES: Tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 255, 65536, 2**31, 2**32, 2**63, 2**64 - 1, 10**15, 10**19, 10**30),
    *(
        0.5,
        -1e12,
        1e300,
        "",
        " ",
        "\0",
        "a\0b",
        "\ud800",
        "\udc80",
        "\x1b[2J",
        "*/",
        "/*",
        "..",
        "../x",
        "NEW/..",
        "~/x",
    ),
    *(
        "int0",
        "float32x0",
        "int0x5",
        "int99999",
        "bool",
        "x" * 300,
        "x" * 100_000,
        "0x",
        "0xffffffffffffffffff",
    ),
    *(
        [],
        {},
        [[]],
        ["a"],
        [None],
        {"a": 1},
        [10**9] * 9,
        [-1],
        ["\ud800"],
        "a\nb",
        "$(touch x)",
        "`touch x`",
        "{0}",
        "%s",
    ),
)


class Hang(BaseException):
    """Timeout of one input."""


@dataclass
class Tally:
    """Outcomes of the inputs of one kind.

    Attributes:
        outcomes: Count of each outcome.
        failures: Line or traceback for each input that failed.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: List[str] = field(default_factory=list)


def mutate_bytes(draw: random.Random, data: bytes) -> bytes:
    """Flip, drop, repeat, insert or cut bytes at one to four places."""
    damaged = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        if not damaged:
            break
        at, size = draw.randrange(len(damaged)), draw.choice((1, 1, 2, 4, 8, 64))
        kind = draw.randrange(5)
        if kind == 0:
            damaged[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del damaged[at : at + size]
        elif kind == 2:
            damaged[at:at] = damaged[at : at + size]
        elif kind == 3:
            damaged[at:at] = bytes(draw.randrange(256) for _ in range(size))
        elif draw.random() < 0.3:
            del damaged[at:]
    return bytes(damaged)


def places_in(value: Any) -> Iterator[Tuple[Any, Any]]:
    """Yield every container inside a JSON value, with each of its keys."""
    if isinstance(value, (dict, list)):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places_in(value[key])


def mutate_json(draw: random.Random, value: Any) -> Any:
    """Replace, drop, rename or repeat values at one to three places."""
    value = copy.deepcopy(value)
    for _ in range(draw.randint(1, 3)):
        places = list(places_in(value))
        if not places:
            return draw.choice(ODD_VALUES)
        container, key = draw.choice(places)
        kind = draw.randrange(6)
        if kind < 3:
            container[key] = copy.deepcopy(draw.choice(ODD_VALUES))
        elif kind == 3:
            del container[key]
        elif isinstance(container, list):
            container[key:key] = [copy.deepcopy(container[key])] * draw.choice((1, 2, 100))
        else:
            name = draw.choice([each for each in ODD_VALUES if isinstance(each, str)])
            container[name] = container.pop(key) if kind == 4 else copy.deepcopy(container[key])
    return value


def mutate_text(draw: random.Random, text: str) -> str:
    """Replace a number or a word, or damage bytes."""
    words = list(re.finditer(r"\d+|\w+", text))
    if not words or draw.random() < 0.3:
        return mutate_bytes(draw, text.encode("utf-8", "replace")).decode("utf-8", "replace")
    found = draw.choice(words)
    new = draw.choice(
        ("0", "-1", "99999999999", "9" * 40, "", "\0", "*/", "int0", found[0] * 2, "é", "}" * 10)
    )
    return text[: found.start()] + new + text[found.end() :]


@contextlib.contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raise Hang if the block takes longer."""

    def stop(_number: int, _frame: Optional[FrameType]) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def attempt(tally: Tally, what: str, action: Callable[[], str]) -> None:
    """Run an action in this process and count its outcome."""
    try:
        with limited(DEADLINE_SEC):
            tally.outcomes[action()] += 1
    except PlatformError as error:
        whole = bool(error.what.strip() and error.next_step.strip())
        tally.outcomes["refused"] += 1
        if not whole:
            tally.failures.append(f"{what}: refused without an error message and a next step")
    except Hang:
        tally.failures.append(f"{what}: hung\n{traceback.format_exc()[-2000:]}")
    except Exception:
        tally.failures.append(f"{what}:\n{traceback.format_exc()[-3000:]}")


def attack_boards(draw: random.Random, count: int, baked: Baked, scratch: Path) -> Tally:
    """Read mutated boards.json files and write them as C."""
    tally = Tally()
    path = scratch / "boards.json"
    families = Path(__file__).resolve().parents[2] / "{{cookiecutter.platform_slug}}" / "families"
    documents = [json.loads(file.read_text()) for file in sorted(families.glob("*/boards.json"))]

    def read() -> str:
        boards = load_boards(path)
        project_options(boards)
        taken = "taken"
        for board in boards.values():
            for text in (board.label, *(step.why for step in board.setup)):
                assert not any(ord(letter) < 32 for letter in text), text
            try:
                board_support.port_config(baked.path, board, {})
            except PlatformError:
                taken = "taken, and refused when a project is generated"
                continue
            check_board_h(board_support.board_files(board))
        return taken

    for number in range(count):
        document = draw.choice(documents)
        if draw.random() < 0.8:
            boards = dict(draw.sample(sorted(document["boards"].items()), min(2, len(document["boards"]))))
            boards = {name: {**entry, "default": not at} for at, (name, entry) in enumerate(boards.items())}
            data = json.dumps(mutate_json(draw, {**document, "boards": boards})).encode()
        else:
            data = mutate_bytes(draw, json.dumps(document).encode())
        path.write_bytes(data)
        attempt(tally, f"boards.json {number}", read)
    path.unlink()
    return tally


def check_board_h(files: Dict[str, str]) -> None:
    """Assert that a header has only numbers and macros outside of comments."""
    for name, text in files.items():
        code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        assert "/*" not in code and "*/" not in code, text
        assert re.fullmatch(r"[\w\s#(),\\:;={}.-]*", code), f"{name}: {code}"


def attack_archives(draw: random.Random, count: int, baked: Baked, scratch: Path) -> Tally:
    """Generate projects from mutated model archives."""
    tally = Tally()
    lean = trial.lean_copy(HostPlatform(baked.path, "campaign", "make"), scratch / "lean")
    real = [contents(path) for path in sorted(ARCHIVES.glob("*.tar")) if path.stat().st_size < 300_000]
    system_library = {"codegen/host/src/default_lib0.c": "/* TVMSystemLibEntryPoint */\n"}
    models = [*({**full_model(executor), **system_library} for executor in ("aot", "graph")), *real]
    path, place = scratch / "model.tar", scratch / "project"

    def build_project() -> str:
        options = {"project_type": draw.choice(("host_driven", "host_driven", "standalone"))}
        try:
            generate(lean, path, place, options)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        return "taken"

    for number in range(count):
        files = dict(draw.choice(models))
        for _ in range(draw.randint(1, 2)):
            name = draw.choice(list(files) + ["metadata.json"] * 3)
            files[name] = mutate_file(draw, name, files[name])
        data = archive_bytes(files)
        if draw.random() < 0.2:
            data = mutate_bytes(draw, data)
        path.write_bytes(data)
        attempt(tally, f"archive {number}", build_project)
        path.unlink()
        left = [each.name for each in scratch.iterdir() if each.name != "lean"]
        if left:
            tally.failures.append(f"archive {number} left {left}")
            break
    return tally


def contents(path: Path) -> Dict[str, Content]:
    files = read_tar(path)
    return {
        name: files.read(name) for name in files.names() if not name.startswith(("runtime/", "templates/"))
    }


def mutate_file(draw: random.Random, name: str, content: Content) -> Content:
    data = content if isinstance(content, bytes) else content.encode()
    if name.endswith((".json", ".graph")) and draw.random() < 0.8:
        with contextlib.suppress(ValueError):
            return json.dumps(mutate_json(draw, json.loads(data)))
    if name.endswith((".o", ".params")):
        return mutate_bytes(draw, data)
    return mutate_text(draw, data.decode("utf-8", "replace"))


def attack_requests(draw: random.Random, count: int, baked: Baked, scratch: Path) -> Tally:
    """Send mutated requests to the API server of a platform and of a project."""
    tally = Tally()
    project = scratch / "made"
    generate(HostPlatform(baked.path, "campaign", "make"), ARCHIVES / "aot_c.tar", project, {})
    before = set(baked.path.iterdir())
    for directory in (baked.path, project):
        server: Optional[ApiServer] = None
        for _ in range(count // 2):
            if server is None:
                server = ApiServer(directory, stderr=subprocess.DEVNULL)
            request = draw.choice(requests())
            if draw.random() < 0.75:
                line = json.dumps(mutate_json(draw, request)).encode().replace(b"NaN", b"1e999")
            else:
                line = mutate_bytes(draw, json.dumps(request).encode())
            try:
                replies = answers_to(server, line)
                remove_asked_for(line, directory)
                for reply in replies:
                    kind = "taken" if "result" in reply else "refused"
                    tally.outcomes[kind] += 1
                    if TRACEBACK.search(json.dumps(reply)):
                        tally.failures.append(f"request {line[:300]!r}: {json.dumps(reply)[:2000]}")
            except (AssertionError, EOFError, OSError) as error:
                tally.failures.append(f"request {line[:300]!r}: {type(error).__name__} {error}")
                server.process.kill()
                server = None
        if server is not None:
            with server:
                pass
    shutil.rmtree(project)
    left = [
        str(path)
        for place in (scratch, baked.path)
        for path in place.rglob("*")
        if NAMES.fullmatch(path.name)
    ]
    left += [str(path) for path in (*scratch.iterdir(), *(set(baked.path.iterdir()) - before))]
    if left:
        tally.failures.append(f"requests left {left}")
    return tally


def remove_asked_for(line: bytes, directory: Path) -> None:
    """Remove the project that a request created, wherever its damaged path points."""
    for part in line.split(b"\n"):
        with contextlib.suppress(ValueError, TypeError, LookupError, AttributeError, OSError):
            place = (directory / json.loads(part)["params"]["project_dir"]).resolve()
            if (place / "project.json").is_file() and place != directory:
                shutil.rmtree(place, ignore_errors=True)


def requests() -> List[Dict[str, Any]]:
    def request(method: str, **params: Any) -> Dict[str, Any]:
        return {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}

    options = {"project_type": "host_driven", "compile_definitions": ["A=1"], "workspace_size_bytes": 4096}
    return [
        request("server_info_query", tvm_version="0.18.0"),
        request(
            "generate_project",
            model_library_format_path=str(ARCHIVES / "aot_c.tar"),
            standalone_crt_dir="",
            project_dir="asked",  # the damaged path is still below the server's directory
            options=options,
        ),
        request("flash", options={"port": "/dev/null", "baud_rate": 9600}),
        request("open_transport", options={"port": "127.0.0.1:1"}),
        request("read_transport", n=1, timeout_sec=0.001),
        request("write_transport", data="0000", timeout_sec=0.001),
        request("close_transport"),
        request("lend_transport", socket="nobody"),
    ]


def answers_to(server: ApiServer, line: bytes) -> List[Dict[str, Any]]:
    """Return the replies to a line and its fragments, without that to a request which always succeeds."""
    server.send(line + b'\n{"jsonrpc":"2.0","id":"end","method":"close_transport","params":{}}\n')
    replies = [server.reply()]
    while replies[-1].get("id") != "end":
        replies.append(server.reply())
    return replies[:-1]


def attack_connections(draw: random.Random, count: int, baked: Baked, _scratch: Path) -> Tally:
    """Run mutated conversations with a served board, which must be offered again after each."""
    tally = Tally()
    tracker = Tracker()
    served = ServedBoard(baked, tracker)
    try:
        offer = tracker.next_offer()
        for number in range(count):
            key = f"client:{offer.match_key} -timeout=20".encode()
            greeting = struct.pack("<ii", RPC_MAGIC, len(key)) + key
            archive = mutate_bytes(draw, MODEL[:2000])
            first = encode_message(2, struct.pack("<Q", 5) + b"0.8.0" + encode_sequence(session_of(archive)))
            rest = encode_message(draw.randrange(20), bytes(draw.randrange(256) for _ in range(12)))
            parts = [greeting, first, rest]
            hurt = draw.choice((0, 1, 1, 1, 2))
            parts[hurt] = mutate_bytes(draw, parts[hurt])
            with contextlib.suppress(OSError), socket.create_connection(
                (offer.address, offer.port), 10
            ) as client:
                client.settimeout(0.05)
                client.sendall(b"".join(parts))
                if draw.random() < 0.3:
                    client.recv(4096)
            tally.outcomes["sent"] += 1
            with contextlib.suppress(Exception):
                # A damaged greeting leaves the offer unchanged.
                offer = tracker.offers.get(timeout=0.02 if hurt == 0 else 30.0)
                continue
            if hurt:
                tally.failures.append(f"connection {number}: the board was not offered again")
                break
        while not tracker.offers.empty():
            offer = tracker.offers.get()
        tracker.offers.put(offer)
        if not served.works():
            tally.failures.append("the board does not work after the connections")
    finally:
        said = served.end()
        tracker.stop()
    if TRACEBACK.search(said):
        tally.failures.append(said[-5000:])
    if list(served.scratch.iterdir()):
        tally.failures.append(f"serve left {[path.name for path in served.scratch.iterdir()]}")
    shutil.rmtree(served.scratch, ignore_errors=True)
    return tally


ATTACKS: Dict[str, Callable[[random.Random, int, Baked, Path], Tally]] = {
    "requests": attack_requests,
    "archives": attack_archives,
    "boards": attack_boards,
    "connections": attack_connections,
}


def run(kind: str, count: int, seed: int, baked: Baked, scratch: Path) -> Tally:
    """Create and try `count` inputs of a kind."""
    scratch.mkdir(parents=True, exist_ok=True)
    return ATTACKS[kind](random.Random(f"{kind} {seed}"), count, baked, scratch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=sorted(ATTACKS))
    arguments = parser.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory(prefix="campaign-") as name:
        place = Path(name)
        os.environ["MICROTVM_CACHE_DIR"] = str(place / "cache")
        with contextlib.redirect_stdout(io.StringIO()):
            baked = Baker(place)(board_family="host", platform_name="campaign")
        for kind in [arguments.only] if arguments.only else ATTACKS:
            count = int(arguments.count * SHARES[kind])
            started = time.monotonic()
            tally = run(kind, count, arguments.seed, baked, place / kind)
            took = time.monotonic() - started
            print(
                f"\n{kind}: {count} in {took:.0f} s, {dict(tally.outcomes)}, {len(tally.failures)} failures"
            )
            for failure in tally.failures[:SHOWN_FAILURES]:
                print(f"    {failure}")
            sys.stdout.flush()
            failures += len(tally.failures)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
