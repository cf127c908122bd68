package wire

import (
	"os"
	"path/filepath"
)

// writeSecret writes a file that only its owner may read, whole or not at all. The owner
// is the directory's, also when root writes it.
func writeSecret(path string, data []byte) error {
	dir := filepath.Dir(path)
	owner, err := os.Stat(dir)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once the file has its name, as it should
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = giveTo(owner, f)
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
