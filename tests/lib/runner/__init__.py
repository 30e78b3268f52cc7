# SPDX-License-Identifier: BSD-3-Clause
"""What tests/run does once the packages are there: builds, runs the layers, counts."""
