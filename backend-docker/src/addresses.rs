//! Which addresses this machine has on an interface already.
//!
//! The engine refuses a subnet that one of its own networks has, but not one that an interface of the machine has: it
//! makes a second interface with the same addresses, and the kernel sends what is meant for containers to the first. The
//! bridge of an engine whose data folder was removed is such an interface: it stays until somebody removes it.

use if_addrs::IfAddr;
use ipnet::Ipv4Net;

/// The interface that has addresses of the subnet. One with a wider network is none: the narrower one goes before it.
pub(crate) fn holder(subnet: Ipv4Net) -> Option<String> {
    // Who cannot be asked has nothing to say against it.
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    interfaces.into_iter().find(|interface| holds(&interface.addr, subnet)).map(|interface| interface.name)
}

fn holds(address: &IfAddr, subnet: Ipv4Net) -> bool {
    let IfAddr::V4(address) = address else { return false };
    Ipv4Net::with_netmask(address.ip, address.netmask).is_ok_and(|network| subnet.contains(&network.trunc()))
}

#[cfg(test)]
mod tests {
    use if_addrs::Ifv4Addr;

    use super::{IfAddr, holder, holds};

    #[test]
    fn an_interface_holds_a_subnet_that_its_own_network_is_all_or_a_part_of() {
        let cases = [
            ("10.213.23.0/26", true),
            ("10.213.23.0/24", true),
            ("10.213.0.0/16", true),
            ("10.213.23.0/27", false),
            ("10.213.23.64/26", false),
            ("192.168.0.0/24", false),
        ];
        let address = Ifv4Addr {
            ip: [10, 213, 23, 1].into(),
            netmask: [255, 255, 255, 192].into(),
            prefixlen: 26,
            broadcast: None,
        };
        let address = IfAddr::V4(address);
        for (subnet, held) in cases {
            assert_eq!(holds(&address, subnet.parse().unwrap()), held, "{subnet}");
        }
    }

    #[test]
    fn this_machine_has_the_addresses_of_its_loopback() {
        assert!(holder("127.0.0.0/8".parse().unwrap()).is_some());
        assert_eq!(holder("127.99.0.0/24".parse().unwrap()), None);
    }
}
