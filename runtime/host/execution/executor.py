# SPDX-License-Identifier: Apache-2.0
"""Executors: run a model on a device, one call after another.

Whatever the archive holds, an inference is the same three steps: copy the inputs to their tensors on the
device, make a list of calls, copy the outputs back. Requests that do not change from one inference to the
next are encoded once.
"""

from __future__ import annotations

import contextlib
import struct
from math import prod
from typing import Any, Dict, Final, Iterator, List, Mapping, NamedTuple, Sequence, Tuple, Union, cast

import numpy

from runtime.host.archive.graph import Graph, parse_graph
from runtime.host.archive.model_archive import ModelArchive, TensorSpec, entry_name, metadata_name
from runtime.host.archive.params import parse_params
from runtime.host.dtype import DType, describe
from runtime.host.errors import ArchiveError, DeviceError, PlatformError, ProtocolError
from runtime.host.project.code_rules import llvm_arguments
from runtime.host.wire.remote_tensor import CPU, RemoteTensor
from runtime.host.wire.rpc import CopyFrom, CopyTo, Handle, PreparedCall, RemoteFunction, RpcClient, Value
from runtime.host.wire.stored_call import prepare

LARGEST_SCRATCH_BYTES: Final = 1 << 24
SMALLEST_SCRATCH_BYTES: Final = 64
Array = Any  # numpy.ndarray of any data type: the model decides


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
        memory: _Memory,
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
        self._setters: Dict[Union[int, str], _Setter] = {}
        for index, place in enumerate(inputs):
            setter = _Setter(place.spec, CopyTo(rpc, place.tensor))
            self._setters.update({index: setter, place.spec.name: setter})
        self._getters = [_Getter(place.spec, CopyFrom(rpc, place.tensor)) for place in outputs]
        self._doubted: Sequence[RemoteTensor] = ()

    def doubt(self, tensors: Sequence[RemoteTensor]) -> None:
        """Let the first run prove that the answer does not depend on what was in memory before.

        For code whose text does not tell that it writes its outputs. tensors: outputs, and memory that the
        host gives to the code.
        """
        self._doubted = tensors

    @property
    def num_inputs(self) -> int:
        return len(self.inputs)

    @property
    def num_outputs(self) -> int:
        return len(self.outputs)

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
        return [self.get_output(index) for index in range(self.num_outputs)]

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
            answers.append([self.get_output(index).tobytes() for index in range(self.num_outputs)])
        for index, (one, other) in enumerate(zip(*answers)):
            if one != other:
                raise ArchiveError(
                    f"The model's code does not compute output {index} ({self.outputs[index].name!r}): it "
                    "depends on what was in memory before.",
                    "Export it for the graph executor, or with opt_level=3 and each tensor returned once.",
                )

    def _fill_scratch(self, pattern: bytes) -> None:
        """Fill all memory that is left: the code takes its workspace from the far end of it."""
        blocks = _Memory(self.rpc)
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
            stored = _Memory(self.rpc)
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
                raise _odd_answer("a time evaluator")
            totals = [sum(pair) for pair in zip(totals, struct.unpack(f"<{repeat}d", seconds))]
        return totals

    def close(self) -> None:
        """Gives back what the executor holds on the device. A new session frees it too."""
        self._memory.free()


