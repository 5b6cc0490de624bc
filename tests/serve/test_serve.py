# SPDX-License-Identifier: Apache-2.0
"""Board served through a tracker: its place in the queue, its sessions, and refused requests."""

from __future__ import annotations

import os
import signal
import struct
from pathlib import Path
from typing import Any, Dict

import pytest

from runtime.host.boards.table import load_boards
from runtime.host.errors import DeviceError, PlatformError
from runtime.host.serve.request import MAX_ARCHIVE_BYTES, Refused, Served, read_request
from runtime.host.tvm_rpc.listener import limit_of
from runtime.host.tvm_rpc.tracker import Tracker as OurTracker
from runtime.host.tvm_rpc.tracker import TrackerLost
from runtime.host.wire.messages import encode_message, encode_sequence
from runtime.host.wire.remote_tensor import CPU
from runtime.host.wire.rpc import decode_return
from tests.conftest import Platform
from tests.support.rpc_peers import (
    DEADLINE_SEC,
    MODEL,
    RPC_MAGIC,
    SYSTEM_LIB,
    Client,
    ServedBoard,
    Tracker,
    session_of,
)

DEV_GET_ATTR = 12
EXISTS = 0


class TestQueue:
    def test_a_board_is_offered_where_it_listens(self, served: ServedBoard, tracker: Tracker) -> None:
        offer = tracker.next_offer()
        assert tracker.infos == [{"key": "server:lab", "addr": ["127.0.0.1", offer.port]}]
        assert (offer.queue, offer.address) == ("lab", "127.0.0.1")
        assert offer.match_key.rpartition(":")[0] == "lab"  # the tracker finds the queue by this prefix

    def test_whoever_has_no_match_key_is_sent_away(self, served: ServedBoard, tracker: Tracker) -> None:
        offer = tracker.next_offer()
        assert Client(offer, match_key="lab:guessed").magic == RPC_MAGIC + 2
        assert Client(offer).server_key == b"server:lab"

    @pytest.mark.slow
    def test_a_board_that_was_taken_and_not_used_is_offered_again(
        self, served: ServedBoard, tracker: Tracker
    ) -> None:
        first = tracker.next_offer()
        tracker.taken.append(first.match_key)
        second = tracker.next_offer()
        assert second.port == first.port and second.match_key != first.match_key

    @pytest.mark.slow
    def test_a_tracker_that_restarts_is_joined_again(self, served: ServedBoard, tracker: Tracker) -> None:
        first = tracker.next_offer()
        tracker.stop()
        tracker.gone.get(timeout=DEADLINE_SEC)
        again = Tracker(tracker.port)
        try:
            assert again.next_offer().port == first.port
        finally:
            again.stop()
        assert "Trying again" in served.end()

    def test_what_is_no_tracker_is_told_so(self) -> None:
        stranger = Tracker()
        stranger._serve = lambda connection: connection.sendall(b"HTTP")  # type: ignore[method-assign]
        with pytest.raises(PlatformError, match="not TVM's RPC tracker"):
            OurTracker(("127.0.0.1", stranger.port), "lab", None, 1)
        stranger.stop()
        with pytest.raises(TrackerLost, match="cannot be reached"):
            OurTracker(("127.0.0.1", stranger.port), "lab", None, 1)


class TestSession:
    def test_a_client_may_look_whether_there_is_a_board(self, served: ServedBoard) -> None:
        client = served.session()
        assert client.ask(DEV_GET_ATTR, CPU, EXISTS) == 1
        assert client.ask(DEV_GET_ATTR, CPU, 1) is None
        assert not client.finds(SYSTEM_LIB)
        client.shut_down()
        served.tracker.next_offer()

    def test_a_model_file_is_compiled_and_built_first(
        self, default_platform: Platform, tracker: Tracker
    ) -> None:
        served = ServedBoard(default_platform, tracker, "models/digits_int8.onnx")
        tracker.next_offer()
        served.end()

    @pytest.mark.slow
    def test_a_model_is_built_and_the_board_answers(self, served: ServedBoard) -> None:
        for _ in range(2):
            client = served.session(*session_of(MODEL, {"board": "host", "serial_number": "lab"}))
            assert client.finds(SYSTEM_LIB) and not client.finds("no.such.function")
            client.shut_down()
        served.tracker.next_offer()
        assert not served.below()

    def test_what_cannot_be_built_is_the_answer_to_the_first_question(self, served: ServedBoard) -> None:
        client = served.session(*session_of(b"no archive"))
        with pytest.raises(DeviceError, match="ArchiveError: "):
            client.finds(SYSTEM_LIB)
        served.tracker.next_offer()  # although the client keeps its connection open

    def test_what_is_refused_is_told(self, served: ServedBoard) -> None:
        client = served.session(*session_of(MODEL, {"extra_files_tar": "/etc/passwd"}))
        with pytest.raises(DeviceError, match="extra_files_tar configures the machine"):
            client.finds(SYSTEM_LIB)

    @pytest.mark.slow
    def test_a_client_that_vanishes_frees_the_board(self, served: ServedBoard) -> None:
        served.session(*session_of(MODEL)).vanish()  # during the build of its model
        running = served.session(*session_of(MODEL))
        assert running.finds(SYSTEM_LIB)
        running.vanish()
        served.tracker.next_offer()
        assert not served.below()

    @pytest.mark.slow
    def test_a_board_that_vanishes_ends_the_session(self, served: ServedBoard) -> None:
        client = served.session(*session_of(MODEL))
        assert client.finds(SYSTEM_LIB)
        os.kill(served.below()[-1], signal.SIGKILL)
        with pytest.raises(DeviceError, match=r"TransportClosedError: .* was terminated by SIGKILL"):
            client.finds(SYSTEM_LIB)
        assert served.session(*session_of(MODEL)).finds(SYSTEM_LIB)

    @pytest.mark.slow
    def test_a_session_ends_when_its_time_is_up(self, served: ServedBoard) -> None:
        client = served.session(*session_of(MODEL), options=" -timeout=5")
        assert client.finds(SYSTEM_LIB)
        with pytest.raises(DeviceError, match=r"RPCSessionTimeoutError: The session timeout of 5 s expired"):
            decode_return(client.receive(), "nothing")
        served.tracker.next_offer()
        assert not served.below()


