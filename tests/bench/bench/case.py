# SPDX-License-Identifier: BSD-3-Clause
"""What a case consists of: frames, who sends and who receives them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from . import frames


@dataclass(frozen=True)
class Case:
    """
    name: encap, decap, local, routed. Flows are spread evenly over all records. With a payload frames are TCP; with an
    MSS guests have the offloads, and leave cutting them to the switch.
    """

    name: str
    flows: int
    records: int
    frame: int = frames.SIZE
    ring: str = "split"
    payload: int = 0
    mss: int = 0

    @property
    def from_wire(self) -> bool:
        return self.name == "decap"

    @property
    def title(self) -> str:
        return f"{self.name}, {self.frame + 4} B, {self.flows:,} flows, {self.records:,} records, {self.ring} ring"

    def write_frames(self, directory: Path) -> Path:
        path = directory / f"{self.name}-{self.flows}-{self.records}-{self.frame}-{self.payload}.pcap"
        if not path.exists():
            frames.write_pcap(path, self._build())
        return path

    def _build(self) -> list[bytes]:
        if self.name == "decap":
            return frames.decap(self.flows, self.records, self.frame)
        if self.name == "local":
            return frames.local(self.flows, self.frame, self.payload)
        return frames.encap(self.flows, self.records, self.frame, self.name == "routed", self.payload)

    def guests(self, directory: Path, pcap: Path) -> list[str]:
        """Groups for vhu-peer: vm0 sends or receives, vm1 receives what is delivered locally."""
        common = f"server=1,size=1024,ring={self.ring}"
        if self.mss:
            common += ",csum=1,gso=1,guest-csum=1,guest-gso=1"
        if self.from_wire:
            return [f"name=vm0,socket={directory}/vm0.sock,mode=sink,{common}"]
        sender = f"name=vm0,socket={directory}/vm0.sock,mode=gen,frames={pcap},{common}"
        if self.mss:
            sender += f",tx-csum=1,tx-gso={self.mss}"
        if self.name != "local":
            return [sender]
        return [sender, f"name=vm1,socket={directory}/vm1.sock,mode=sink,{common}"]