class AotExecutor(Executor):
    """A model whose code runs it as a whole, through the AOT executor of the device."""

    def __init__(self, rpc: RpcClient, archive: ModelArchive) -> None:
        create = rpc.get_function("tvm.aot_executor.create")
        module = create(rpc.system_lib(), CPU, archive.module)
        if not isinstance(module, Handle):
            raise _odd_answer("tvm.aot_executor.create")
        self._module = module
        outputs = self._places(rpc, "get_output", "get_num_outputs", archive.outputs)
        super().__init__(
            rpc,
            _Memory(rpc),
            self._places(rpc, "get_input", "get_num_inputs", archive.inputs),
            outputs,
            [Step(module, self._function(rpc, "run"))],
        )
        if not archive.is_followed:
            self.doubt([place.tensor for place in outputs])

    def close(self) -> None:
        super().close()
        self.rpc.free(self._module)

    def _function(self, rpc: RpcClient, name: str) -> RemoteFunction:
        function = rpc.module_function(self._module, name)
        if function is None:
            raise _odd_answer(f"the AOT executor, which has no {name},")
        return function

    def _places(self, rpc: RpcClient, getter: str, counter: str, specs: Sequence[TensorSpec]) -> List[Placed]:
        """The tensors of the device's executor. They live as long as it does, so their handles are given
        back."""
        get = self._function(rpc, getter)
        count = self._function(rpc, counter)()
        if count != len(specs):
            raise _other_model(f"{counter} is {count!r}, and the archive has {len(specs)}")
        places = []
        for index, spec in enumerate(specs):
            tensor = get(index)
            if not isinstance(tensor, RemoteTensor):
                raise _odd_answer(getter)
            rpc.free(tensor)
            if tensor.nbytes != spec.size_bytes or str(tensor.dtype) != spec.dtype:
                raise _other_model(
                    f"{spec.name} is {describe(tensor.dtype, tensor.shape)} on the device, and in the "
                    f"archive {spec.dtype} of {spec.size_bytes} bytes"
                )
            places.append(Placed(spec._replace(shape=tensor.shape), tensor))
        return places


class MainExecutor(Executor):
    """A model whose code runs it as a whole but does not describe it: its main function, called directly.

    This is what the LLVM code generator makes. The host allocates the tensors by what the archive says.
    """

    def __init__(self, rpc: RpcClient, archive: ModelArchive, main: RemoteFunction) -> None:
        finding = llvm_arguments(archive)
        if finding is not None:
            raise ArchiveError(f"The model archive {archive.path} {finding.what}.", finding.next_step)
        memory = _Memory(rpc)
        specs = [*archive.inputs, *archive.outputs]
        with memory.freed_on_error():
            tensors = [memory.tensor(DType.parse(spec.dtype), spec.shape or ()) for spec in specs]
            pools = [
                memory.tensor(DType.parse("uint8"), (_pool_bytes(archive.workspace_size_bytes),))
                for _ in (archive.main.names if archive.main else ())[
                    len(specs) :
                ]  # project/code_rules.py: workspace
            ]
            places = [Placed(spec, tensor) for spec, tensor in zip(specs, tensors)]
            split = len(archive.inputs)
            step = Step(rpc.system_lib(), main, (*tensors, *pools))
            super().__init__(rpc, memory, places[:split], places[split:], [step])
        self.doubt([*tensors[split:], *pools])