class TestRack:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
    @pytest.mark.slow
    def test_all_its_boards_end_with_it(
        self, default_platform: Platform, tracker: Tracker, number: signal.Signals
    ) -> None:
        rack = ServedBoard(default_platform, tracker, "--boards", "2")
        offers = [tracker.next_offer(), tracker.next_offer()]
        assert offers[0].port != offers[1].port
        clients = [Client(offer, *session_of(MODEL)) for offer in offers]
        assert all(client.finds(SYSTEM_LIB) for client in clients)
        rack.process.send_signal(number)
        for _ in offers:
            tracker.gone.get(timeout=DEADLINE_SEC)
        rack.end()


BOARDS = load_boards(
    str(Path(__file__).parents[2] / "{{cookiecutter.platform_slug}}/families/host/boards.json")
)
HERE = Served("lab", "host", BOARDS)


def first_message(*arguments: Any, version: bytes = b"0.8.0") -> bytes:
    return encode_message(2, struct.pack("<Q", len(version)) + version + encode_sequence(arguments))


class TestTrust:
    def test_what_tuning_sends_is_taken(self) -> None:
        options = {"board": "host", "serial_number": "lab", "optimization": "O3", "verbose": None}
        request = read_request(first_message(*session_of(MODEL, options)), HERE)
        assert request is not None and request.archive == MODEL
        assert request.options["optimization"] == "O3"
        assert request.options["serial_number"] is None  # the key is not a serial number

    def test_a_client_that_only_looks_has_no_request(self) -> None:
        assert read_request(first_message(), HERE) is None

    @pytest.mark.parametrize(
        ("options", "why"),
        [
            ({"extra_files_tar": "/x.tar"}, "extra_files_tar configures the machine"),
            ({"standalone_input": "/x.npy"}, "standalone_input configures the machine"),
            ({"standalone_crt_dir": "/crt"}, "standalone_crt_dir configures the machine"),
            ({"cmsis_path": "/cmsis"}, "cmsis_path configures the machine"),
            ({"crt": "standalone"}, "crt configures the machine"),
            ({"port": "/dev/ttyACM0"}, "port configures the machine"),
            ({"baud_rate": 9600}, "baud_rate configures the machine"),
            ({"serial_number": "123"}, "Serial number '123' does not match"),
            ({"project_type": "standalone"}, "has no session"),
            ({"compile_definition": "A=1"}, "Unknown project option"),
        ],
    )
    def test_options_that_reach_beyond_the_board(self, options: Dict[str, Any], why: str) -> None:
        with pytest.raises(Refused, match=why):
            read_request(first_message(*session_of(MODEL, options)), HERE)

    @pytest.mark.parametrize(
        ("arguments", "why"),
        [
            (("rpc.Connect", "host", 1, "key"), "constructor: expected tvm.micro"),
            (session_of(MODEL)[:1], "no model archive"),
            ((*session_of(MODEL)[:4], "/tmp/project", 0), "name a directory"),
            ((*session_of(MODEL)[:4], None, 1), "name a directory"),
            ((*session_of(MODEL)[:3], "{", None, 0), "not valid JSON"),
            ((*session_of(MODEL)[:3], "[1]", None, 0), "expected a JSON object"),
            ((*session_of(MODEL)[:3], "[" * 60_000, None, 0), "not valid JSON"),
            (session_of(bytes(MAX_ARCHIVE_BYTES + 1)), "too large: expected at most"),
        ],
    )
    def test_requests_that_are_refused(self, arguments: Any, why: str) -> None:
        with pytest.raises(Refused, match=why):
            read_request(first_message(*arguments), HERE)

    def test_a_message_that_claims_to_be_longer_than_memory(self) -> None:
        with pytest.raises(Refused, match="cannot be decoded"):
            read_request(encode_message(2, struct.pack("<Q", 2**64 - 1)), HERE)

    @pytest.mark.parametrize("size", range(8, 60, 3))
    def test_a_message_that_is_cut_off(self, size: int) -> None:
        with pytest.raises(Refused):
            read_request(first_message(*session_of(MODEL))[:size], HERE)

    @pytest.mark.parametrize(
        ("options", "seconds"),
        [
            ("-timeout=10", 10.0),
            ("-timeout=1e300", 1e6),
            ("", None),
            ("-timeout=x", None),
            ("-timeout=nan", None),
            ("-timeout=0", None),
        ],
    )
    def test_the_limit_of_a_session(self, options: str, seconds: float) -> None:
        assert limit_of(options) == seconds
