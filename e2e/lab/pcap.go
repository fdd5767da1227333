package lab

import (
	"bufio"
	"encoding/binary"
	"errors"
	"os"
)

// writePcap writes a libpcap file with nanosecond time stamps.
func writePcap(path string, frames []Frame) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	w := bufio.NewWriter(file)
	const (
		nanosecondMagic = 0xa1b23c4d
		ethernetLink    = 1
	)
	var head [24]byte
	binary.LittleEndian.PutUint32(head[0:], nanosecondMagic)
	binary.LittleEndian.PutUint16(head[4:], 2) // version 2.4
	binary.LittleEndian.PutUint16(head[6:], 4)
	binary.LittleEndian.PutUint32(head[16:], 65536)
	binary.LittleEndian.PutUint32(head[20:], ethernetLink)
	w.Write(head[:])
	for _, f := range frames {
		var rec [16]byte
		binary.LittleEndian.PutUint32(rec[0:], uint32(f.At.Unix()))
		binary.LittleEndian.PutUint32(rec[4:], uint32(f.At.Nanosecond()))
		binary.LittleEndian.PutUint32(rec[8:], uint32(len(f.Data)))
		binary.LittleEndian.PutUint32(rec[12:], uint32(len(f.Data)))
		w.Write(rec[:])
		w.Write(f.Data)
	}
	return w.Flush()
}
