package cgroup

import "net/netip"

// Public tells whether an address is one of the public internet: a unicast
// address that is globally reachable, and that no cloud gives a meaning of its
// own. An IPv4 address inside an IPv6 one (mapped, NAT64) counts as itself.
//
// A NAT64 prefix that an operator chose from its own addresses (RFC 6052,
// section 2.2) cannot be told from any other address and counts as public.
func Public(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	if nat64.Contains(addr) {
		bytes := addr.As16()
		addr = netip.AddrFrom4([4]byte(bytes[12:]))
	}
	refused := refused4()
	if addr.Is6() {
		if !globalUnicast.Contains(addr) {
			return false
		}
		refused = refused6()
	}
	for _, prefix := range refused {
		if prefix.Contains(addr) {
			return false
		}
	}
	return addr.IsValid()
}

var (
	mapped = netip.MustParsePrefix("::ffff:0:0/96") // RFC 4291, section 2.5.5.2
	nat64  = netip.MustParsePrefix("64:ff9b::/96")  // RFC 6052, section 2.1

	// globalUnicast is all that IANA has given out for public use: loopback,
	// unspecified, unique local, link-local, multicast, discard, local NAT64
	// and segment routing addresses are outside.
	// https://www.iana.org/assignments/ipv6-address-space
	globalUnicast = netip.MustParsePrefix("2000::/3")
)

// refused4 is from https://www.iana.org/assignments/iana-ipv4-special-registry
// (what is not "globally reachable") and
// https://www.iana.org/assignments/multicast-addresses.
func refused4() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),       // this network; 0.0.0.0 reaches loopback
		netip.MustParsePrefix("10.0.0.0/8"),      // private use
		netip.MustParsePrefix("100.64.0.0/10"),   // shared address space (CGNAT); 100.100.100.200 is Alibaba's metadata
		netip.MustParsePrefix("127.0.0.0/8"),     // loopback
		netip.MustParsePrefix("169.254.0.0/16"),  // link-local; 169.254.169.254 is most clouds' metadata
		netip.MustParsePrefix("172.16.0.0/12"),   // private use
		netip.MustParsePrefix("192.0.0.0/24"),    // IETF protocol assignments; 192.0.0.192 is Oracle's metadata
		netip.MustParsePrefix("192.0.2.0/24"),    // documentation
		netip.MustParsePrefix("192.88.99.0/24"),  // 6to4 relays, deprecated
		netip.MustParsePrefix("192.168.0.0/16"),  // private use
		netip.MustParsePrefix("198.18.0.0/15"),   // benchmarking
		netip.MustParsePrefix("198.51.100.0/24"), // documentation
		netip.MustParsePrefix("203.0.113.0/24"),  // documentation
		netip.MustParsePrefix("224.0.0.0/3"),     // multicast, reserved, broadcast

		// Azure's WireServer: a public address that is the host machine's own.
		// https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
		netip.MustParsePrefix("168.63.129.16/32"),
	}
}

// refused6 is from https://www.iana.org/assignments/iana-ipv6-special-registry,
// as far as it is within globalUnicast. (AWS's metadata, fd00:ec2::254, and
// Google's, fd20:ce::254, are unique local addresses and so outside.)
func refused6() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("2001::/23"),     // IETF protocol assignments, Teredo among them
		netip.MustParsePrefix("2001:db8::/32"), // documentation
		netip.MustParsePrefix("2002::/16"),     // 6to4, which holds any IPv4 address
		netip.MustParsePrefix("3fff::/20"),     // documentation
	}
}
