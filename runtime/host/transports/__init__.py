# SPDX-License-Identifier: Apache-2.0
"""Transports: byte pipes to a device, one module for each kind. They know nothing of frames or sessions."""
