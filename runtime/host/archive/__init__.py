# SPDX-License-Identifier: Apache-2.0
"""Model archives (Model Library Format): reading, checking, and what they say of a model.

An archive is untrusted until it has been read, once, into memory: what was checked is what is used. tar.py
reads a tar, metadata.py its metadata.json, and model_archive.py puts together what the other texts say.

May import: system, errors, dtype.
To read another text of an archive: a reader in facts.py or a module of its own, a field of signature.Texts,
and an archive in tests/data/archives whose answer is known.
"""
