# SPDX-License-Identifier: Apache-2.0
"""Host tools: the Python beside the user: API server logic, wire client, transports, command line."""
