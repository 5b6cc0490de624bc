# SPDX-License-Identifier: Apache-2.0
"""Operators that TVM's importer lacks, and that no other operators replace."""

from __future__ import annotations

from typing import Any, Callable, Dict


def converters() -> Dict[str, Callable[[Any, Any], Any]]:
    """Return name of the operator -> function from a node and TVM's importer to a Relax expression."""
    from tvm import relax

    def reduction(op: Any) -> Callable[[Any, Any], Any]:
        def convert(node: Any, importer: Any) -> Any:
            dims = node.args[1] if len(node.args) > 1 else []
            keep = node.args[2] if len(node.args) > 2 else False
            axes = [dims] if isinstance(dims, int) else list(dims) or None
            return importer.block_builder.emit(op(importer.env[node.args[0]], axes, keep))

        return convert

    def scatter_add(node: Any, importer: Any) -> Any:
        x, dim, indices, source = node.args
        made = relax.op.scatter_elements(
            importer.env[x], importer.env[indices], importer.env[source], dim, "add"
        )
        return importer.block_builder.emit(made)

    return {
        "amax.default": reduction(relax.op.max),
        "amin.default": reduction(relax.op.min),
        "prod.dim_int": reduction(relax.op.prod),
        "scatter_add.default": scatter_add,
    }
