package main

import (
	"fmt"
	"io"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// printStats prints the counters of all services and their servers, of all nodes
// together; with each also those of each node.
func (a *app) printStats(w io.Writer, all *pb.Services, each bool) {
	a.headed(w, serviceStyle(all.GetState()), word(all.GetState()), all.GetReason())
	if len(all.GetServices()) == 0 {
		return
	}
	fmt.Fprintln(w)
	rows := [][]cell{append(plain("SERVICE"), statsHead()...)}
	for _, s := range all.GetServices() {
		rows = append(rows, append([]cell{{s.GetName(), bold}}, statsCells(serviceCounters(s))...))
		for _, r := range s.GetServers() {
			rows = append(rows, append(plain("  -> "+r.GetAddress()), statsCells(serverCounters(r))...))
		}
	}
	a.table(w, rows)
	for _, s := range all.GetServices() {
		if !each || len(s.GetViews()) < 2 {
			continue
		}
		fmt.Fprintf(w, "\n%s\n", a.style(bold, s.GetName()))
		rows := [][]cell{append(plain("NODE", "SERVER"), statsHead()...)}
		for _, v := range s.GetViews() {
			rows = append(rows, append([]cell{{v.GetNode(), bold}, {text: "all"}}, statsCells(v.GetCounters())...))
			for _, r := range s.GetServers() {
				for _, rv := range r.GetViews() {
					if rv.GetNode() == v.GetNode() {
						rows = append(rows, append([]cell{{v.GetNode(), bold}, {text: r.GetAddress()}}, statsCells(rv.GetCounters())...))
					}
				}
			}
		}
		a.table(w, rows)
	}
}

func statsHead() []cell {
	return plain("CONNS", "IN PKTS", "OUT PKTS", "IN BYTES", "OUT BYTES", "CONNS/s", "IN PKTS/s", "OUT PKTS/s", "IN BYTES/s", "OUT BYTES/s")
}

func statsCells(c *pb.Counters) []cell {
	var cells []cell
	for _, n := range []uint64{
		c.GetConnections(), c.GetInPackets(), c.GetOutPackets(), c.GetInBytes(), c.GetOutBytes(),
		c.GetConnectionsPerSecond(), c.GetInPacketsPerSecond(), c.GetOutPacketsPerSecond(), c.GetInBytesPerSecond(), c.GetOutBytesPerSecond(),
	} {
		cells = append(cells, cell{text: short(n)})
	}
	return cells
}

// short is a number in at most six characters: 99999, then 100k, 1.5M, as ipvsadm
// has them.
func short(n uint64) string {
	if n < 100_000 {
		return fmt.Sprint(n)
	}
	f := float64(n)
	for _, unit := range "kMGTP" {
		switch f /= 1000; {
		case f < 9.95:
			return fmt.Sprintf("%.1f%c", f, unit)
		case f < 999.5:
			return fmt.Sprintf("%.0f%c", f, unit)
		}
	}
	return fmt.Sprintf("%.0fE", f/1000)
}

// serviceCounters are those of all nodes together.
func serviceCounters(s *pb.Service) *pb.Counters {
	sum := &pb.Counters{}
	for _, v := range s.GetViews() {
		addCounters(sum, v.GetCounters())
	}
	return sum
}

func serverCounters(r *pb.RealServer) *pb.Counters {
	sum := &pb.Counters{}
	for _, v := range r.GetViews() {
		addCounters(sum, v.GetCounters())
	}
	return sum
}

func addCounters(sum, c *pb.Counters) {
	sum.Connections += c.GetConnections()
	sum.InPackets += c.GetInPackets()
	sum.OutPackets += c.GetOutPackets()
	sum.InBytes += c.GetInBytes()
	sum.OutBytes += c.GetOutBytes()
	sum.ConnectionsPerSecond += c.GetConnectionsPerSecond()
	sum.InPacketsPerSecond += c.GetInPacketsPerSecond()
	sum.OutPacketsPerSecond += c.GetOutPacketsPerSecond()
	sum.InBytesPerSecond += c.GetInBytesPerSecond()
	sum.OutBytesPerSecond += c.GetOutBytesPerSecond()
}

// statsLine is what all services carry, in one line.
func statsLine(all *pb.Services) string {
	sum := &pb.Counters{}
	for _, s := range all.GetServices() {
		addCounters(sum, serviceCounters(s))
	}
	return fmt.Sprintf("%d connections, %d/s; %d bytes in, %d/s; %d bytes out, %d/s", sum.GetConnections(), sum.GetConnectionsPerSecond(),
		sum.GetInBytes(), sum.GetInBytesPerSecond(), sum.GetOutBytes(), sum.GetOutBytesPerSecond())
}
