# SPDX-License-Identifier: Apache-2.0
"""Inputs and outputs of a model, combined from all texts of its archive."""

from __future__ import annotations

from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence

from runtime.host.archive.facts import (
    CInterface,
    Facts,
    MainFacts,
    TensorFacts,
    c_identifier,
    is_constants,
    is_workspace,
)
from runtime.host.archive.relay_text import RelayFacts, relay_spelling
from runtime.host.archive.tensor_specs import (
    Declared,
    Listing,
    TensorSpec,
    may_be_spelled,
    order_of,
    output_names,
    specify,
)


class Texts(NamedTuple):
    """Facts from the texts of an archive; None for a missing text.

    Attributes:
        inputs: Inputs by name, from metadata.json; None if it declares none.
        outputs: Outputs by name, from metadata.json; None if it declares none.
        graph: Facts from the graph of a graph executor.
        code: Facts from the C metadata source.
        main: Arguments of the main function of the LLVM code generator.
        c_interface: The C interface.
        relay: Facts from the Relay text; None also if its form is unknown.
        has_relay: The archive has a Relay text, even if its form is unknown.
        input_names: Names of the inputs in order, from metadata.json; None if it does not list them.
        output_names: Names of the outputs in order, from metadata.json; None if it does not list them.
    """

    inputs: Optional[Dict[str, Declared]]
    outputs: Optional[Dict[str, Declared]]
    graph: Optional[Facts]
    code: Optional[Facts]
    main: Optional[MainFacts]
    c_interface: Optional[CInterface]
    relay: Optional[RelayFacts]
    has_relay: bool = True
    input_names: Optional[List[str]] = None
    output_names: Optional[List[str]] = None


class Contradiction(Exception):
    """Contradiction between two texts of an archive.

    Attributes:
        what: Predicate of a sentence about the archive, without full stop.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def inputs_of(texts: Texts) -> List[TensorSpec]:
    """Return the inputs in the order of the generated code.

    Raises:
        UnknownOrder: The texts allow several orders.
        LookupError: No text has the type or size of an input; the argument is its name.
        Contradiction: The texts contradict each other.
    """
    listings = _input_listings(texts)
    if texts.inputs is None:
        first = next((listing.tensors for listing in listings if listing.tensors), ())
        parameters = texts.relay.parameters if texts.relay else []
        return [
            specify(facts.name, None, [facts, *_spelled_so(facts.name, parameters)], c_identifier(facts.name))
            for facts in first
        ]
    order = order_of(texts.inputs, listings)
    complete = [listing.tensors for listing in listings if not listing.has_more]
    parameters = texts.relay.parameters if texts.relay else []
    return [
        specify(
            name,
            texts.inputs[name],
            [*(tensors[index] for tensors in complete), *_alike(name, texts.inputs, parameters)],
            c_identifier(name),
        )
        for index, name in enumerate(order)
    ]


def _alike(
    name: str, declared: Mapping[str, Declared], parameters: Sequence[TensorFacts]
) -> List[TensorFacts]:
    """Return the Relay parameter of an input, if all candidates have the same shape."""
    found = [facts for facts in parameters if may_be_spelled(declared, name, facts, relay_spelling)]
    return found[:1] if len({facts.shape for facts in found}) == 1 else []


def _spelled_so(c_name: str, tensors: Sequence[TensorFacts]) -> List[TensorFacts]:
    """Return the tensors of another text with the same spelling in C."""
    return [facts for facts in tensors if c_identifier(facts.name) == c_identifier(c_name)]


def _input_listings(texts: Texts) -> List[Listing]:
    """Return every text that lists inputs, the most trusted first.

    Raises:
        Contradiction: A text that lists only inputs has another number of inputs than metadata.json.
    """
    listings = []
    if texts.input_names is not None:
        listings.append(Listing([TensorFacts(name) for name in texts.input_names], str))
    if texts.graph is not None:
        listings.append(Listing(texts.graph.inputs, str))
    if texts.code is not None:
        listings.append(Listing(texts.code.inputs, c_identifier))
    if texts.main and texts.inputs is not None:
        count = min(len(texts.inputs), len(texts.main.names))
        listings.append(Listing([texts.main.argument(index) for index in range(count)], c_identifier))
    if texts.c_interface is not None:
        listings.append(Listing(texts.c_interface.facts.inputs, c_identifier))
    if texts.inputs is not None:
        for listing in listings:
            if len(listing.tensors) != len(texts.inputs):
                raise Contradiction(
                    f"has {len(texts.inputs)} inputs in its metadata.json, but {len(listing.tensors)} in its "
                    "code: one may have the name of another, or of a constant (TVM names those p0, p1, ...)"
                )
    if texts.relay is not None:
        listings.append(Listing(texts.relay.parameters, relay_spelling, has_more=True))
    return listings


def outputs_of(texts: Texts) -> List[TensorSpec]:
    """Return the outputs in the order of the generated code; two may have the same name.

    Raises:
        UnknownOrder: The texts allow several orders.
        LookupError: No text has the type or size of an output; the argument is its name.
        Contradiction: The texts contradict each other.
    """
    relay = texts.relay
    true_names = texts.output_names or (relay.output_names if relay else None)
    tensors = _positioned_outputs(texts, true_names)
    declared = texts.outputs or {}
    if tensors is None:
        listings = []
    elif texts.main is not None:
        listings = [Listing(tensors, c_identifier)]
    else:  # TVM generates these names; only the types are reliable
        listings = [Listing([facts._replace(name="") for facts in tensors], c_identifier)]
    if texts.c_interface is not None:
        listings.append(Listing(texts.c_interface.facts.outputs, c_identifier))
        if true_names is not None and len(set(true_names)) != len(true_names):
            raise Contradiction(
                "has two outputs with the same name, but one field for them in its C interface"
            )
    may_have_names = texts.relay is None and texts.has_relay
    names = output_names(declared, true_names, tensors, listings, may_have_names)
    c_names = texts.c_interface.outputs if texts.c_interface else [c_identifier(name) for name in names]
    if len(c_names) != len(names):
        raise Contradiction(f"has {len(names)} outputs but {len(c_names)} in its C interface")
    sources = [source for source in (tensors, relay.output_types if relay else None) if source]
    specs = []
    for index, name in enumerate(names):
        is_only = names.count(name) == 1
        known = [source[index] for source in sources if len(source) == len(names)]
        try:
            specs.append(specify(name, declared.get(name) if is_only else None, known, c_names[index]))
        except LookupError:
            if is_only:
                raise
            raise Contradiction(
                f"has several outputs named {name!r} but declares the size of only one"
            ) from None
    return specs


def _positioned_outputs(texts: Texts, true_names: Optional[Sequence[str]]) -> Optional[List[TensorFacts]]:
    """Return the outputs in the order of the code; None if no text lists them, as for a C interface."""
    if texts.graph is not None:
        return texts.graph.outputs
    if texts.code is not None:
        return texts.code.outputs
    if texts.main is None or texts.inputs is None:
        return None
    names = texts.main.names
    places = [
        index
        for index in range(len(texts.inputs), len(names))
        if not is_workspace(names[index]) and not is_constants(names[index])
    ]
    if true_names is None or len(true_names) != len(places):
        return [texts.main.argument(index) for index in places]
    return [texts.main.argument(index, name) for index, name in zip(places, true_names)]
