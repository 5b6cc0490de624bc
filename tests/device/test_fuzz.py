# SPDX-License-Identifier: Apache-2.0
"""Mutated conversations with the real MLP model, with AddressSanitizer and UndefinedBehaviorSanitizer."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Sequence

import pytest

from tests.device.building import DATA, HERE, INCLUDES, LIBRARY, STRICT, model_files, run, unpack
from tests.device.conversations import header

CONVERSATIONS = 100_000


def build_fuzzer(compiler: str, into: Path, sanitizers: str, flags: Sequence[str] = ()) -> Path:
    """Compile fuzz.c, the device runtime and the model with the sanitizers, and return the program."""
    (into / "conversations.h").write_text(header(), encoding="utf-8")
    model = unpack(DATA / "models" / "mlp_f32_aot.tar", into / "model")
    common = [
        "-O2",
        "-g",
        f"-fsanitize={sanitizers}",
        "-fno-sanitize-recover=all",
        "-DMTVM_MAX_RUNS=16",
        *flags,
    ]
    objects = []
    for source in model_files(model):
        objects.append(source.with_suffix(".o"))
        run([compiler, "-w", *common, *INCLUDES, "-DTVMSystemLibEntryPoint=model_system_lib",
             "-c", source, "-o", objects[-1]])  # fmt: skip
    program = into / "fuzz"
    run([compiler, *STRICT, *common, *INCLUDES, f"-I{HERE}", f"-I{into}", *LIBRARY, HERE / "fuzz.c",
         HERE / "fuzz_model.c", HERE / "harness.c", *objects, "-lm", "-o", program])  # fmt: skip
    return program


@pytest.mark.slow
def test_a_hundred_thousand_mutated_conversations(tmp_path: Path) -> None:
    program = build_fuzzer("gcc", tmp_path, "address,undefined")
    done = subprocess.run(
        [str(program), "1", str(CONVERSATIONS)], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr[-4000:]
    words = done.stdout.split()
    assert words[:2] == ["conversations", str(CONVERSATIONS)]
    returned, exceptions, copies = (int(words[at]) for at in (3, 5, 7))
    assert min(returned, exceptions) > 5 * CONVERSATIONS and copies > CONVERSATIONS // 2, "too few replies"


@pytest.mark.slow
def test_the_libfuzzer_target_builds_and_runs(tmp_path: Path) -> None:
    probe = tmp_path / "probe.c"
    probe.write_text("int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return d && n > 9; }\n")
    linked = subprocess.run(
        ["clang", "-fsanitize=fuzzer", str(probe), "-o", str(tmp_path / "probe")],
        capture_output=True,
        check=False,
    )
    if linked.returncode != 0:
        assert not os.environ.get("CI"), "CI must have clang with its fuzzer runtime"
        pytest.skip("clang has no fuzzer runtime here (Debian: libclang-rt-14-dev)")
    program = build_fuzzer("clang", tmp_path, "fuzzer,address,undefined", ["-DLIBFUZZER"])
    # A child inherits the largest size of its parent (getrusage): only single allocations are limited.
    done = subprocess.run(
        [str(program), "-max_total_time=4", "-max_len=512", "-seed=1", "-rss_limit_mb=0",
         "-malloc_limit_mb=64"],
        capture_output=True, text=True, check=False, cwd=tmp_path, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
