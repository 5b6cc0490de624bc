# SPDX-License-Identifier: Apache-2.0
"""Reader of .pt2 files, which torch.export.save writes.

A .pt2 file is a zip of a graph in JSON, weights as plain bytes, and pickles. torch.export.load of PyTorch
2.13 runs any code of a pickle: of example inputs, of weights with the flag use_pickle, of objects. It also
loads libraries of AOTInductor. So this module copies the graph and plain weights to a new zip, which PyTorch
reads.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import warnings
import zipfile
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Final, Iterator, Tuple

from runtime.host.compile.errors import ModelError
from runtime.host.compile.torch_import.package import check_torch
from runtime.host.compile.torch_import.program_json import EXPORT, check_tensor, checked_program
from runtime.host.errors import PlatformError, reason_of
from runtime.host.system.regular_files import read_bytes

if TYPE_CHECKING:
    from torch.export import ExportedProgram

MAX_BYTES: Final = 512 << 20  # far more than the flash of any microcontroller
MAX_MEMBERS: Final = 20_000
PAYLOAD: Final = re.compile(r"(?:weight|tensor)_[0-9]+\Z")
FOLDERS: Final = {"weights": "data/weights/", "constants": "data/constants/"}
FROM_SOURCE: Final = (
    "Load the module in Python, then write a program: "
    'torch.export.save(torch.export.export(module.eval(), inputs), "model.pt2").'
)

Members = Dict[str, bytes]


def read_program(path: Path) -> ExportedProgram:
    """Return the program in a .pt2 file. No code of the file is executed.

    Raises:
        PlatformError: The file cannot be read.
        ModelError: The file is not a program, is damaged, or has a part that needs code of the file.
        ToolMissing: PyTorch is not installed.
    """
    try:
        data = read_bytes(path, MAX_BYTES)
    except OSError as error:
        raise PlatformError(f"{path} cannot be read: {reason_of(error)}.", "Check the path.") from error
    check_torch()
    plain = _plain_archive(path, _members(path, data))
    import torch

    try:
        with _quiet():
            program: ExportedProgram = torch.export.load(io.BytesIO(plain))
    except Exception as error:  # PyTorch raises many, all derived from Exception
        raise ModelError(
            f"PyTorch {torch.__version__} cannot load {path}: {_first_line(error)}",
            "Export the module again with this version of PyTorch.",
        ) from error
    return program


def _members(path: Path, data: bytes) -> Members:
    """Return the files of a zip, without its outermost folder.

    Raises:
        ModelError: The file is not a zip, is damaged, or is a file of PyTorch of another kind.
    """
    if not data.startswith(b"PK"):
        kind = "a pickle" if data.startswith(b"\x80") else "not a zip"
        raise ModelError(f"{path} is not a program of torch.export: the file is {kind}.", FROM_SOURCE)
    found: Members = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if len(entries) > MAX_MEMBERS or sum(entry.file_size for entry in entries) > MAX_BYTES:
                raise ModelError(f"{path} is too large.", "Use a model that fits a microcontroller.")
            for entry in entries:
                name = entry.filename.partition("/")[2] or entry.filename
                if name in found:
                    raise ModelError(f"{path} has the member {entry.filename[:100]!r} twice.", EXPORT)
                # Compressed members, such as the code of TorchScript, may be larger than they declare.
                found[name] = b"" if entry.compress_type != zipfile.ZIP_STORED else archive.read(entry)
    except ModelError:
        raise
    except Exception as error:  # zipfile raises struct.error, EOFError, NotImplementedError and more
        raise ModelError(f"{path} is a damaged zip: {_first_line(error)}", "Copy the file again.") from error
    if found.get("archive_format") != b"pt2":
        raise _other_kind(path, found)
    return found


def _other_kind(path: Path, members: Members) -> ModelError:
    if "constants.pkl" in members or any(name.startswith("code/") for name in members):
        kind = "a TorchScript file"
    elif "data.pkl" in members:
        kind = "a pickle of torch.save"
    elif "serialized_exported_program.json" in members:
        kind = "in the file format of PyTorch 2.7 or older"
    else:
        kind = "another zip"
    return ModelError(f"{path} is not a program of torch.export: the file is {kind}.", FROM_SOURCE)


def _plain_archive(path: Path, members: Members) -> bytes:
    """Return a zip with the graph and the plain weights only."""
    names = [name for name in members if re.match(r"models/[^/]+\.json\Z", name)]
    if any(name.startswith("data/aotinductor/") for name in members):
        raise ModelError(f"{path} has compiled code of AOTInductor.", EXPORT)
    if len(names) != 1:
        raise ModelError(f"{path} has {len(names)} programs: expected 1.", EXPORT)
    if members.get("byteorder", b"little") != b"little":
        raise ModelError(f"{path} has big-endian weights.", "Export the module on a little-endian machine.")
    name = names[0][len("models/") : -len(".json")]
    kept: Members = {
        "archive_format": b"pt2",
        "archive_version": members.get("archive_version", b"0"),
        ".data/version": b"6\n",
        "byteorder": b"little",
        "models/model.json": checked_program(members[names[0]]),
        "data/sample_inputs/model.pt": b"",
    }
    for kind, folder in FOLDERS.items():
        config, payloads = _checked_payloads(path, members, folder, f"{folder}{name}_{kind}_config.json")
        kept[f"{folder}model_{kind}_config.json"] = config
        kept.update(payloads)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for member, content in kept.items():
            archive.writestr(f"model/{member}", content)
    return written.getvalue()


def _checked_payloads(path: Path, members: Members, folder: str, config: str) -> Tuple[bytes, Members]:
    """Return the list of weights or constants, and their bytes."""
    payloads: Members = {}
    if config not in members:
        raise ModelError(
            f"{path} has pickled weights: the file is in the format of PyTorch 2.8 or older.", FROM_SOURCE
        )
    try:
        listed = json.loads(members[config])["config"]
        for name, entry in listed.items():
            member = f"{folder}{entry['path_name']}"
            if entry["use_pickle"] or not PAYLOAD.match(entry["path_name"]):
                raise ModelError(
                    f"{path} has the pickled tensor or object {name[:100]!r}. A pickle can run any code.",
                    "Export a module whose parameters and constants are plain tensors.",
                )
            check_tensor(name, entry["tensor_meta"])
            _check_size(entry["tensor_meta"], len(members[member]))
            payloads[member] = members[member]
        return json.dumps({"config": listed}).encode(), payloads
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"The weights of {path} are damaged: {_first_line(error)}", "Copy the file again."
        ) from error


def _check_size(meta: Any, size_bytes: int) -> None:
    """Check that a tensor lies within the bytes of its storage, at 1 byte an element or more."""
    sizes = [extent["as_int"] for extent in meta["sizes"]]
    strides = [extent["as_int"] for extent in meta["strides"]]
    if len(sizes) != len(strides):
        raise ValueError("a tensor has another number of strides than of dimensions")
    if prod(sizes) == 0:
        return
    last = meta["storage_offset"]["as_int"] + sum((size - 1) * stride for size, stride in zip(sizes, strides))
    if last >= size_bytes or prod(sizes) > MAX_BYTES:
        raise ValueError("a tensor is larger than its bytes")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Discard what PyTorch logs and warns of: an exception has the reason of a failure."""
    logger = logging.getLogger("torch.export")
    was = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = was


def _first_line(error: BaseException) -> str:
    cause = error.__cause__ or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    text = lines[0][:200] if lines else type(cause).__name__
    return text if text.endswith(".") else f"{text}."
