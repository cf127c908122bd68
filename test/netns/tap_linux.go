package netns

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// tapIn returns what opens a TAP device of that name in the namespace: a network
// card whose other side is a file, one Ethernet frame for each read and write
// (the kernel's Documentation/networking/tuntap.rst).
func tapIn(space, device string) func() (*os.File, error) {
	return func() (file *os.File, err error) {
		err = within(space, func() error {
			file, err = openTap(device)
			return err
		})
		return file, err
	}
}

func openTap(device string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening /dev/net/tun for a long line: %w", err)
	}
	request, err := unix.NewIfreq(device)
	if err == nil {
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("making the device %s: %w", device, err)
	}
	return os.NewFile(uintptr(fd), device), nil
}
