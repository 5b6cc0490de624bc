# SPDX-License-Identifier: Apache-2.0
"""Project options of runtime.server: declarations, and conversion of the values that a client sends."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest

from runtime import server

SEVEN = [
    "verbose",
    "project_type",
    "board",
    "cmsis_path",
    "warning_as_error",
    "compile_definitions",
    "extra_files_tar",
]


def declared() -> List[server.ProjectOption]:
    return [
        *server.default_project_options(board={"choices": ["nucleo", "microbit"]}),
        server.ProjectOption("serial_number", type="str", optional=["flash"], help="Serial number."),
        server.ProjectOption("workspace_size_bytes", type="int", optional=["build"], help="Bytes."),
        server.ProjectOption("sources", type="list", optional=["build"], default=["a.c"], help="Files."),
    ]


def coerced(**given: Any) -> Dict[str, Any]:
    return server.coerce_options(declared(), given)


def refusal(**given: Any) -> server.OptionError:
    with pytest.raises(server.OptionError) as caught:
        coerced(**given)
    return caught.value


class TestDeclaring:
    def test_the_seven_defaults(self) -> None:
        assert [option.name for option in server.default_project_options()] == SEVEN

    def test_every_option_has_seven_fields(self) -> None:
        for option in server.default_project_options():
            fields = ["name", "choices", "default", "type", "required", "optional", "help"]
            assert list(option._asdict()) == fields

    def test_an_override_changes_the_fields_it_names(self) -> None:
        options = server.default_project_options(verbose={"optional": ["build"], "default": True})
        assert options[0].optional == ["build"]
        assert options[0].default is True
        assert options[0].type == "bool"

    def test_an_override_of_an_unknown_option_is_a_value_error_that_suggests(self) -> None:
        with pytest.raises(ValueError, match=r'"verbos".*Did you mean "verbose"'):
            server.default_project_options(verbos={"default": True})

    def test_replace_gives_a_changed_copy(self) -> None:
        option = server.ProjectOption("port", type="str", optional=["flash"], help="Port.")
        assert option.replace({"default": "/dev/ttyACM0"}).default == "/dev/ttyACM0"
        assert option.default is None

    def test_replace_of_an_unknown_field_is_a_value_error_that_suggests(self) -> None:
        option = server.ProjectOption("port", type="str", optional=["flash"], help="Port.")
        with pytest.raises(ValueError, match=r'"defualt".*Did you mean "default"'):
            option.replace({"defualt": 1})

    @pytest.mark.parametrize(
        "fields", [{"type": "str", "help": ""}, {"optional": [], "help": ""}, {"optional": [], "type": "str"}]
    )
    def test_an_option_without_methods_type_or_help_is_refused(self, fields: Dict[str, Any]) -> None:
        with pytest.raises(TypeError, match='"port": want'):
            server.ProjectOption("port", **fields)


class TestValues:
    @pytest.mark.parametrize("text", ["true", "True", "YES", "on", "1", " true "])
    def test_bool_from_text_that_means_true(self, text: str) -> None:
        assert coerced(verbose=text)["verbose"] is True

    @pytest.mark.parametrize("text", ["false", "False", "no", "OFF", "0"])
    def test_bool_from_text_that_means_false(self, text: str) -> None:
        assert coerced(verbose=text)["verbose"] is False

    @pytest.mark.parametrize(
        ("given", "number"), [("4096", 4096), (" 0x1000 ", 4096), ("010", 10), ("-1", -1), (7, 7)]
    )
    def test_int(self, given: object, number: int) -> None:
        assert coerced(workspace_size_bytes=given)["workspace_size_bytes"] == number

    def test_str_keeps_text_and_takes_numbers(self) -> None:
        assert coerced(serial_number="0669FF")["serial_number"] == "0669FF"
        assert coerced(serial_number=66)["serial_number"] == "66"

    @pytest.mark.parametrize(
        ("given", "items"),
        [
            ("a.c, b.c", ["a.c", "b.c"]),
            ('["a,b.c", 1]', ["a,b.c", "1"]),
            (["x", "y"], ["x", "y"]),
            ("", []),
        ],
    )
    def test_list(self, given: object, items: List[str]) -> None:
        assert coerced(sources=given)["sources"] == items

    @pytest.mark.parametrize(
        ("name", "wrong"),
        [
            ("verbose", "maybe"),
            ("verbose", 2),
            ("verbose", []),
            ("workspace_size_bytes", "4 KiB"),
            ("workspace_size_bytes", ""),
            ("workspace_size_bytes", True),
            ("workspace_size_bytes", 1.5),
            ("serial_number", True),
            ("serial_number", {"a": 1}),
            ("sources", "[1,"),
            ("sources", [["a"]]),
            ("sources", 3),
        ],
    )
    def test_what_does_not_parse_is_refused_with_what_was_wanted(self, name: str, wrong: object) -> None:
        error = refusal(**{name: wrong})
        kind = next(option.type for option in declared() if option.name == name)
        assert f'"{name}": want {kind}, got' in error.what
        assert error.next_step.startswith("Give it as")

    def test_a_value_that_is_no_choice_is_refused_with_the_closest(self) -> None:
        error = refusal(board="nucelo")
        assert error.what == 'project option "board": want one of nucleo, microbit, got str "nucelo".'
        assert error.next_step == 'Did you mean "nucleo"?'

    def test_a_type_that_is_not_known_here_leaves_the_value_alone(self) -> None:
        option = server.ProjectOption("gain", type="float", optional=["build"], help="Gain.")
        assert server.coerce_options([option], {"gain": "1.5"}) == {"gain": "1.5"}


class TestNames:
    def test_every_declared_option_is_there_with_its_default(self) -> None:
        options = coerced()
        assert options["verbose"] is False
        assert options["board"] is None
        assert set(options) == {option.name for option in declared()}

    def test_none_is_as_good_as_not_given(self) -> None:
        assert coerced(verbose=None, workspace_size_bytes=None) == coerced()

    def test_no_options_at_all(self) -> None:
        assert server.coerce_options(declared(), None) == coerced()

    def test_none_for_an_unknown_option_is_passed_over(self) -> None:
        assert coerced(gdbserver_port=None) == coerced()

    def test_an_unknown_option_is_refused_with_the_closest(self) -> None:
        error = refusal(serial_numbr="1")
        assert error.what == 'no project option is called "serial_numbr".'
        assert error.next_step == 'Did you mean "serial_number"?'
        assert error.code == server.ErrorCode.SERVER_ERROR

    def test_an_unknown_option_like_no_other_is_refused_with_all_names(self) -> None:
        assert "cmsis_path, compile_definitions" in refusal(qqqq="1").next_step

    @pytest.mark.parametrize(("old", "new"), sorted(server.OPTION_ALIASES.items()))
    def test_an_old_name_is_taken_for_the_new_one(self, old: str, new: str) -> None:
        values = {"board": "nucleo", "serial_number": "66", "workspace_size_bytes": 4096}
        assert coerced(**{old: str(values[new])})[new] == values[new]

    def test_an_old_name_that_is_declared_itself_stays_itself(self) -> None:
        options = [
            *declared(),
            server.ProjectOption("zephyr_board", type="str", optional=["build"], help="Another board."),
        ]
        values = server.coerce_options(options, {"zephyr_board": "x"})
        assert (values["zephyr_board"], values["board"]) == ("x", None)

    def test_two_names_of_one_option_may_agree_but_not_differ(self) -> None:
        assert coerced(board="nucleo", zephyr_board="nucleo")["board"] == "nucleo"
        assert "two names of one option" in refusal(board="nucleo", arduino_board="microbit").what

    def test_a_required_option_must_be_there(self) -> None:
        with pytest.raises(
            server.OptionError, match='generate_project wants the project option "project_type"'
        ):
            server.coerce_options(declared(), {"board": "nucleo"}, "generate_project")
        assert server.coerce_options(declared(), {}, "build")["board"] is None

    def test_what_is_given_is_not_changed(self) -> None:
        given = {"verbose": "true"}
        values = server.coerce_options(declared(), given)
        values["sources"].append("b.c")
        assert given == {"verbose": "true"}
        assert coerced()["sources"] == ["a.c"]
