# SPDX-License-Identifier: Apache-2.0
"""Where the README's figures come from: make bench runs them all and prints one table each."""
