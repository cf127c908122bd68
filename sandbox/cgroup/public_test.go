package cgroup

import (
	"net/netip"
	"testing"
)

// verdicts are addresses at both sides of each border.
func verdicts() map[string]bool {
	return map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "93.184.216.34": true,
		"0.0.0.0": false, "0.255.255.255": false, "1.0.0.0": true,
		"9.255.255.255": true, "10.0.0.0": false, "10.255.255.255": false, "11.0.0.0": true,
		"100.63.255.255": true, "100.64.0.0": false, "100.100.100.200": false, "100.127.255.255": false, "100.128.0.0": true,
		"126.255.255.255": true, "127.0.0.1": false, "127.255.255.255": false, "128.0.0.0": true,
		"169.253.255.255": true, "169.254.0.0": false, "169.254.169.254": false, "169.254.255.255": false, "169.255.0.0": true,
		"168.63.129.15": true, "168.63.129.16": false, "168.63.129.17": true,
		"172.15.255.255": true, "172.16.0.0": false, "172.17.0.1": false, "172.31.255.255": false, "172.32.0.0": true,
		"191.255.255.255": true, "192.0.0.0": false, "192.0.0.192": false, "192.0.0.255": false, "192.0.1.0": true,
		"192.0.2.1": false, "192.0.3.0": true,
		"192.88.98.255": true, "192.88.99.1": false, "192.88.100.0": true,
		"192.167.255.255": true, "192.168.0.0": false, "192.168.255.255": false, "192.169.0.0": true,
		"198.17.255.255": true, "198.18.0.0": false, "198.19.255.255": false, "198.20.0.0": true,
		"198.51.99.255": true, "198.51.100.1": false, "198.51.101.0": true,
		"203.0.112.255": true, "203.0.113.1": false, "203.0.114.0": true,
		"223.255.255.255": true, "224.0.0.1": false, "239.255.255.250": false, "240.0.0.1": false, "255.255.255.255": false,

		"2606:4700:4700::1111": true, "2a00:1450:4001::1": true, "2000::1": true, "3ffe:ffff::1": true,
		"::": false, "::1": false, "::8.8.8.8": false, "1fff:ffff::1": false,
		"2001::1": false, "2001:1ff:ffff::1": false, "2001:200::1": true,
		"2001:db7::1": true, "2001:db8::1": false, "2001:db8:ffff::1": false, "2001:db9::1": true,
		"2001:ffff::1": true, "2002::1": false, "2002:7f00:1::1": false, "2003::1": true,
		"3fff::1": false, "3fff:fff::1": false, "3fff:1000::1": true, "4000::1": false, "5f00::1": false,
		"64:ff9b::8.8.8.8": true, "64:ff9b::127.0.0.1": false, "64:ff9b::169.254.169.254": false,
		"64:ff9b:0:0:0:1:808:808": false, "64:ff9b:1::8.8.8.8": false, "64:ff9c::808:808": false,
		"::ffff:8.8.8.8": true, "::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "::ffff:10.1.2.3": false,
		"::fffe:8.8.8.8": false, "::ffff:0:8.8.8.8": false,
		"100::1": false, "fbff::1": false, "fc00::1": false, "fd00:ec2::254": false, "fd20:ce::254": false, "fdff::1": false,
		"fe00::1": false, "fe80::1": false, "fe80::a9fe:a9fe": false, "fec0::1": false, "ff02::1": false, "ff0e::1": false,
	}
}

func TestPublic(t *testing.T) {
	for text, want := range verdicts() {
		if got := Public(netip.MustParseAddr(text)); got != want {
			t.Errorf("Public(%s) = %v", text, got)
		}
	}
	if Public(netip.Addr{}) {
		t.Error("no address is public")
	}
	if Public(netip.MustParseAddr("fe80::1%eth0")) {
		t.Error("a zone makes a link-local address public")
	}
}
