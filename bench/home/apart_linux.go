package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// runApart runs this program again in a network namespace of its own, so that
// nothing of the machine's network is touched.
func runApart(ctx context.Context) error {
	cmd, err := again(ctx, "link", os.Args[1:]...)
	if err != nil {
		return err
	}
	cmd.Stdout = os.Stdout
	err = cmd.Run()
	if errors.Is(err, syscall.EPERM) {
		return errors.New("network namespaces need root")
	}
	return err
}

// again returns this program as a process with a role, in a new network namespace.
func again(ctx context.Context, role string, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	return cmd, nil
}

// openTUN makes a network device whose packets are read from and written to the
// file. Linux: Documentation/networking/tuntap.rst.
func openTUN(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening /dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETIFF, uintptr(unsafe.Pointer(request)))
		if errno != 0 {
			err = errno
		}
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("making the device %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// giveTo moves a device into the network namespace of a process.
func giveTo(name string, pid int) error {
	return ip("link", "set", name, "netns", fmt.Sprint(pid))
}

func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %v: %w: %s", args, err, out)
	}
	return nil
}

// setUp gives a device of this namespace its address, peer's being at the other end.
func setUp(name, address, peer, congestion string) error {
	const control = "/proc/sys/net/ipv4/tcp_congestion_control"
	if err := os.WriteFile(control, []byte(congestion), 0o644); err != nil {
		return fmt.Errorf("choosing the congestion control %q: %w", congestion, err)
	}
	return errors.Join(
		ip("link", "set", "lo", "up"),
		ip("addr", "add", address, "peer", peer, "dev", name),
		ip("link", "set", name, "txqueuelen", "10000", "up"), // what is dropped is ours to say
	)
}

// retrySoon lets TCP retransmit after 50 ms, as the sockets of wire do.
func retrySoon(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_RTO_MIN_US, 50_000) // Linux 6.15 or later
	})
}
