package check

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// File is FILE_CHECK: a number in a file, 0 where there is no file or no number.
// With weight 0 a server is up while the number is 0. With another weight the
// number, multiplied by it, is added to the server's weight, which is down at
// the least weight there is.
type File struct {
	Path    string
	Weight  int  // multiplier
	Reverse bool // the product is subtracted
}

// fileLimit is how much of a file is looked at.
const fileLimit = 128

// String implements Checker.
func (c File) String() string { return FileCheck.String() + " " + c.Path }

// Check implements Checker. It takes as long as a read of 128 bytes; a pipe or
// device is not waited for.
func (c File) Check(context.Context) Result {
	text, err := readStart(c.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c.judge(0, "there is no such file, which counts as 0")
	case err != nil:
		return void(c, "%v", err)
	}
	n, ok := parseNumber(text)
	if !ok {
		return c.judge(0, "there is no number in it, which counts as 0")
	}
	return c.judge(n, "it says "+strconv.Itoa(n))
}

func (c File) judge(n int, seen string) Result {
	if c.Weight == 0 {
		if n != 0 {
			return down(c, "%s, and only 0 is up", seen)
		}
		return up(c, "%s", seen)
	}
	// Both fit 32 bits, so the product fits 64.
	wide := int64(n) * int64(c.Weight)
	if c.Reverse {
		wide = -wide
	}
	product := int(max(-math.MaxInt32, min(wide, math.MaxInt32)))
	if product == -math.MaxInt32 {
		return down(c, "%s, which is the least weight there is", seen)
	}
	r := up(c, "%s, and adds %+d to the weight", seen, product)
	r.Weight = Weight{Op: WeightAdjust, Value: product}
	return r
}

// readStart reads the beginning of a file, and never waits for a writer.
func readStart(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	b := make([]byte, fileLimit)
	n, _ := f.Read(b) // nothing read is no number
	return string(b[:n]), nil
}

// parseNumber reads the number that a text begins with, within 32 bits.
func parseNumber(text string) (int, bool) {
	text = strings.TrimLeft(text, " \t\r\n")
	end := 0
	for end < len(text) && (text[end] >= '0' && text[end] <= '9' || end == 0 && (text[0] == '-' || text[0] == '+')) {
		end++
	}
	n, err := strconv.ParseInt(text[:end], 10, 32)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	return int(n), true // the nearest one, if it is out of range
}
