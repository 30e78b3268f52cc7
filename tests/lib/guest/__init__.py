# SPDX-License-Identifier: BSD-3-Clause
"""Kernel and initial RAM disks for throw-away virtual machines, kept in a cache outside the tree."""
