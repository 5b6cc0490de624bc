# SPDX-License-Identifier: Apache-2.0
"""Import of PyTorch models: files and programs of torch.export.

`program_file.read_program` reads a file, `importing.import_program` returns a Relax module, and
`reference.TorchReference` has the answers of PyTorch. An import of the package itself imports no torch.
"""
