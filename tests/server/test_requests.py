# SPDX-License-Identifier: Apache-2.0
"""Requests to runtime.server without a process: parsing, checks, dispatch and replies."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import server
from runtime.host.errors import BuildError, TransportClosed

Calls = List[Tuple[Any, ...]]


class Handler(server.ProjectAPIHandler):
    """Handler that records its calls, and returns or raises the test's `outcome`."""

    def __init__(self) -> None:
        self.calls: Calls = []
        self.outcome: Dict[str, Any] = {
            "server_info_query": server.ServerInfo("p", True, None, server.default_project_options()),
            "open_transport": server.TransportTimeouts(2.0, 5.0, 10.0),
            "read_transport": b"",
        }

    def _do(self, name: str, *arguments: Any) -> Any:
        self.calls.append((name, *arguments))
        outcome = self.outcome.get(name)
        if isinstance(outcome, list):
            outcome = outcome.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def server_info_query(self, tvm_version: str) -> server.ServerInfo:
        return self._do("server_info_query", tvm_version)  # type: ignore[no-any-return]

    def generate_project(
        self,
        model_library_format_path: Path,
        standalone_crt_dir: Path,
        project_dir: Path,
        options: Dict[str, Any],
    ) -> None:
        self._do("generate_project", model_library_format_path, standalone_crt_dir, project_dir, options)

    def build(self, options: Dict[str, Any]) -> None:
        self._do("build", options)

    def flash(self, options: Dict[str, Any]) -> None:
        self._do("flash", options)

    def open_transport(self, options: Dict[str, Any]) -> server.TransportTimeouts:
        return self._do("open_transport", options)  # type: ignore[no-any-return]

    def close_transport(self) -> None:
        self._do("close_transport")

    def read_transport(self, n: int, timeout_sec: Optional[float]) -> bytes:
        return self._do("read_transport", n, timeout_sec)  # type: ignore[no-any-return]

    def write_transport(self, data: bytes, timeout_sec: Optional[float]) -> None:
        self._do("write_transport", data, timeout_sec)


@pytest.fixture
def handler() -> Handler:
    return Handler()


def request(method: str, params: Any = None, **more: Any) -> bytes:
    fields = {"jsonrpc": "2.0", "id": 7, "method": method, "params": {} if params is None else params, **more}
    return json.dumps(fields).encode() + b"\n"


def replies(handler: Handler, *lines: bytes) -> List[Dict[str, Any]]:
    """Return the server's replies to these lines."""
    written = io.BytesIO()
    server.ProjectAPIServer(io.BytesIO(b"".join(lines)), written, handler).serve_forever()
    return [json.loads(line) for line in written.getvalue().splitlines()]


def result(handler: Handler, method: str, **params: Any) -> Any:
    (reply,) = replies(handler, request(method, params))
    assert set(reply) == {"jsonrpc", "id", "result"}, reply
    assert (reply["jsonrpc"], reply["id"]) == ("2.0", 7)
    return reply["result"]


def error(handler: Handler, method: str, **params: Any) -> Dict[str, Any]:
    (reply,) = replies(handler, request(method, params))
    assert set(reply) == {"jsonrpc", "id", "error"}, reply
    assert reply["id"] == 7
    return dict(reply["error"])


class TestReadingALine:
    def test_a_line_and_then_the_end(self) -> None:
        file = io.BytesIO(b"one\ntwo")
        assert [server.read_line(file, 10) for _ in range(3)] == [b"one\n", b"two", b""]

    def test_the_longest_line_allowed(self) -> None:
        assert server.read_line(io.BytesIO(b"123456789\n"), 10) == b"123456789\n"

    def test_a_longer_line_is_skipped_and_refused(self) -> None:
        file = io.BytesIO(b"1234567890\nnext\n")
        with pytest.raises(server.JSONRPCError, match="at most 10 bytes"):
            server.read_line(file, 10)
        assert server.read_line(file, 10) == b"next\n"

    def test_a_longer_line_is_never_held_whole(self) -> None:
        asked = []

        class Counting(io.BytesIO):
            def readline(self, size: Optional[int] = -1) -> bytes:
                asked.append(size)
                return super().readline(size)

        with pytest.raises(server.JSONRPCError):
            server.read_line(Counting(b"x" * 1_000_000), 1000)
        assert asked[0] == 1001
        assert set(asked[1:]) == {65536}


