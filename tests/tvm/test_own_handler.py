# SPDX-License-Identifier: Apache-2.0
"""Owner's API server with its own device input and output, used by TVM's session."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Baker
from tests.tvm.conftest import Tvm

pytestmark = pytest.mark.slow

OWN_WAY = """    def write_transport(self, data, timeout_sec):
        super().write_transport(data, timeout_sec)
        with open("written.bin", "ab") as file:
            file.write(data)


if __name__ =="""


def test_a_session_goes_through_the_methods_of_the_owner(
    tvm_python: str, bake: Baker, tmp_path: Path
) -> None:
    tvm = Tvm(tvm_python, bake())
    server = tvm.platform.path / "microtvm_api_server.py"
    text = server.read_text()
    assert text.count("\n\nif __name__ ==") == 1
    server.write_text(text.replace("\n\nif __name__ ==", f"\n{OWN_WAY}"))
    name = "archives/graph_c"
    assert tvm.report("archives.py", tvm.platform.path, tmp_path, "host", name) == {name: True}
    assert (tmp_path / "archives_graph_c" / "written.bin").stat().st_size > 500
