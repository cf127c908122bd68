package gpu

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestTwoUnequalGPUs(t *testing.T) {
	eachFakeDriver(t, func(t *testing.T, d fakeDriver) {
		usages := []Usage{{"GPU-small", 4711, 300 * mb}, {"GPU-large", 4712, 5 * gb}}
		d.say([]Device{small(23 * gb), large(75 * gb)}, usages...)
		s := open(t, d.options())
		devices, err := s.Devices(t.Context())
		if want := []Device{small(23 * gb), large(75 * gb)}; err != nil || !slices.Equal(devices, want) {
			t.Fatalf("got %+v, %v; want %+v", devices, err, want)
		}
		processes, err := s.Processes(t.Context())
		if err != nil || !slices.Equal(processes, usages) {
			t.Errorf("got %v, %v; want %v", processes, err, usages)
		}
		d.say([]Device{small(1 * gb), large(2 * gb)})
		eventually(t, "the new numbers are seen", func() bool {
			devices, err := s.Devices(t.Context())
			return err == nil && slices.Equal(devices, []Device{small(1 * gb), large(2 * gb)})
		})
	})
}

func TestADriverThatVanishesAndComesBack(t *testing.T) {
	eachFakeDriver(t, func(t *testing.T, d fakeDriver) {
		d.say([]Device{small(gb), large(gb)})
		s := open(t, d.options())
		d.vanish()
		eventually(t, "the driver's words are told", func() bool {
			_, err := s.Devices(t.Context())
			return err != nil && (strings.Contains(err.Error(), "communicate with the NVIDIA driver") || strings.Contains(err.Error(), "Driver Not Loaded"))
		})
		d.say([]Device{small(gb), large(gb)})
		eventually(t, "it works again", func() bool {
			devices, err := s.Devices(t.Context())
			return err == nil && len(devices) == 2
		})
	})
}

func TestOneOfTwoIsLost(t *testing.T) {
	eachFakeDriver(t, func(t *testing.T, d fakeDriver) {
		d.say([]Device{small(gb), large(gb)})
		s := open(t, d.options())
		d.lose(small(gb), large(gb))
		eventually(t, "the other one is there, and the error tells of the lost one", func() bool {
			devices, err := s.Devices(t.Context())
			return err != nil && strings.Contains(err.Error(), "GPU is lost") && len(devices) == 1 && devices[0].UUID == "GPU-large"
		})
	})
}

func TestGarbage(t *testing.T) {
	eachFakeDriver(t, func(t *testing.T, d fakeDriver) {
		d.say([]Device{small(gb)})
		o := d.options()
		o.answerLimit = quick
		s := open(t, o)
		d.garbage()
		eventually(t, "garbage is an error", func() bool {
			_, err := s.Devices(t.Context())
			return err != nil
		})
		d.say([]Device{small(gb)})
		eventually(t, "it works again", func() bool {
			devices, err := s.Devices(t.Context())
			return err == nil && slices.Equal(devices, []Device{small(gb)})
		})
	})
}

