package server

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/whiskaway/whiskaway/sandbox"
)

// caches are directories that functions may keep things in for longer than a worker
// lives, one for each namespace: models' weights are fetched once. On disk:
//
//	NAME/           named by a hash of the namespace
//	NAME/...        the functions' own
type caches struct {
	dir   string
	limit int64  // bytes of one namespace
	users *users // who the groups come from; nil: none

	mu     sync.Mutex
	groups map[string]int // by the directory's name
}

// openCaches takes over what an earlier server has kept.
func openCaches(dir string, limit int64, u *users) (*caches, error) {
	c := &caches{dir: dir, limit: limit, users: u, groups: map[string]int{}}
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			c.groups[e.Name()] = groupOf(info)
		}
	}
	return c, nil
}

func groupOf(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Gid)
	}
	return 0
}

func cacheName(namespace string) string {
	sum := sha256.Sum256([]byte("cache of " + namespace))
	return hex.EncodeToString(sum[:12])
}

// of returns the namespace's directory and the group that may use it (0: ours), and makes it at the first time.
func (c *caches) of(namespace string) (dir string, group int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := cacheName(namespace)
	dir = filepath.Join(c.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", 0, err
	}
	if c.users == nil || c.users.count == 0 {
		return dir, 0, nil
	}
	group, known := c.groups[name]
	if known && c.users.hasGroup(group) {
		return dir, group, nil
	}
	if group, err = c.freeGroup(); err == nil {
		err = giveToGroup(dir, group)
	}
	if err != nil {
		return "", 0, err
	}
	c.groups[name] = group
	return dir, group, nil
}

// giveToGroup lets a group use a cache, with what is in it from a time when functions had no users of their
// own: no function is at work in there.
func giveToGroup(dir string, group int) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		if err := os.Lchown(path, -1, group); err != nil {
			return err
		}
		switch {
		case d.IsDir():
			return os.Chmod(path, os.ModeSetgid|0o775)
		case d.Type().IsRegular():
			return addMode(path, d, 0o060)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return errors.Join(os.Chmod(dir, os.ModeSetgid|0o770), os.Chown(dir, -1, group)) // last: it says that all is done
}

func addMode(path string, d fs.DirEntry, more fs.FileMode) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	return os.Chmod(path, info.Mode().Perm()|more)
}

// freeGroup returns a group that no namespace has. mu is held.
func (c *caches) freeGroup() (int, error) {
	taken := map[int]bool{}
	for _, g := range c.groups {
		taken[g] = true
	}
	for i := range c.users.groups {
		if g := c.users.firstGroup + i; !taken[g] {
			return g, nil
		}
	}
	return 0, errNoUsers
}

// cacheEnv names the cache for the libraries that download models.
func cacheEnv(dir string) []string {
	return []string{
		"WHISKAWAY_CACHE=" + dir, "XDG_CACHE_HOME=" + dir,
		"HF_HOME=" + filepath.Join(dir, "huggingface"), "TORCH_HOME=" + filepath.Join(dir, "torch"),
	}
}

// A cachedFile may be removed from a cache.
type cachedFile struct {
	path string
	size int64
	used time.Time // when it was read or written last, as far as the file system tells
}

// trim keeps each namespace's cache within the limit: the least recently used files go
// first, until a tenth is free. It returns how many bytes it removed.
func (c *caches) trim() (freed int64) {
	entries, _ := os.ReadDir(c.dir)
	for _, e := range entries {
		freed += trimDir(filepath.Join(c.dir, e.Name()), c.limit)
	}
	return freed
}

// maxCacheDepth is how many directories deep a cache is looked through; what is deeper goes. A tree
// without end would keep us from looking after anything else.
const maxCacheDepth = 64

// trimDir goes through a root: functions are at work in there meanwhile, and may make a link of what was
// a directory, but must not choose what we remove elsewhere.
func trimDir(dir string, limit int64) (freed int64) {
	root, err := os.OpenRoot(dir)
	if err != nil || limit <= 0 {
		return 0
	}
	defer root.Close()
	files, sum := cachedFiles(root)
	if sum <= limit {
		return 0
	}
	slices.SortFunc(files, func(a, b cachedFile) int { return a.used.Compare(b.used) })
	for _, f := range files {
		if sum <= limit/10*9 {
			break
		}
		if root.Remove(f.path) == nil {
			sum -= f.size
			freed += f.size
		}
	}
	return freed
}

func cachedFiles(root *os.Root) (files []cachedFile, sum int64) {
	fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // what vanishes while we look is no matter
		}
		if d.IsDir() && strings.Count(path, "/") >= maxCacheDepth {
			sandbox.RemoveIn(root, path)
			return fs.SkipDir
		}
		if !d.Type().IsRegular() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			files = append(files, cachedFile{path, diskSize(info), lastUse(info)})
			sum += diskSize(info)
		}
		return nil
	})
	return files, sum
}

// giveTo makes dir the function's own: only its user may enter.
func giveTo(dir string, user int) error {
	if user == 0 {
		return nil
	}
	return os.Chown(dir, user, user)
}

// tempOf is the temporary directory of one worker.
func tempOf(functionDir string, number int64) string {
	return filepath.Join(tempDir(functionDir), strconv.FormatInt(number, 10))
}
