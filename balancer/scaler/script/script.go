package script

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/balancer/scaler"
)

// A Config says what the script is and what it is told.
type Config struct {
	Path      string // of the script
	Balancer  string // URL
	TokenFile string
	Limit     time.Duration // for a call; 5 minutes
}

// A Driver calls a script.
type Driver struct {
	cfg       Config
	killAfter time.Duration // from SIGTERM to SIGKILL, and for pipes that others hold
}

var _ scaler.Driver = (*Driver)(nil)

// Open checks that the script can be run.
func Open(cfg Config) (*Driver, error) {
	if cfg.Path == "" {
		return nil, errors.New("the path of the script is missing, as in gpu=exec:/etc/whiskaway/gpu.sh")
	}
	path, err := exec.LookPath(cfg.Path)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("the script cannot be run: %w; make it executable with chmod +x", err)
	}
	if err != nil {
		return nil, fmt.Errorf("the script cannot be run: %w", err)
	}
	cfg.Path = path
	if cfg.Limit == 0 {
		cfg.Limit = 5 * time.Minute
	}
	return &Driver{cfg: cfg, killAfter: 5 * time.Second}, nil
}

// Start calls SCRIPT start LABEL N, see scaler.Driver.
func (d *Driver) Start(ctx context.Context, label string, n int) error {
	_, err := d.call(ctx, "start", label, strconv.Itoa(n))
	return err
}

// Stop calls SCRIPT stop SERVER, see scaler.Driver.
func (d *Driver) Stop(ctx context.Context, server string) error {
	_, err := d.call(ctx, "stop", server)
	return err
}

// List calls SCRIPT list, see scaler.Driver.
func (d *Driver) List(ctx context.Context) ([]scaler.Machine, error) {
	out, err := d.call(ctx, "list")
	if err != nil {
		return nil, err
	}
	return parseList(out)
}

// outputLimit is how many bytes are kept of what a script prints.
const outputLimit = 1 << 20

// call runs the script and returns what it printed on stdout.
func (d *Driver) call(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Limit)
	defer cancel()
	var out, errs limited
	cmd := exec.CommandContext(ctx, d.cfg.Path, args...)
	cmd.Env = append(os.Environ(), "WHISKAWAY_BALANCER="+d.cfg.Balancer, "WHISKAWAY_JOIN_TOKEN_FILE="+d.cfg.TokenFile)
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = d.killAfter
	ownGroup(cmd)
	err := cmd.Run()
	if ctx.Err() != nil {
		killGroup(cmd)
		err = ctx.Err()
	} else if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it has ended well; what it has started holds our pipes, which is no fault
	}
	if err != nil {
		return nil, d.failed(args, err, &out, &errs)
	}
	return out.Bytes(), nil
}

// tail is how much of what a script printed goes into an error, in bytes.
const tail = 1000

func (d *Driver) failed(args []string, err error, out, errs *limited) error {
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("it did not end within %v", d.cfg.Limit)
	}
	said := strings.TrimSpace(d.redact(string(out.Bytes()) + string(errs.Bytes())))
	said = strings.ToValidUTF8(said[max(0, len(said)-tail):], "")
	if said == "" {
		said = "nothing"
	}
	return fmt.Errorf("%s %s: %w; it printed: %s", d.cfg.Path, strings.Join(args, " "), err, said)
}

// redact takes the join token out of what a script printed, as with "set -x".
func (d *Driver) redact(text string) string {
	token, err := os.ReadFile(d.cfg.TokenFile)
	whole := strings.TrimSpace(string(token))
	if err != nil || whole == "" {
		return text
	}
	secret, _, _ := strings.Cut(whole, "~")
	return strings.ReplaceAll(text, secret, "[token]")
}

// limited keeps the first outputLimit bytes that are written to it.
type limited struct{ buf bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	l.buf.Write(p[:min(len(p), outputLimit-l.buf.Len())])
	return len(p), nil
}

func (l *limited) Bytes() []byte { return l.buf.Bytes() }