class TestParsing:
    def test_an_object(self) -> None:
        assert server.parse_request(b'{"a": "\xc3\xa4"}\n') == {"a": "ä"}

    @pytest.mark.parametrize("given", [1, 1.5, "x", "", None])
    def test_an_id_that_json_rpc_allows_is_kept(self, given: object) -> None:
        assert server.request_id({"id": given}) == given

    @pytest.mark.parametrize("wrong", [{}, {"id": True}, {"id": [1]}, {"id": {}}])
    def test_any_other_id_becomes_null(self, wrong: Dict[str, Any]) -> None:
        assert server.request_id(wrong) is None


# Line, code, part of the message. The reply repeats a valid id, because TVM's client compares it first.
BAD_REQUESTS = {
    "blank line": (b"\n", -32700, "want JSON"),
    "not JSON": (b"hello\n", -32700, "want JSON"),
    "half an object": (b'{"jsonrpc": "2.0", \n', -32700, "want JSON"),
    "invalid UTF-8": (b'{"jsonrpc": "\xff"}\n', -32700, "want UTF-8, got invalid start byte at byte 13"),
    "too deep": (b"[" * 100_000 + b"\n", -32700, "want JSON"),
    "number": (b"3\n", -32600, "want one object a line, got int 3"),
    "batch": (b"[{}]\n", -32600, "want one object a line, got array"),
    "no version": (b'{"id": 7, "method": "build"}\n', -32600, 'jsonrpc: want "2.0", got null'),
    "wrong version": (request("build", jsonrpc="1.0"), -32600, 'want "2.0", got str "1.0"'),
    "version is a number": (request("build", jsonrpc=2.0), -32600, 'want "2.0", got float 2.0'),
    "no method": (b'{"jsonrpc": "2.0", "id": 7}\n', -32600, "method: want text, got null"),
    "method is a number": (request(5), -32600, "method: want text, got int 5"),  # type: ignore[arg-type]
    "id is an array": (request("build", id=[1]), -32600, "id: want text, a number or null, got array [1]"),
    "id is true": (request("build", id=True), -32600, "id: want text, a number or null, got bool true"),
    "unknown method": (request("qqq"), -32601, 'no method is called str "qqq". Known are: build, close'),
    "misspelt method": (request("buld"), -32601, 'Did you mean "build"?'),
    "private method": (request("_build"), -32601, 'no method is called str "_build"'),
    "method of object": (request("__init__"), -32601, "no method is called"),
    "params by position": (request("build", [{}]), -32602, "params: want an object"),
    "params are text": (
        request("build", "x"),
        -32600,
        "params: want an object, that is parameters by name, got",
    ),
    "missing param": (request("build"), -32602, "build: want a parameter options, got none"),
    "unknown param": (
        request("build", {"options": {}, "option": 1}),
        -32602,
        'build: no parameter is called str "option". Did you mean "options"?',
    ),
    "param where there is none": (request("close_transport", {"x": 1}), -32602, "It takes none."),
    "options are text": (
        request("build", {"options": "verbose"}),
        -32602,
        'build: parameter options: want an object, got str "verbose"',
    ),
    "n is text": (request("read_transport", {"n": "1", "timeout_sec": 1}), -32602, 'got str "1"'),
    "n is true": (request("read_transport", {"n": True, "timeout_sec": 1}), -32602, "got bool true"),
    "n is negative": (
        request("read_transport", {"n": -1, "timeout_sec": 1}),
        -32602,
        "from 0 to 67108864, got int -1",
    ),
    "timeout is text": (request("read_transport", {"n": 1, "timeout_sec": "1"}), -32602, "want a number of"),
    "timeout is not a number": (
        request("read_transport", {"n": 1, "timeout_sec": float("nan")}),
        -32700,
        "want JSON, got NaN, which JSON does not have",
    ),
    "timeout without end": (
        b'{"jsonrpc":"2.0","id": 7,"method":"read_transport","params":{"n":1,"timeout_sec":1e999}}\n',
        -32602,
        "timeout_sec: want a number of seconds or null, got float Infinity",
    ),
    "timeout above every number": (
        request("read_transport", {"n": 1, "timeout_sec": 10**400}),
        -32602,
        "timeout_sec: want a number of seconds or null, got int 1000",
    ),
    "data is an array": (request("write_transport", {"data": [1], "timeout_sec": 1}), -32602, "base85 text"),
    "data is no base85": (
        request("write_transport", {"data": 'ab"de', "timeout_sec": 1}),
        -32602,
        "want base85 text, got bad base85 character at position 2",
    ),
    "version of TVM is null": (request("server_info_query", {"tvm_version": None}), -32602, "got null"),
}


