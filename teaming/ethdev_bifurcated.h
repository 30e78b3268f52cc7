/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cards whose ports stay netdevs while DPDK uses them (mlx5): isolated, such a port gives us only what flow rules name,
 * and the kernel keeps everything else, LACPDUs and ARP included. One rule per provider address: NVGRE to it.
 *
 * Not proven on hardware.
 */
#ifndef TEAMING_ETHDEV_BIFURCATED_H
#define TEAMING_ETHDEV_BIFURCATED_H

#include "base/member_ops.h"

struct rte_flow;

/* Is it a driver that leaves the kernel its netdev, by the name ethdev tells? */
bool tw_bifurcated(const char *driver);

/* Root of sysfs; another one for tests. */
extern const char *tw_sysfs;

/*
 * Can the PCI device be opened, as far as sysfs tells? A card's two ports in one team are one RDMA device to its
 * driver, and DPDK could open that only once.
 * @param devargs of the member; other than PCI addresses are fine. @param failed DPDK could not open it: look for the
 * reason, too. @return 0: nothing to say; -EBUSY, -ENODEV with a reason that names the remedy. Any thread.
 */
int tw_bifurcated_check(const char *devargs, bool failed, struct errbuf *err);

struct tw_steer_pa {
	struct ip_addr address;
	uint16_t vlan; /* 0: untagged */
	struct mac mac;
};

/* The rules of one device. Zeroed at first. No locks: the caller holds teaming's mutex. */
struct tw_steer {
	const struct member_dev *dev; /* NULL: none */
	uint8_t way;		      /* how rules are written for this card, see tw_steer_way_names[] */
	unsigned int n;
	struct {
		struct tw_steer_pa pa;
		struct rte_flow *flow; /* NULL: refused */
	} rules[LOCAL_PAS];
};

/* By inner headers, by outer headers, by outer headers of anything in GRE, not at all. */
extern const char *const tw_steer_way_names[];

/*
 * Have exactly these rules on a device; those that stay are not touched, new ones come before old ones go. A device
 * other than before: the old one's rules are removed first, so it has to be open still.
 * @param dev NULL: none. @return 0, or -errno with the reason of the first refusal: that address gets nothing by this
 * device; not tried again before it has gone.
 */
int tw_steer_set(struct tw_steer *s, const struct member_dev *dev, const struct tw_steer_pa *pas, unsigned int n,
		 struct errbuf *err);

struct teaming;
/* Bring the rules of all members in line; tells of refusals, and of a card that spreads worse than it might. */
void tw_steer_sync(struct teaming *t);

#endif
