# SPDX-License-Identifier: Apache-2.0
"""Executors, which run a model on a device as a list of calls.

Every inference has three steps: copy the inputs to their tensors on the device, make the calls, and copy the
outputs back. Requests that are equal in every inference are encoded only once.

To add a kind of executor: a subclass that passes its tensors and calls to Executor, and its case in
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
    """An input or output of the model, and its tensor on the device."""

    spec: TensorSpec
    tensor: RemoteTensor


class Step(NamedTuple):
    """A call of a function on the device, as a part of every inference."""

    module: Handle
    function: RemoteFunction
    arguments: Tuple[Value, ...] = ()


class Executor:
    """A model that is ready to run on a device.

    Args:
        rpc: Client of the device.
        memory: Device memory of this executor.
        inputs: Inputs of the model and their tensors.
        outputs: Outputs of the model and their tensors.
        steps: Calls of an inference, in order.

    Attributes:
        rpc: Client of the device.
        inputs: Specifications of the inputs.
        outputs: Specifications of the outputs.
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
        """Make the first run check that the answer does not depend on the previous content of the memory.

        This is for code that the host tools cannot analyse, and which may leave outputs unwritten.

        Args:
            tensors: Outputs, and memory that the host allocates for the code.
        """
        self._doubted = tensors

    @property
    def input_names(self) -> List[str]:
        """Names of the inputs, in order."""
        return [spec.name for spec in self.inputs]

    @property
    def round_trips(self) -> int:
        """Number of requests per inference: blocks of inputs, calls and blocks of outputs."""
        setters = {id(setter): setter for setter in self._setters.values()}.values()
        return (
            sum(setter.blocks for setter in setters)
            + len(self._calls)
            + sum(getter.blocks for getter in self._getters)
        )

    def infer(self, inputs: Union[Mapping[str, Array], Mapping[int, Array]]) -> List[Array]:
        """Set inputs, run the model and return all outputs in order.

        Args:
            inputs: Arrays, by name or index of the input.

        Raises:
            PlatformError: An input does not exist, or the type or shape of its array is wrong.
        """
        for key, value in inputs.items():
            self.set_input(key, value)
        self.run()
        return [self.get_output(index) for index in range(len(self.outputs))]

    def set_input(self, key: Union[int, str], value: Array) -> None:
        """Copy an array to an input.

        Args:
            key: Name or index of the input.
            value: Array with the type and shape of the input.

        Raises:
            PlatformError: The input does not exist, or the type or shape of the array is wrong.
        """
        setter = self._setters.get(key)
        if setter is None:
            raise PlatformError(
                f"The model has no input {key!r}.",
                f"Use an index or one of these names, in this order: {', '.join(self.input_names)}.",
            )
        setter(value)

    def run(self) -> None:
        """Run the model on the inputs that are set. An input that was never set has undefined values.

        Raises:
            ArchiveError: This is the first run, and an output depends on memory that the code did not write.
        """
        if self._doubted:
            self._prove()
        for call in self._calls:
            call()

    def _prove(self) -> None:
        """Run the model twice, in memory filled with two different patterns, and compare the answers."""
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
                    f"The model's code does not compute output {index} ({self.outputs[index].name!r}): its "
                    "values depend on the previous content of the memory.",
                    "Export the model for the graph executor, or with opt_level=3 and each tensor returned "
                    "once.",
                )

    def _fill_scratch(self, pattern: bytes) -> None:
        """Fill all free memory, since the code allocates its workspace from the far end of the memory."""
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
        """Return an output of the last run as a new array.

        Raises:
            PlatformError: The output does not exist.
        """
        if not 0 <= index < len(self._getters):
            raise PlatformError(
                f"The model has no output {index}.", f"Use an index from 0 to {len(self._getters) - 1}."
            )
        return self._getters[index]()

    def time_evaluator(self, number: int, repeat: int, min_repeat_ms: int = 0) -> List[float]:
        """Return the seconds of one run, measured `repeat` times with the clock of the device.

        The calls of a graph are measured one by one. The time between the calls is not included.

        Args:
            number: Runs per measurement; a result is the mean of these runs.
            repeat: Number of measurements.
            min_repeat_ms: Minimum time of a measurement; the device increases `number` to reach this time.
        """
        steps = self._time_steps(number, repeat, min_repeat_ms)
        return [sum(step[index] for step in steps) for index in range(repeat)]

    def instructions(self, instruction_ns: int) -> int:
        """Return the instructions of one run, on a device whose time advances by instructions.

        The calls of a graph are counted one by one. The instructions between the calls are not included.

        Args:
            instruction_ns: Nanoseconds of the device's time per instruction. The count is exact if a tick of
                the device's timer takes less than half of them.
        """
        return sum(round(1e9 * step[0] / instruction_ns) for step in self._time_steps(1, 1, 0))

    def _time_steps(self, number: int, repeat: int, min_repeat_ms: int) -> List[Tuple[float, ...]]:
        """Return the seconds of each call of a run, measured `repeat` times."""
        steps = []
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
                raise  # any other error ends the session, and with it these blocks
            stored.free()
            self.rpc.free(timed)
            if not isinstance(seconds, bytes) or len(seconds) != 8 * repeat:
                raise unexpected_reply(f"a time evaluator did not return {repeat} numbers")
            steps.append(struct.unpack(f"<{repeat}d", seconds))
        return steps