func TestADriverThatHangs(t *testing.T) {
	eachFakeDriver(t, func(t *testing.T, d fakeDriver) {
		d.say([]Device{small(gb)})
		o := d.options()
		o.answerLimit = quick
		s := open(t, o)
		d.hang()
		eventually(t, "a call comes back with an error", func() bool {
			_, err := s.Devices(t.Context())
			return err != nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Devices(ctx); err == nil {
			t.Error("no error for a caller who has left")
		}
		d.say([]Device{small(2 * gb)})
		eventually(t, "it works again", func() bool {
			devices, err := s.Devices(t.Context())
			return err == nil && slices.Equal(devices, []Device{small(2 * gb)})
		})
	})
}

func TestOpeningADriverThatHangs(t *testing.T) {
	eachFakeDriver(t, func(t *testing.T, d fakeDriver) {
		d.hang()
		o := d.options()
		o.answerLimit = quick
		if _, err := Open(t.Context(), o); err == nil || errors.Is(err, ErrNoGPU) || !strings.Contains(err.Error(), "has not answered") {
			t.Errorf("got %v", err)
		}
	})
}

func TestADriverWithoutGPUs(t *testing.T) {
	eachFakeDriver(t, func(t *testing.T, d fakeDriver) {
		d.say(nil)
		if _, err := Open(t.Context(), d.options()); !errors.Is(err, ErrNoGPU) {
			t.Errorf("got %v", err)
		}
	})
}

func TestWhatFakeNvidiaSMISaysWhenOpened(t *testing.T) {
	d := newFakeSMI(t)
	for name, c := range map[string]struct {
		do    string
		fails string // part of the error
	}{
		"one":                {echo(1, small(20*gb)), ""},
		"one with a warning": {echo(1, small(20*gb)) + "echo 'WARNING: infoROM is corrupted at gpu 0000:01:00.0'; exit 14", ""},
		"none":               {"echo No devices were found; exit 6", "no GPU"},
		"nothing":            {"", "no GPU"},
		"no driver":          {`echo "couldn't communicate with the driver" >&2; exit 9`, "communicate with the driver"},
		"garbage":            {"echo GPU-1, Tesla T4", "6 fields are wanted"},
		"garbage, no end":    {"yes", "more than 256 KB"},
	} {
		t.Run(name, func(t *testing.T) {
			d.do(c.do)
			s, err := Open(t.Context(), d.options())
			if (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
				t.Errorf("got the error %v, want %q in it", err, c.fails)
			}
			if err == nil {
				s.Close()
			}
		})
	}
	t.Run("there is none", func(t *testing.T) {
		_, err := Open(t.Context(), Options{NVIDIASMI: "/there/is/no/nvidia-smi", Library: "/there/is/no/libnvidia-ml.so.1"})
		if !errors.Is(err, ErrNoGPU) || !strings.Contains(err.Error(), "/there/is/no/nvidia-smi") {
			t.Errorf("got %v", err)
		}
	})
}

func pidOf(t *testing.T, d *fakeSMI) int {
	t.Helper()
	var pid int
	eventually(t, "the process is there", func() bool {
		text, _ := os.ReadFile(d.path("pid"))
		pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		return pid > 0
	})
	return pid
}

func TestCloseEndsFakeNvidiaSMI(t *testing.T) {
	for name, prepare := range map[string]func(d *fakeSMI){
		"at work": func(*fakeSMI) {},
		"hanging": func(d *fakeSMI) { d.hang() },
	} {
		t.Run(name, func(t *testing.T) {
			d := newFakeSMI(t)
			d.say([]Device{small(gb)})
			s, err := Open(t.Context(), d.options())
			if err != nil {
				t.Fatal(err)
			}
			pid := pidOf(t, d)
			prepare(d)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("the process is still there: %v", err)
			}
			if _, err := s.Devices(t.Context()); err == nil {
				t.Error("a closed source answers")
			}
		})
	}
}

// The test binary is also a program that asks until it is killed.
func TestMain(m *testing.M) {
	if path := os.Getenv("GPU_TEST_ASKS"); path != "" {
		s, err := Open(context.Background(), Options{NVIDIASMI: path, Library: "/there/is/no/libnvidia-ml.so.1"})
		if err != nil {
			panic(err)
		}
		for {
			s.Devices(context.Background())
		}
	}
	os.Exit(m.Run())
}

func TestFakeNvidiaSMIDoesNotOutliveUsWhenKilled(t *testing.T) {
	d := newFakeSMI(t)
	d.say([]Device{small(gb)})
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "GPU_TEST_ASKS="+d.options().NVIDIASMI)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := pidOf(t, d)
	cmd.Process.Kill()
	cmd.Wait()
	eventually(t, "nvidia-smi has ended", func() bool { return !alive(pid) })
}

// alive is false for a zombie too: whoever inherits it may never ask for it.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, rest, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}

// What is printed may be kept back until much has come together: then each question is asked anew.
func TestFakeNvidiaSMIThatKeepsBackWhatItPrints(t *testing.T) {
	d := newFakeSMI(t)
	d.say([]Device{small(gb)})
	script, err := os.ReadFile(d.path("fake-nvidia-smi"))
	if err != nil {
		t.Fatal(err)
	}
	replace(t, d.path("fake-nvidia-smi"), strings.Replace(string(script), "while :; do", "while :; do sleep 1; continue;", 1))
	o := d.options()
	o.answerLimit = 4 * time.Second
	s := open(t, o)
	devices, err := s.Devices(t.Context())
	if err != nil || !slices.Equal(devices, []Device{small(gb)}) {
		t.Errorf("got %v, %v", devices, err)
	}
}

func TestFakeNvidiaSMIEndsAndIsStartedAgain(t *testing.T) {
	d := newFakeSMI(t)
	d.say([]Device{small(gb)})
	s := open(t, d.options())
	first := pidOf(t, d)
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another answers", func() bool {
		_, err := s.Devices(t.Context())
		return err == nil && pidOf(t, d) != first
	})
}

func TestRealGPU(t *testing.T) {
	s, err := Open(t.Context(), Options{})
	if errors.Is(err, ErrNoGPU) {
		t.Skip("no GPU here:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	m := watch(t, s)
	snapshot, err := m.Refresh(t.Context())
	if err != nil || len(snapshot.Devices) == 0 {
		t.Fatalf("got %+v, %v", snapshot, err)
	}
	for _, d := range snapshot.Devices {
		t.Logf("%s: %+v", m.Source(), d)
		if d.Free < 0 || d.Free > d.Total || d.Name == "" {
			t.Errorf("that cannot be: %+v", d)
		}
	}
}
