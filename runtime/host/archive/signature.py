# SPDX-License-Identifier: Apache-2.0
"""The inputs and outputs of a model: what all texts of its archive say about them, put together."""

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
    """What the texts of an archive say; None for a text that it does not have.

    inputs, outputs: what metadata.json declares, by name; None where it tells nothing. graph: of a graph
    executor. has_relay: there is a Relay text, understood or not. code: the C metadata. main: the arguments
    of the LLVM code generator's main function.
    """

    inputs: Optional[Dict[str, Declared]]
    outputs: Optional[Dict[str, Declared]]
    graph: Optional[Facts]
    code: Optional[Facts]
    main: Optional[MainFacts]
    c_interface: Optional[CInterface]
    relay: Optional[RelayFacts]
    has_relay: bool = True


class Contradiction(Exception):
    """Texts of the archive that cannot both be true. what: the end of a sentence about the archive."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def inputs_of(texts: Texts) -> List[TensorSpec]:
    """Return the inputs in the order of the generated code.

    Raises UnknownOrder where the archive does not tell it, LookupError with the name of an input whose type
    or size it does not tell, Contradiction.
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
    """The parameter of a Relay text that an input is, where all that may be it have one shape."""
    found = [facts for facts in parameters if may_be_spelled(declared, name, facts, relay_spelling)]
    return found[:1] if len({facts.shape for facts in found}) == 1 else []


def _spelled_so(c_name: str, tensors: Sequence[TensorFacts]) -> List[TensorFacts]:
    """The tensors of another text that C spells so."""
    return [facts for facts in tensors if c_identifier(facts.name) == c_identifier(c_name)]


def _input_listings(texts: Texts) -> List[Listing]:
    """Every text that lists inputs, the most trusted first. Raises Contradiction where one that lists nothing
    else has another number of them than metadata.json."""
    listings = []
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
                    f"has {len(texts.inputs)} inputs in its metadata.json, and {len(listing.tensors)} in its "
                    "code: two of them may have one name, or that of a constant, which TVM calls p0, p1 ..."
                )
    if texts.relay is not None:
        listings.append(Listing(texts.relay.parameters, relay_spelling, has_more=True))
    return listings


def outputs_of(texts: Texts) -> List[TensorSpec]:
    """Return the outputs in the order of the generated code. Two may have one name.

    Raises as inputs_of does.
    """
    relay = texts.relay
    true_names = relay.output_names if relay else None
    tensors = _positioned_outputs(texts, true_names)
    declared = texts.outputs or {}
    if tensors is None:
        listings = []
    elif texts.main is not None:
        listings = [Listing(tensors, c_identifier)]
    else:  # their names are made up, their types are true
        listings = [Listing([facts._replace(name="") for facts in tensors], c_identifier)]
    if texts.c_interface is not None:
        listings.append(Listing(texts.c_interface.facts.outputs, c_identifier))
        if true_names is not None and len(set(true_names)) != len(true_names):
            raise Contradiction("has two outputs of one name, which the C interface has one place for")
    may_have_names = texts.relay is None and texts.has_relay
    names = output_names(declared, true_names, tensors, listings, may_have_names)
    c_names = texts.c_interface.outputs if texts.c_interface else [c_identifier(name) for name in names]
    if len(c_names) != len(names):
        raise Contradiction(f"has {len(names)} outputs, and {len(c_names)} in its C interface")
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
            raise Contradiction(f"has several outputs called {name!r}, and tells the size of one") from None
    return specs


def _positioned_outputs(texts: Texts, true_names: Optional[Sequence[str]]) -> Optional[List[TensorFacts]]:
    """The outputs as the code lists them; None where no text does, as for a C interface."""
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
