package cgroup

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// Restrict keeps every member of every group, also of those made later, from
// all addresses that are not Public: TCP and UDP, IPv4 and IPv6. Who tries gets
// EPERM. Port 53 of the nameservers stays open, wherever they are. Sockets of
// other protocols than TCP and UDP (raw, ICMP, SCTP, Multipath TCP) cannot be
// made at all. To bind and to accept stays free, and so does answering to who
// connected. An address of this machine that is public stays open too.
//
// It needs version 2 of control groups, Linux 5.7 and the right to load and
// attach BPF programs (root, or CAP_BPF and CAP_NET_ADMIN); the error says what
// is missing. It holds until Close or the end of this process. A second call
// replaces the nameservers.
func (m *Manager) Restrict(nameservers []netip.Addr) error {
	t := m.trees[0]
	if !t.v2 {
		return fmt.Errorf("keep functions from networks that are not public: version 2 of control groups is not here, or not writable: %w", errors.ErrUnsupported)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	filter, err := attachFilter(t.dir, nameservers)
	if err != nil {
		return fmt.Errorf("keep functions from networks that are not public: %w", err)
	}
	err = m.filter.close()
	m.filter = filter
	return err
}

// filter is what is attached to the parent group. It is made of BPF links, which
// the kernel takes away with the last file descriptor, so with this process.
// (The older BPF_PROG_ATTACH would outlive us.)
type filter []*link.RawLink

func (f filter) close() error {
	var failed []error
	for _, l := range f {
		failed = append(failed, l.Close())
	}
	return errors.Join(failed...)
}

func attachFilter(dir string, nameservers []netip.Addr) (filter, error) {
	group, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer group.Close()
	var f filter
	for _, hook := range hooks(nameservers) {
		l, err := hook.attach(group)
		if err != nil {
			return nil, errors.Join(err, f.close())
		}
		f = append(f, l)
	}
	return f, nil
}

// hook is a place in the kernel where a program may refuse.
type hook struct {
	name    string
	kind    ebpf.ProgramType
	at      ebpf.AttachType
	program asm.Instructions
}

func hooks(nameservers []netip.Addr) []hook {
	v4, v6 := addressFilter4(nameservers), addressFilter6(nameservers)
	return []hook{
		{"connect4", ebpf.CGroupSockAddr, ebpf.AttachCGroupInet4Connect, v4},
		{"connect6", ebpf.CGroupSockAddr, ebpf.AttachCGroupInet6Connect, v6},
		{"sendmsg4", ebpf.CGroupSockAddr, ebpf.AttachCGroupUDP4Sendmsg, v4},
		{"sendmsg6", ebpf.CGroupSockAddr, ebpf.AttachCGroupUDP6Sendmsg, v6},
		{"socket", ebpf.CGroupSock, ebpf.AttachCGroupInetSockCreate, protocolFilter()},
	}
}

func (h hook) attach(group *os.File) (*link.RawLink, error) {
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name:         "whisk_" + h.name, // 15 bytes at most
		Type:         h.kind,
		AttachType:   h.at,
		Instructions: h.program,
		License:      "Apache-2.0",
	})
	if errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("load the %s program: it takes root, or CAP_BPF and CAP_NET_ADMIN: %w", h.name, os.ErrPermission)
	}
	if err != nil {
		return nil, fmt.Errorf("load the %s program: %w", h.name, err)
	}
	defer program.Close() // the link holds on to it
	l, err := link.AttachRawLink(link.RawLinkOptions{Target: int(group.Fd()), Program: program, Attach: h.at})
	if err != nil {
		return nil, fmt.Errorf("attach the %s program: %w", h.name, err)
	}
	return l, nil
}
