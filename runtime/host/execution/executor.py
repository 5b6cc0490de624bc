# SPDX-License-Identifier: Apache-2.0
"""Executors: run a model on a device, one call after another.

Whatever the archive holds, an inference is the same three steps: copy the inputs to their tensors on the
device, make a list of calls, copy the outputs back. Requests that do not change from one inference to the
next are encoded once.

To add a kind of executor: a subclass that hands its tensors and calls to Executor, and its case in
create_executor.py.
"""

from __future__ import annotations

import struct
from typing import Dict, Final, List, Mapping, NamedTuple, Sequence, Tuple, Union

from runtime.host.archive.tensor_specs import TensorSpec
from runtime.host.dtype import DType
from runtime.host.errors import ArchiveError, DeviceError, PlatformError
from runtime.host.execution.device_memory import Array, DeviceMemory, Getter, Setter
from runtime.host.execution.replies import unexpected_reply
from runtime.host.execution.time_evaluator import create_time_evaluator
from runtime.host.wire.messages import Handle, Value
from runtime.host.wire.remote_tensor import CPU, RemoteTensor
from runtime.host.wire.rpc import CopyFrom, CopyTo, PreparedCall, RemoteFunction, RpcClient
from runtime.host.wire.stored_call import prepare

LARGEST_SCRATCH_BYTES: Final = 1 << 24
SMALLEST_SCRATCH_BYTES: Final = 64


class Placed(NamedTuple):
    """An input or output of the model, and the tensor of the device that holds it."""

    spec: TensorSpec
    tensor: RemoteTensor


class Step(NamedTuple):
    """A call that every inference makes: a function of a module of the device."""

    module: Handle
    function: RemoteFunction
    arguments: Tuple[Value, ...] = ()


class Executor:
    """A model that is ready on a device.

    rpc: the device itself. inputs, outputs: what the model takes and gives. Subclasses hand over where these
    are and what to call.
    """

    def __init__(
        self,
        rpc: RpcClient,
        memory: DeviceMemory,
        inputs: Sequence[Placed],
        outputs: Sequence[Placed],
        steps: Sequence[Step],
    ) -> None:
        self.rpc = rpc
        self.inputs = [place.spec for place in inputs]
        self.outputs = [place.spec for place in outputs]
        self._memory = memory
        self._steps = steps
        self._calls: List[PreparedCall] = [
            prepare(rpc, step.function, step.arguments, memory.vector) for step in steps
        ]
        self._setters: Dict[Union[int, str], Setter] = {}
        for index, place in enumerate(inputs):
            setter = Setter(place.spec, CopyTo(rpc, place.tensor))
            self._setters.update({index: setter, place.spec.name: setter})
        self._getters = [Getter(place.spec, CopyFrom(rpc, place.tensor)) for place in outputs]
        self._doubted: Sequence[RemoteTensor] = ()

    def doubt(self, tensors: Sequence[RemoteTensor]) -> None:
        """Let the first run prove that the answer does not depend on what was in memory before.

        For code whose text does not tell that it writes its outputs. tensors: outputs, and memory that the
        host gives to the code.
        """
        self._doubted = tensors

    @property
    def input_names(self) -> List[str]:
        return [spec.name for spec in self.inputs]

    @property
    def round_trips(self) -> int:
        """How many requests one inference makes: blocks of inputs, calls, blocks of outputs."""
        setters = {id(setter): setter for setter in self._setters.values()}.values()
        return (
            sum(setter.blocks for setter in setters)
            + len(self._calls)
            + sum(getter.blocks for getter in self._getters)
        )

    def infer(self, inputs: Union[Mapping[str, Array], Mapping[int, Array]]) -> List[Array]:
        """One inference: sets these inputs, by name or index, runs the model and gives all outputs in order.

        PlatformError when an input is not there or its array does not fit.
        """
        for key, value in inputs.items():
            self.set_input(key, value)
        self.run()
        return [self.get_output(index) for index in range(len(self.outputs))]

    def set_input(self, key: Union[int, str], value: Array) -> None:
        """Copies an array to an input, by name or index. PlatformError when its type or shape is another."""
        setter = self._setters.get(key)
        if setter is None:
            raise PlatformError(
                f"The model has no input {key!r}.",
                f"It has these, in this order: {', '.join(self.input_names)}.",
            )
        setter(value)

    def run(self) -> None:
        """Runs the model on the inputs that are set. An input that never was is undefined.

        Raises ArchiveError at the first run of code that leaves an output, or reads memory, unwritten.
        """
        if self._doubted:
            self._prove()
        for call in self._calls:
            call()

    def _prove(self) -> None:
        """Run the model in memory that holds one pattern, and again in memory that holds another."""
        doubted, self._doubted = self._doubted, ()
        answers = []
        for pattern in (b"\xa5", b"\x5a"):
            for tensor in doubted:
                self.rpc.copy_to(tensor, pattern * tensor.nbytes)
            self._fill_scratch(pattern)
            for call in self._calls:
                call()
            answers.append([self.get_output(index).tobytes() for index in range(len(self.outputs))])
        for index, (one, other) in enumerate(zip(*answers)):
            if one != other:
                raise ArchiveError(
                    f"The model's code does not compute output {index} ({self.outputs[index].name!r}): it "
                    "depends on what was in memory before.",
                    "Export it for the graph executor, or with opt_level=3 and each tensor returned once.",
                )

    def _fill_scratch(self, pattern: bytes) -> None:
        """Fill all memory that is left: the code takes its workspace from the far end of it."""
        blocks = DeviceMemory(self.rpc)
        size = LARGEST_SCRATCH_BYTES
        while size >= SMALLEST_SCRATCH_BYTES:
            try:
                scratch = blocks.vector(DType.parse("uint8"), size)
            except DeviceError:
                size //= 2
                continue
            self.rpc.copy_to(scratch, pattern * size)
        blocks.free()

    def get_output(self, index: int = 0) -> Array:
        """An output of the last run, as a new array."""
        if not 0 <= index < len(self._getters):
            raise PlatformError(
                f"The model has no output {index}.", f"It has {len(self._getters)}, counted from 0."
            )
        return self._getters[index]()

    def time_evaluator(self, number: int, repeat: int, min_repeat_ms: int = 0) -> List[float]:
        """Seconds that one run takes on the device itself, `repeat` times, each the mean of `number` runs.

        Measured by the device's clock, call by call: what lies between the calls of a graph is not in it.
        min_repeat_ms: let the device raise `number` until one repeat takes so long.
        """
        totals = [0.0] * repeat
        evaluator = self.rpc.get_function("runtime.RPCTimeEvaluator")
        for step in self._steps:
            arguments = (step.module, step.function.name, *CPU, number, repeat, min_repeat_ms)
            timed = create_time_evaluator(evaluator, arguments)
            stored = DeviceMemory(self.rpc)
            try:
                function = RemoteFunction(self.rpc, timed, step.function.name)
                seconds = prepare(self.rpc, function, step.arguments, stored.vector)()
            except DeviceError:
                stored.free()
                self.rpc.free(timed)
                raise  # after anything else there is no session left to free it in
            stored.free()
            self.rpc.free(timed)
            if not isinstance(seconds, bytes) or len(seconds) != 8 * repeat:
                raise unexpected_reply("a time evaluator")
            totals = [sum(pair) for pair in zip(totals, struct.unpack(f"<{repeat}d", seconds))]
        return totals
