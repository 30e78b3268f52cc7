# SPDX-License-Identifier: BSD-3-Clause
"""What an ARP and neighbour discovery proxy has to say, and not to say: see README.md."""
