# SPDX-License-Identifier: Apache-2.0
"""Flash tools and emulators."""
