# SPDX-License-Identifier: BSD-3-Clause
"""Hosts in network namespaces, a learning switch between them, guests on vhost-user: see README in tests/lab."""