class GraphExecutor(Executor):
    """A model whose graph the host runs, with its kernels on the device."""

    def __init__(self, rpc: RpcClient, archive: ModelArchive) -> None:
        text = archive.graph_json()
        if text is None:
            raise ArchiveError("The model archive has no graph.", "Export it again for the graph executor.")
        graph = parse_graph(text)
        memory = _Memory(rpc)
        with memory.freed_on_error():
            linked = self._linked_params(rpc, graph)
            addresses = {
                storage: linked[storage] if storage in linked else memory.allocate(size, dtype)
                for storage, (size, dtype) in graph.storage_bytes().items()
            }
            tensors = [
                RemoteTensor(addresses[entry.storage], entry.dtype, entry.shape) for entry in graph.entries
            ]
            shipped = self._ship_params(rpc, archive, graph, tensors)
            inputs = [
                Placed(_spec(name, tensors[entry]), tensors[entry])
                for name, entry in graph.arguments.items()
                if name not in shipped and graph.entries[entry].storage not in linked
            ]
            specs = archive.outputs
            outputs = [
                Placed(
                    _spec(specs[index].name if index < len(specs) else f"output{index}", tensors[entry]),
                    tensors[entry],
                )
                for index, entry in enumerate(graph.outputs)
            ]
            super().__init__(rpc, memory, inputs, outputs, self._steps_of(rpc, graph, tensors))

    @staticmethod
    def _linked_params(rpc: RpcClient, graph: Graph) -> Dict[int, int]:
        """Address of each storage that TVM 0.8 has linked into the code. Later versions show none in the
        graph."""
        lookup = rpc.module_function(rpc.system_lib(), "_lookup_linked_param")
        linked = {}
        for entry in graph.arguments.values() if lookup else ():
            storage = graph.entries[entry].storage
            address = lookup(storage) if lookup else None
            if isinstance(address, Handle) and address.value:
                linked[storage] = address.value
        return linked

    @staticmethod
    def _ship_params(
        rpc: RpcClient, archive: ModelArchive, graph: Graph, tensors: Sequence[RemoteTensor]
    ) -> List[str]:
        """Copies the archive's parameters to the device. Gives the names of those that the graph has."""
        shipped = []
        blob = archive.params()
        for name, param in parse_params(blob).items() if blob else ():
            if name not in graph.arguments:
                continue
            tensor = tensors[graph.arguments[name]]
            if (param.dtype, param.shape) != (tensor.dtype, tensor.shape):
                raise ArchiveError(
                    f"Parameter {name} is {describe(param.dtype, param.shape)}, and the graph takes "
                    f"{describe(tensor.dtype, tensor.shape)}.",
                    "Export the model again.",
                )
            rpc.copy_to(tensor, param.data)
            shipped.append(name)
        return shipped

    @staticmethod
    def _steps_of(rpc: RpcClient, graph: Graph, tensors: Sequence[RemoteTensor]) -> List[Step]:
        library = rpc.system_lib()
        kernels: Dict[str, RemoteFunction] = {}
        for name in dict.fromkeys(call.function for call in graph.calls):
            kernel = rpc.module_function(library, name)
            if kernel is None:
                raise _other_model(f"it has no kernel {name}")
            kernels[name] = kernel
        return [
            Step(
                library,
                kernels[call.function],
                tuple(tensors[entry]._replace(shape=shape) for entry, shape in call.arguments),
            )
            for call in graph.calls
        ]


def create_executor(rpc: RpcClient, archive: ModelArchive) -> Executor:
    """The executor that the archive was made for, on a device that runs its firmware."""
    if archive.executor == "graph":
        return GraphExecutor(rpc, archive)
    if archive.executor != "aot":
        raise ArchiveError(
            "The model archive holds single operators, not a model.", "Export a whole model to run one."
        )
    library = rpc.system_lib()
    if rpc.module_function(library, metadata_name(archive.module)) is None:
        name = entry_name(archive.module)
        main = rpc.module_function(library, name)
        if main is None:
            raise _other_model(f"it has no {name}")
        return MainExecutor(rpc, archive, main)
    return AotExecutor(rpc, archive)


class _Memory:
    """Memory of the device that one executor has allocated."""

    def __init__(self, rpc: RpcClient) -> None:
        self.rpc = rpc
        self._addresses: List[int] = []

    def allocate(self, nbytes: int, dtype: DType) -> int:
        address = self.rpc.allocate(nbytes, dtype)
        self._addresses.append(address)
        return address

    def tensor(self, dtype: DType, shape: Tuple[int, ...]) -> RemoteTensor:
        return RemoteTensor(self.allocate(dtype.itemsize * prod(shape), dtype), dtype, shape)

    def vector(self, dtype: DType, count: int) -> RemoteTensor:
        """A new tensor of one dimension."""
        return self.tensor(dtype, (count,))

    def free(self) -> None:
        """Last allocated first: the device's memory is a stack at heart."""
        while self._addresses:
            self.rpc.free(self._addresses.pop())

    @contextlib.contextmanager
    def freed_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            with contextlib.suppress(PlatformError):
                self.free()
            raise


