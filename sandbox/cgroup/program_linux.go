package cgroup

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// Offsets in struct bpf_sock_addr and struct bpf_sock, which are part of the
// kernel's interface. Source: include/uapi/linux/bpf.h.
const (
	sockAddrIP4  = 4  // user_ip4
	sockAddrIP6  = 8  // user_ip6[4]
	sockAddrPort = 24 // user_port
	sockType     = 8
	sockProtocol = 12
)

// Where a program can end, and the block that judges an IPv4 address.
const (
	allow  = "allow"
	refuse = "refuse"
	judge4 = "judge4"
)

const (
	subject = asm.R1 // the kernel hands it over there
	scratch = asm.R2
	address = asm.R3 // an IPv4 address, in the host's byte order
	port    = asm.R4
)

const dnsPort = 53

// The address filters say the same as Public, from the same tables.

func addressFilter4(nameservers []netip.Addr) asm.Instructions {
	a := assembler{}
	a.loadPort()
	a.load(address, sockAddrIP4)
	a.judge4(nameservers)
	return a.end()
}

func addressFilter6(nameservers []netip.Addr) asm.Instructions {
	a := assembler{}
	a.loadPort()
	a.load(address, sockAddrIP6+12)
	a.ifInside6(mapped, judge4)
	noDNS := a.newLabel()
	a.emit(asm.JNE.Imm(port, dnsPort, noDNS))
	for _, server := range nameservers {
		if server = server.Unmap().WithZone(""); server.Is6() {
			a.ifInside6(netip.PrefixFrom(server, 128), allow)
		}
	}
	a.label(noDNS)
	a.ifInside6(nat64, judge4)
	global := a.newLabel()
	a.ifInside6(globalUnicast, global)
	a.emit(asm.Ja.Label(refuse))
	a.label(global)
	for _, prefix := range refused6() {
		a.ifInside6(prefix, refuse)
	}
	a.emit(asm.Ja.Label(allow))
	a.label(judge4)
	a.judge4(nameservers)
	return a.end()
}

// protocolFilter lets TCP and UDP through: only they have the hooks above.
func protocolFilter() asm.Instructions {
	a := assembler{}
	for _, pair := range [][2]int32{
		{unix.SOCK_STREAM, 0}, {unix.SOCK_STREAM, unix.IPPROTO_TCP},
		{unix.SOCK_DGRAM, 0}, {unix.SOCK_DGRAM, unix.IPPROTO_UDP},
	} {
		next := a.newLabel()
		a.emit(
			asm.LoadMem(scratch, subject, sockType, asm.Word),
			asm.JNE.Imm(scratch, pair[0], next),
			asm.LoadMem(scratch, subject, sockProtocol, asm.Word),
			asm.JEq.Imm(scratch, pair[1], allow),
		)
		a.label(next)
	}
	a.emit(asm.Ja.Label(refuse))
	return a.end()
}

// assembler collects a program.
type assembler struct {
	program asm.Instructions
	labels  int
}

func (a *assembler) emit(instructions ...asm.Instruction) {
	a.program = append(a.program, instructions...)
}

// label marks what comes next, by a jump to there, which the kernel takes out.
func (a *assembler) label(name string) {
	nop := asm.Instruction{OpCode: asm.Ja.Op(asm.ImmSource)}
	a.emit(nop.WithSymbol(name))
}

// end adds the two ends. The verdict is 1 or 0, which the kernel turns into
// EPERM.
func (a *assembler) end() asm.Instructions {
	a.label(allow)
	a.emit(asm.Mov.Imm(asm.R0, 1), asm.Return())
	a.label(refuse)
	a.emit(asm.Mov.Imm(asm.R0, 0), asm.Return())
	return a.program
}

func (a *assembler) newLabel() string {
	a.labels++
	return fmt.Sprintf("label%d", a.labels)
}

// load reads 32 bits of an address, which are in network byte order.
func (a *assembler) load(register asm.Register, offset int16) {
	a.emit(asm.LoadMem(register, subject, offset, asm.Word), asm.HostTo(asm.BE, register, asm.Word))
}

func (a *assembler) loadPort() {
	a.emit(asm.LoadMem(port, subject, sockAddrPort, asm.Word), asm.HostTo(asm.BE, port, asm.Half))
}

// judge4 ends in allow or refuse, by what is in the register address.
func (a *assembler) judge4(nameservers []netip.Addr) {
	noDNS := a.newLabel()
	a.emit(asm.JNE.Imm(port, dnsPort, noDNS))
	for _, server := range nameservers {
		if server = server.Unmap(); server.Is4() {
			a.ifInside4(netip.PrefixFrom(server, 32), allow)
		}
	}
	a.label(noDNS)
	for _, prefix := range refused4() {
		a.ifInside4(prefix, refuse)
	}
	a.emit(asm.Ja.Label(allow))
}

func (a *assembler) ifInside4(prefix netip.Prefix, target string) {
	bytes := prefix.Masked().Addr().As4()
	a.emit(
		asm.Mov.Reg32(scratch, address),
		asm.And.Imm32(scratch, mask(prefix.Bits())),
		asm.JEq.Imm32(scratch, int32(binary.BigEndian.Uint32(bytes[:])), target),
	)
}

// ifInside6 compares as many 32-bit words as the prefix has.
func (a *assembler) ifInside6(prefix netip.Prefix, target string) {
	bytes := prefix.Masked().Addr().As16()
	next := a.newLabel()
	for i := 0; 32*i < prefix.Bits(); i++ {
		word := int32(binary.BigEndian.Uint32(bytes[4*i:]))
		a.load(scratch, int16(sockAddrIP6+4*i))
		a.emit(
			asm.And.Imm32(scratch, mask(min(prefix.Bits()-32*i, 32))),
			asm.JNE.Imm32(scratch, word, next),
		)
	}
	a.emit(asm.Ja.Label(target))
	a.label(next)
}

// mask has the first bits of 32 set.
func mask(bits int) int32 { return int32(^uint32(0) << (32 - bits)) }
