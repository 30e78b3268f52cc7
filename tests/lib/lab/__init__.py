# SPDX-License-Identifier: BSD-3-Clause
"""Hosts in network namespaces, a switch between them that learns MAC addresses, guests on vhost-user.

run         what a run makes, and that all of it goes away again
underlay    the switch and its cables          host        a host with vswitchd in it
peer, qemu  guests: namespaces, real machines  ovs         a host with Open vSwitch instead
capture     frames as they pass by             fabric      several hosts with one policy, the usual start
"""