class _Setter:
    """Copies arrays to one input."""

    def __init__(self, spec: TensorSpec, copy: CopyTo) -> None:
        self._spec = spec
        self._dtype = _numpy_dtype(spec.dtype)
        self._copy = copy
        self.blocks = copy.blocks

    def __call__(self, value: Array) -> None:
        array = numpy.asarray(value)
        spec = self._spec
        fits = array.shape == spec.shape if spec.shape is not None else array.nbytes == spec.size_bytes
        if array.dtype != self._dtype or not fits:
            wanted = describe(spec.dtype, spec.shape) if spec.shape is not None else f"{spec.dtype}"
            raise PlatformError(
                f"Input {spec.name} takes {wanted} ({spec.size_bytes} bytes), not "
                f"{describe(array.dtype, array.shape)}.",
                "Convert the array with astype and reshape.",
            )
        self._copy(array.tobytes())


class _Getter:
    """Copies one output to arrays."""

    def __init__(self, spec: TensorSpec, copy: CopyFrom) -> None:
        self._dtype = _numpy_dtype(spec.dtype)
        self._shape = spec.shape
        self._copy = copy
        self.blocks = copy.blocks

    def __call__(self) -> Array:
        flat = numpy.frombuffer(bytearray(self._copy()), self._dtype)
        return flat if self._shape is None else flat.reshape(self._shape)


def _spec(name: str, tensor: RemoteTensor) -> TensorSpec:
    return TensorSpec(name, str(tensor.dtype), tensor.shape, tensor.nbytes, name)


def _pool_bytes(declared: int) -> int:
    """Bytes to allocate for the one pool that the memory planner left to the caller.

    The planner sizes buffers before loops are vectorised; a vectorised kernel may then write whole vectors
    beyond the end that was planned: 56 bytes of a pool of 36 were seen. One more vector, of the widest kind
    that there is on a CPU (64 bytes), and the next whole one keep such writes inside the pool.
    """
    return (declared // 64 + 2) * 64


def _numpy_dtype(name: str) -> numpy.dtype[Any]:
    try:
        dtype: numpy.dtype[Any] = numpy.dtype(name)
    except TypeError as error:
        raise PlatformError(
            f"The model has a tensor of type {name}, which numpy does not know.", "Cast it inside the model."
        ) from error
    return cast("numpy.dtype[Any]", dtype.newbyteorder("<"))


# What a time evaluator takes last: limit_zero_time_iterations, cooldown_interval_ms and repeats_to_cooldown,
# cache_flush_bytes, and the name of a function to call before each repeat. The device runtime takes all of
# it, TVM's own does from 0.14 on; the others are for TVM's own from 0.10, 0.9 and 0.8 on.
_EVALUATOR_TAILS: Final[Tuple[Tuple[Value, ...], ...]] = (
    (100, 0, 1, 0, ""),
    (100, 0, 1, ""),
    (0, 1, ""),
    ("",),
)


def create_time_evaluator(create: RemoteFunction, arguments: Tuple[Value, ...]) -> Handle:
    """A time evaluator of the device, in the form that its runtime takes."""
    refused = None
    for tail in _EVALUATOR_TAILS:
        try:
            timed = create(*arguments, *tail)
        except DeviceError as error:
            refused = refused or error
            continue
        if not isinstance(timed, Handle):
            break
        return timed
    raise refused or _odd_answer("runtime.RPCTimeEvaluator")


def _odd_answer(who: str) -> ProtocolError:
    return ProtocolError(
        f"The device's answer makes no sense: {who} gave something else.",
        "Build and flash the project again.",
    )


def _other_model(why: str) -> ProtocolError:
    return ProtocolError(
        f"The firmware on the device was made of another model: {why}.",
        "Build and flash the project that was generated from this archive.",
    )
