# SPDX-License-Identifier: Apache-2.0
"""Model archives (Model Library Format): reading, validation, and facts about the model.

An archive is untrusted. It is read into memory once, and only the validated copy in memory is used. tar.py
reads a tar, metadata.py its metadata.json, and model_archive.py combines the facts from all its texts.

May import: system, errors, dtype.
To read another text of an archive: a reader in facts.py or a new module, a field of signature.Texts, and an
archive in tests/data/archives with known outputs.
"""