JSON_LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


class TestBadRequests:
    @pytest.mark.parametrize("name", BAD_REQUESTS)
    def test_is_answered_with_its_code_and_the_next_request_is_served(
        self, handler: Handler, name: str
    ) -> None:
        line, code, text = BAD_REQUESTS[name]
        bad, good = replies(handler, line, request("close_transport", id="next"))
        assert bad["error"]["code"] == code, bad
        assert text in bad["error"]["message"]
        has_id = b'"id": 7' in line and code != -32700
        assert bad["id"] == (7 if has_id else None)
        assert good == {"jsonrpc": "2.0", "id": "next", "result": None}
        assert handler.calls == [("close_transport",)]

    def test_a_request_without_an_id_is_served_and_answered_with_null(self, handler: Handler) -> None:
        line = b'{"jsonrpc": "2.0", "method": "close_transport", "params": {}}\n'
        assert replies(handler, line) == [{"jsonrpc": "2.0", "id": None, "result": None}]

    def test_params_may_be_left_out_where_there_are_none(self, handler: Handler) -> None:
        line = b'{"jsonrpc": "2.0", "id": 1, "method": "close_transport"}\n'
        assert replies(handler, line) == [{"jsonrpc": "2.0", "id": 1, "result": None}]

    @settings(max_examples=25)
    @given(st.recursive(JSON_LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
    def test_whatever_the_parameters_are_there_is_one_reply(self, params: Any) -> None:
        for method in server.METHODS:
            line = request(method, params)
            (reply,) = replies(Handler(), line)
            assert ("result" in reply) != ("error" in reply)

    @given(st.binary(max_size=100))
    def test_whatever_the_bytes_are_there_is_one_reply_a_line(self, data: bytes) -> None:
        lines = data.replace(b"\n", b" ") + b"\n"
        assert len(replies(Handler(), lines)) == 1

    def test_nesting_at_the_edge_of_what_can_be_shown(self, handler: Handler) -> None:
        for depth in range(50, 1200, 50):
            nested = b"[" * depth + b"]" * depth
            (reply,) = replies(handler, b'{"jsonrpc": "2.0", "method": "build", "id": %b}\n' % nested)
            assert reply["error"]["code"] in (-32600, -32700)

    def test_a_line_above_the_limit(self, handler: Handler, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server, "MAX_LINE_BYTES", 200)
        bad, good = replies(handler, b"x" * 1000 + b"\n", request("close_transport"))
        assert bad["error"]["code"] == -32600
        assert "at most 200 bytes" in bad["error"]["message"]
        assert good["result"] is None

    def test_a_message_shows_only_the_beginning_of_a_long_value(self, handler: Handler) -> None:
        assert len(error(handler, "read_transport", n="x" * 100_000, timeout_sec=1)["message"]) < 300

    def test_a_last_line_without_its_end_is_still_a_request(self, handler: Handler) -> None:
        assert replies(handler, request("close_transport").rstrip())[0]["result"] is None


class TestResults:
    def test_server_info_query(self, handler: Handler) -> None:
        info = result(handler, "server_info_query", tvm_version="0.18.0")
        assert handler.calls == [("server_info_query", "0.18.0")]
        assert {name: value for name, value in info.items() if name != "project_options"} == {
            "platform_name": "p",
            "is_template": True,
            "model_library_format_path": None,
            "protocol_version": 1,
        }

    def test_all_seven_fields_of_an_option_are_sent(self, handler: Handler) -> None:
        options = result(handler, "server_info_query", tvm_version="0.8.0")["project_options"]
        assert len(options) == 7
        assert options[2] == {
            "name": "board",
            "choices": None,
            "default": None,
            "type": "str",
            "required": ["generate_project"],
            "optional": None,
            "help": "Name of the board to build for.",
        }

    def test_an_option_without_help_is_sent_with_some(self, handler: Handler) -> None:
        option = server.ProjectOption("port", type="str", optional=["flash"], help="")
        handler.outcome["server_info_query"] = server.ServerInfo("p", False, Path("m.tar"), [option])
        info = result(handler, "server_info_query", tvm_version="0.8.0")
        assert info["project_options"][0]["help"] == "port"  # tvmc uses its first letter
        assert info["model_library_format_path"] == "m.tar"

    def test_generate_project_gets_paths(self, handler: Handler) -> None:
        params = {"model_library_format_path": "m.tar", "standalone_crt_dir": "crt", "project_dir": "out"}
        assert result(handler, "generate_project", options={"a": 1}, **params) is None
        assert handler.calls == [("generate_project", Path("m.tar"), Path("crt"), Path("out"), {"a": 1})]

    @pytest.mark.parametrize("method", ["build", "flash"])
    def test_methods_with_options(self, handler: Handler, method: str) -> None:
        assert result(handler, method, options={"verbose": "true"}) is None
        assert handler.calls == [(method, {"verbose": "true"})]

    def test_options_of_null_are_none(self, handler: Handler) -> None:
        assert result(handler, "build", options=None) is None
        assert handler.calls == [("build", {})]

    def test_a_handler_that_declares_its_options_gets_them_coerced(self, handler: Handler) -> None:
        handler.project_options = server.default_project_options()
        result(handler, "build", options={"verbose": "true", "cmsis_path": None})
        assert handler.calls[0][1]["verbose"] is True
        assert len(handler.calls[0][1]) == 7
        refused = error(handler, "build", options={"verbos": "true"})
        assert refused["code"] == -32000
        assert refused["message"] == 'no project option is called "verbos".\nDid you mean "verbose"?'

    def test_open_transport(self, handler: Handler) -> None:
        assert result(handler, "open_transport", options={}) == {
            "timeouts": {
                "session_start_retry_timeout_sec": 2.0,
                "session_start_timeout_sec": 5.0,
                "session_established_timeout_sec": 10.0,
            }
        }

    @pytest.mark.parametrize("timeout_sec", [None, 0, 2.5])
    def test_write_transport(self, handler: Handler, timeout_sec: Optional[float]) -> None:
        data = bytes(range(256)) * 40
        text = base64.b85encode(data).decode()
        assert result(handler, "write_transport", data=text, timeout_sec=timeout_sec) is None
        assert handler.calls == [("write_transport", data, timeout_sec)]

    @pytest.mark.parametrize("data", [b"", b"\0", bytes(range(256)) * 40])
    def test_read_transport(self, handler: Handler, data: bytes) -> None:
        handler.outcome["read_transport"] = data
        reply = result(handler, "read_transport", n=len(data), timeout_sec=1.0)
        assert reply == {"data": base64.b85encode(data).decode()}

    def test_the_request_and_the_reply_can_be_logged(self, handler: Handler) -> None:
        logged: List[str] = []
        api = server.ProjectAPIServer(io.BytesIO(request("close_transport")), io.BytesIO(), handler)
        api.log_to(lambda text, *values: logged.append(text % values))
        api.serve_forever()
        assert "close_transport" in logged[0]
        assert '"result":null' in logged[1]


class TestExactReads:
    """read_transport replies with n bytes or an error, whatever pieces the handler returns."""

    def read(self, handler: Handler, *counts: int) -> List[Any]:
        lines = [request("read_transport", {"n": n, "timeout_sec": 5.0}) for n in counts]
        return [
            base64.b85decode(reply["result"]["data"]) if "result" in reply else reply["error"]["message"]
            for reply in replies(handler, *lines)
        ]

    def test_pieces_are_put_together(self, handler: Handler) -> None:
        handler.outcome["read_transport"] = [b"a", b"bc", b"d"]
        assert self.read(handler, 4) == [b"abcd"]
        assert [call[1] for call in handler.calls] == [4, 3, 1]
        assert all(0 <= call[2] <= 5.0 for call in handler.calls)

    def test_more_than_was_asked_for_is_kept_for_the_next_read(self, handler: Handler) -> None:
        handler.outcome["read_transport"] = [b"abcdef", b"g"]
        assert self.read(handler, 2, 4, 1) == [b"ab", b"cdef", b"g"]

    def test_what_came_before_a_timeout_is_kept_for_the_next_read(self, handler: Handler) -> None:
        handler.outcome["read_transport"] = [b"abc", server.IoTimeoutError(), b"d"]
        assert self.read(handler, 4, 4) == ["IoTimeoutError", b"abcd"]

    def test_no_bytes_are_a_timeout_and_no_endless_loop(self, handler: Handler) -> None:
        handler.outcome["read_transport"] = [b"", b"x"]
        assert self.read(handler, 1, 1) == ["IoTimeoutError", b"x"]

    @pytest.mark.parametrize("method", ["open_transport", "close_transport"])
    def test_a_new_connection_begins_without_old_bytes(self, handler: Handler, method: str) -> None:
        handler.outcome["read_transport"] = [b"old", b"new"]
        lines = [
            request("read_transport", {"n": 1, "timeout_sec": 1}),
            request(method, {"options": {}} if method == "open_transport" else {}),
            request("read_transport", {"n": 3, "timeout_sec": 1}),
        ]
        assert replies(handler, *lines)[2]["result"]["data"] == base64.b85encode(b"new").decode()

    def test_what_is_no_bytes_is_the_handlers_mistake(self, handler: Handler) -> None:
        handler.outcome["read_transport"] = "text"
        refused = error(handler, "read_transport", n=4, timeout_sec=1)
        assert refused["code"] == -32603
        assert refused["message"] == 'read_transport: want bytes from the handler, got str "text"'


class Wordless(Exception):
    """Exception that cannot be converted to a string."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


def nested(depth: int) -> Dict[str, Any]:
    data: Dict[str, Any] = {}
    for _ in range(depth):
        data = {"inner": data}
    return data


def itself() -> Dict[str, Any]:
    data: Dict[str, Any] = {}
    data["inner"] = data
    return data


class TestErrorsOfAHandler:
    def raised(self, handler: Handler, failure: BaseException) -> Dict[str, Any]:
        handler.outcome["build"] = failure
        return error(handler, "build", options={})

    def test_any_exception_is_named_with_its_method_and_text(self, handler: Handler) -> None:
        reply = self.raised(handler, KeyError("board"))
        assert reply["code"] == -32000
        assert reply["message"] == "build failed: KeyError: 'board'"
        assert "test_requests.py" in reply["data"]["traceback"]
        assert not reply["data"]["traceback"].startswith("Traceback")

    def test_an_exception_without_text(self, handler: Handler) -> None:
        assert self.raised(handler, NotImplementedError())["message"] == "build failed: NotImplementedError"

    def test_an_error_that_explains_itself_is_shown_without_a_traceback(self, handler: Handler) -> None:
        reply = self.raised(handler, BuildError("The compiler failed.", "Read its message.", "a.c:1: error"))
        assert reply == {
            "code": -32000,
            "message": "The compiler failed.\nRead its message.",
            "data": {"traceback": "a.c:1: error"},
        }

    def test_a_server_error_keeps_its_message_and_its_log(self, handler: Handler) -> None:
        failure = server.ServerError("No board is attached.", {"traceback": "st-info --probe: 0"})
        assert self.raised(handler, failure) == {
            "code": -32000,
            "message": "No board is attached.",
            "data": {"traceback": "st-info --probe: 0"},
        }

    def test_a_server_error_without_a_log_gets_the_traceback(self, handler: Handler) -> None:
        reply = self.raised(handler, server.ServerError("No board is attached."))
        assert "test_requests.py" in reply["data"]["traceback"]

    @pytest.mark.parametrize(
        "kind", [server.IoTimeoutError, server.TransportClosedError, server.UnsupportedTVMVersionError]
    )
    def test_the_errors_that_clients_know_by_name(self, handler: Handler, kind: Any) -> None:
        reply = self.raised(handler, kind())
        assert (reply["code"], reply["message"]) == (-32000, kind.__name__)
        assert isinstance(reply["data"]["traceback"], str)
        assert type(server.JSONRPCError.from_json("calling method build", reply)) is kind

    def test_the_cause_of_such_an_error_is_explained_below_it(self, handler: Handler) -> None:
        failure = server.TransportClosedError()
        failure.__cause__ = TransportClosed("The firmware ended with status 3.", "Look at its output.")
        reply = self.raised(handler, failure)
        assert reply["message"] == "TransportClosedError"
        assert reply["data"]["traceback"] == "The firmware ended with status 3.\nLook at its output.\n"

    def test_a_text_for_such_an_error_goes_below_it(self, handler: Handler) -> None:
        reply = self.raised(handler, server.TransportClosedError("cable pulled"))
        assert (reply["message"], reply["data"]) == ("TransportClosedError", {"traceback": "cable pulled"})

    def test_a_json_rpc_error_is_passed_on(self, handler: Handler) -> None:
        failure = server.JSONRPCError(server.ErrorCode.INVALID_PARAMS, "options: want a board", None)
        assert self.raised(handler, failure) == {
            "code": -32602,
            "message": "options: want a board",
            "data": None,
        }

    def test_sys_exit_in_a_handler_is_a_failure_and_not_the_end(self, handler: Handler) -> None:
        handler.outcome["build"] = SystemExit(3)
        failed, served = replies(handler, request("build", {"options": {}}), request("close_transport"))
        assert failed["error"]["message"] == "build failed: SystemExit: 3"
        assert served["result"] is None

    def test_data_that_json_cannot_carry_is_shown_as_text(self, handler: Handler) -> None:
        reply = self.raised(handler, server.ServerError("No board.", {"path": Path("x")}))
        assert "Path('x')" in reply["data"]["traceback"]

    @pytest.mark.parametrize(
        ("failure", "words"),
        [
            (server.ServerError(b"bytes"), "b'bytes'"),  # type: ignore[arg-type]
            (server.ServerError(Path("a/b")), "a/b"),  # type: ignore[arg-type]
            (server.JSONRPCError("x", "m"), "build failed: JSONRPCError"),  # type: ignore[arg-type]
            (server.JSONRPCError(None, "m"), "build failed: JSONRPCError"),  # type: ignore[arg-type]
            (Wordless(), "build failed: Wordless"),
            (server.ServerError("No board.", {"device": Unshowable()}), "build failed: ServerError"),
            (server.ServerError("No board.", nested(100_000)), "build failed: ServerError"),
            (server.ServerError("No board.", itself()), "No board."),
            (BuildError(Wordless(), "x"), "build failed: BuildError"),  # type: ignore[arg-type]
        ],
        ids=lambda value: value if isinstance(value, str) else type(value).__name__,
    )
    def test_whatever_a_handler_raises_is_answered_and_the_next_request_served(
        self, handler: Handler, failure: BaseException, words: str
    ) -> None:
        handler.outcome["build"] = failure
        failed, served = replies(handler, request("build", {"options": {}}), request("close_transport"))
        assert words in failed["error"]["message"]
        assert isinstance(failed["error"]["code"], int)
        assert isinstance(failed["error"]["data"]["traceback"], str)
        assert served["result"] is None

    @pytest.mark.parametrize(
        ("method", "params", "answer"),
        [
            ("server_info_query", {"tvm_version": "1"}, None),
            ("server_info_query", {"tvm_version": "1"}, server.ServerInfo("p", True, None, None)),
            ("server_info_query", {"tvm_version": "1"}, server.ServerInfo(object(), True, None, [])),
            ("open_transport", {"options": {}}, None),
            ("open_transport", {"options": {}}, server.TransportTimeouts(object(), 0, 0)),
        ],
    )
    def test_an_answer_of_the_wrong_kind_is_the_handlers_mistake(
        self, handler: Handler, method: str, params: Dict[str, Any], answer: Any
    ) -> None:
        handler.outcome[method] = answer
        reply = error(handler, method, **params)
        assert reply["code"] == -32603
        assert f"{method}: want " in reply["message"]


class TestErrorClasses:
    """Error classes and helpers that handlers and clients use directly."""

    def test_a_plain_server_error_wants_a_message(self) -> None:
        with pytest.raises(TypeError, match="want a message"):
            server.ServerError()

    def test_from_exception_carries_the_traceback(self) -> None:
        try:
            raise OSError("no such port")
        except OSError as problem:
            made = server.ServerError.from_exception(problem, message="opening the port")
        assert made.to_json()["message"] == "opening the port"
        assert "OSError: no such port" in made.to_json()["data"]["traceback"]

    def test_str_shows_context_code_message_and_log(self) -> None:
        shown = server.JSONRPCError.from_json(
            "calling method build", {"code": -32000, "message": "No.", "data": {"traceback": "log"}}
        )
        assert str(shown) == "calling method build: JSON-RPC error # -32000: No.\nlog"
        assert str(server.JSONRPCError(-32601, "none", ["x"])) == "JSON-RPC error # -32601: none\n['x']"

    def test_an_error_of_another_code_stays_what_it_is(self) -> None:
        made = server.JSONRPCError.from_json("c", {"code": -32601, "message": "IoTimeoutError"})
        assert type(made) is server.JSONRPCError
        assert (made.code, made.client_context, made.data) == (-32601, "c", None)


class TestWriting:
    def test_short_writes_are_continued(self) -> None:
        class Short(io.RawIOBase):
            def __init__(self) -> None:
                self.written = b""

            def writable(self) -> bool:
                return True

            def write(self, data: Any) -> int:
                self.written += bytes(data[:3])
                return min(3, len(data))

        file = Short()
        server.write_all(file, b"0123456789")  # type: ignore[arg-type]
        assert file.written == b"0123456789"

    def test_a_client_that_reads_no_more_ends_the_serving(self, handler: Handler) -> None:
        class Broken(io.BytesIO):
            def write(self, data: Any) -> int:
                raise BrokenPipeError

        api = server.ProjectAPIServer(io.BytesIO(request("close_transport") * 2), Broken(), handler)
        assert api.serve_one_request() is False


class TestArguments:
    @pytest.mark.parametrize(
        "argv",
        [
            ["--read-fd", "3", "--write-fd", "4"],
            ["--write-fd=4", "--read-fd=3"],
            ["microtvm_api_server.py", "--read-fd", "3", "--write-fd", "4"],
        ],
        ids=["until TVM 0.11", "with equal signs", "from TVM 0.12"],
    )
    def test_both_shapes_of_a_launch(self, argv: List[str]) -> None:
        assert server.parse_arguments(argv) == (3, 4, False)

    def test_debug(self) -> None:
        assert server.parse_arguments(["--read-fd", "3", "--debug", "--write-fd", "4"]).debug is True

    @pytest.mark.parametrize(
        ("argv", "sentence"),
        [
            ([], "want --read-fd, got none"),
            (["--read-fd", "3"], "want --write-fd, got none"),
            (
                ["--read-fd", "x", "--write-fd", "4"],
                '--read-fd: want the number of a file descriptor, got str "x"',
            ),
            (["--read-fd"], "--read-fd: want the number of a file descriptor"),
            (["--read-fd", "3", "--write-fd", "4", "--port", "1"], 'unknown argument str "--port"'),
            (["one.py", "two.py", "--read-fd", "3", "--write-fd", "4"], 'unknown argument str "two.py"'),
        ],
    )
    def test_wrong_ones_end_with_status_2_and_a_sentence(
        self, argv: List[str], sentence: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            server.parse_arguments(argv)
        assert caught.value.code == 2
        shown = capsys.readouterr().err
        assert sentence in shown
        assert "usage:" in shown

    def test_a_descriptor_that_is_not_open(
        self, handler: Handler, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as caught:
            server.main(handler, ["--read-fd", "99999", "--write-fd", "99999"])
        assert caught.value.code == 2
        assert "--read-fd 99999: Bad file descriptor" in capsys.readouterr().err
