package main

import (
	"fmt"
	"io"
	"slices"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// printMatrices prints who hears whom, a table for each channel: a row is a
// listener, a column is heard.
func (a *app) printMatrices(w io.Writer, st *pb.ClusterStatus) {
	var channels []string
	links := make(map[[3]string]*pb.Link)
	for _, l := range st.GetLinks() {
		if !slices.Contains(channels, l.GetChannel()) {
			channels = append(channels, l.GetChannel())
		}
		links[[3]string{l.GetChannel(), l.GetFrom(), l.GetTo()}] = l
	}
	if len(channels) == 0 {
		fmt.Fprintln(w, "nobody is heard on any channel")
		return
	}
	slices.Sort(channels)
	for i, channel := range channels {
		if i > 0 {
			fmt.Fprintln(w)
		}
		head := plain(channel)
		for _, n := range st.GetNodes() {
			head = append(head, cell{text: n.GetName()})
		}
		rows := [][]cell{head}
		for _, from := range st.GetNodes() {
			row := plain(from.GetName())
			for _, to := range st.GetNodes() {
				row = append(row, heardCell(st, channel, from, to, links[[3]string{channel, from.GetName(), to.GetName()}]))
			}
			rows = append(rows, row)
		}
		a.table(w, rows)
	}
}

// heardCell is how long ago one node heard another on one channel.
func heardCell(st *pb.ClusterStatus, channel string, from, to *pb.Node, l *pb.Link) cell {
	switch {
	case from.GetName() == to.GetName():
		return cell{text: "."}
	case !from.GetAlive():
		return cell{text: "?"} // it cannot be asked
	case l == nil && channel == "mesh":
		return cell{"never", red}
	case l == nil:
		return cell{text: "-"} // nothing to hear: a BACKUP sends no adverts
	case l.GetAlive() && l.GetLastSeen() == nil && channel == "vrrp":
		return cell{"steadily", green}
	case l.GetAlive() && l.GetLastSeen() == nil:
		return cell{"alive", green}
	case l.GetLastSeen() == nil:
		return cell{"lost", red}
	}
	text := age(st.GetTime().AsTime().Sub(l.GetLastSeen().AsTime()))
	if l.GetAlive() {
		return cell{text, green}
	}
	return cell{"lost " + text, red}
}
