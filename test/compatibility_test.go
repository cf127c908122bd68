package test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// compatibilityPage lists what of OpenWhisk is there, each line with its tests.
const compatibilityPage = "../docs/compatibility.md"

// The tests that the page names are there, and each line of its tables has one.
func TestTheCompatibilityPageNamesTestsThatExist(t *testing.T) {
	goTests, sdkTests := goTestsOf(t), sdkTestsOf(t, "sdk")
	named := 0
	for _, line := range strings.Split(readFile(t, compatibilityPage), "\n") {
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| ") || len(cells) != 2 || strings.HasSuffix(line, "| test |") {
			continue
		}
		names := backticked.FindAllStringSubmatch(cells[1], -1)
		if len(names) == 0 {
			t.Errorf("no test: %s", line)
		}
		for _, name := range names {
			named++
			if file, title, isSDK := strings.Cut(name[1], ": "); isSDK {
				if !slices.Contains(sdkTests[file], title) {
					t.Errorf("test/sdk/%s has no test %q", file, title)
				}
			} else if problem := missing(goTests, name[1]); problem != "" {
				t.Errorf("%s: %s", name[1], problem)
			}
		}
	}
	if named < 100 {
		t.Errorf("only %d tests were found on the page", named)
	}
}

// Each operation that the platform describes stands on the page.
func TestTheCompatibilityPageHasEveryOperation(t *testing.T) {
	page := readFile(t, compatibilityPage)
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(readFile(t, "../platform/api/openapi.json")), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Paths) < 20 {
		t.Fatalf("only %d paths are described", len(doc.Paths))
	}
	for path, methods := range doc.Paths {
		if rest := strings.TrimPrefix(path, "/api/v1"); rest != "" {
			path = rest
		}
		for method := range methods {
			if operation := "| `" + strings.ToUpper(method) + " " + path + "`"; method != "parameters" && !strings.Contains(page, operation) {
				t.Errorf("%s is not on the page", operation[2:])
			}
		}
	}
}

var (
	backticked = regexp.MustCompile("`([^`]+)`")
	goTest     = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	sdkTitle   = regexp.MustCompile(`(?m)^test\('([^']+)'`)
)

// goTestsOf returns the repository's Go tests, each with the text of its file.
func goTestsOf(t *testing.T) map[string]string {
	t.Helper()
	tests := map[string]string{}
	for _, file := range repositoryFiles(t, "_test.go") {
		text := readFile(t, file)
		for _, m := range goTest.FindAllStringSubmatch(text, -1) {
			tests[m[1]] += text
		}
	}
	return tests
}

// repositoryFiles returns the files whose names end so, without what others wrote.
func repositoryFiles(t *testing.T, suffix string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", ".demo", "node_modules"}, d.Name()):
			return filepath.SkipDir
		case strings.HasSuffix(path, suffix):
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// missing says what is missing of a test, TestName or TestName/sub_test; empty: nothing.
func missing(tests map[string]string, name string) string {
	name, sub, _ := strings.Cut(name, "/")
	text, there := tests[name]
	switch {
	case !there:
		return "there is no such test"
	case sub != "" && !strings.Contains(text, `t.Run("`+strings.ReplaceAll(sub, "_", " ")+`"`):
		return "it has no such part"
	}
	return ""
}

// sdkTestsOf returns the titles of the tests in JavaScript, by file.
func sdkTestsOf(t *testing.T, dir string) map[string][]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.test.js"))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string][]string{}
	for _, file := range files {
		for _, m := range sdkTitle.FindAllStringSubmatch(readFile(t, file), -1) {
			tests[filepath.Base(file)] = append(tests[filepath.Base(file)], m[1])
		}
	}
	return tests
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
