# SPDX-License-Identifier: Apache-2.0
"""Measurements of the README's figures. `make bench` runs all of them and prints one table each."""
